"""Bring the schema to its newest revision."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

import migrations


def alembic_config(owner_url: str) -> Config:
    """Alembic's configuration for a database reached as its owner (SQLAlchemy URL)."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = owner_url
    return config


def upgrade(owner_url: str) -> None:
    """Migrate to the newest revision. Runs as the schema's owner, in one transaction a revision."""
    command.upgrade(alembic_config(owner_url), "head")
