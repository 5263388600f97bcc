"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

from alembic import command

from infra.db.migrate import alembic_config
from tests.conftest import Database


def test_models_and_migrations_agree(database: Database) -> None:
    command.check(alembic_config(database.owner_url))
