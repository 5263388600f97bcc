"""An operator's unit of work: a command acts in the database through the services, like the API does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import NotFound
from infra.db.engine import app_engine
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.settings import Settings
from services.auth import find_tenant


@asynccontextmanager
async def application_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """One connection as the application role, closed at the end."""
    settings.require("database_url")
    engine = app_engine(settings, pool_size=1)
    try:
        yield engine
    finally:
        await engine.dispose()


async def unit_of_work(engine: AsyncEngine, slug: str) -> UnitOfWork:
    """A unit of work of the tenant with this slug, to be opened with `async with`.

    Raises: NotFound when there is no such tenant.
    """
    tenant_id = await find_tenant(engine, slug)
    if tenant_id is None:
        raise NotFound(f"tenant as {slug}")
    return UnitOfWork(engine, tenant_id, Actor(ActorKind.OPERATOR))
