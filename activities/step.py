"""One step of a workflow: one transaction of one tenant, in which a refusal is final; and telling that one is alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.errors import Refusal
from infra.db.uow import Actor, ActorKind, UnitOfWork

_BEAT_SECONDS: Final = 5.0


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


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Temporal is told that we are alive while one long statement runs."""

    async def beat() -> None:
        while True:
            alive()
            await asyncio.sleep(_BEAT_SECONDS)

    beats = asyncio.create_task(beat())
    try:
        yield
    finally:
        beats.cancel()


def alive() -> None:
    """Tell Temporal that a long step is alive; a local one needs no telling."""
    if not activity.info().is_local:
        activity.heartbeat()
