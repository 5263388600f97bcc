"""One step of a workflow: one transaction of one tenant, in which a refusal is final."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from domain.errors import Refusal
from infra.db.uow import Actor, ActorKind, UnitOfWork


@asynccontextmanager
async def step(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[UnitOfWork]:
    """A unit of work that commits at its end. Raises ApplicationError (not retried, type = the refusal's code) for a
    refusal; anything else is retried by the activity's policy."""
    try:
        async with UnitOfWork(engine, tenant_id, Actor(ActorKind.WORKFLOW)) as uow:
            yield uow
            await uow.commit()
    except Refusal as refusal:
        raise ApplicationError(refusal.detail, type=refusal.code, non_retryable=True) from refusal
