"""Alembic environment: migrations run as the schema's owner, on a synchronous connection."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import create_engine, pool

from infra.db.models import metadata


def _include(name: str | None, kind: str, _parent: Any) -> bool:
    return not (kind == "table" and name == "alembic_version")


engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=False,
        include_name=_include,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
