"""Engines: one per process and database role."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infra.settings import Settings


def app_engine(settings: Settings, *, pool_size: int | None = None) -> AsyncEngine:
    """The engine of the application role, for which row-level security holds."""
    return _engine(settings.database_url.get_secret_value(), pool_size or settings.database_pool_size)


def dispatch_engine(settings: Settings) -> AsyncEngine:
    """The engine of the dispatch role, which sees workflow intents of every tenant and nothing else."""
    return _engine(settings.database_dispatch_url.get_secret_value(), 2)


def owner_engine(settings: Settings) -> AsyncEngine:
    """The engine of the schema's owner, for an operator at the command line."""
    return _engine(settings.database_owner_url.get_secret_value(), 1)


def _engine(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=30, pool_pre_ping=True, hide_parameters=True
    )
