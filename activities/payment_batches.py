"""The steps of PaymentBatchPreviewWorkflow and PaymentBatchWorkflow."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import BatchProgress, BatchRound, PreviewProgress
from activities.step import step
from infra.db.uow import UnitOfWork
from services import payment_batches


class PaymentBatchActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def preview_batch(self, request: BatchRound) -> PreviewProgress:
        await self._pages(request, payment_batches.preview_page)
        async with step(self._engine, request.tenant_id) as uow:
            return PreviewProgress(**asdict(await payment_batches.preview_progress(uow, request.batch_id)))

    @activity.defn
    async def post_batch(self, request: BatchRound) -> BatchProgress:
        await self._pages(request, payment_batches.post_page)
        async with step(self._engine, request.tenant_id) as uow:
            return BatchProgress(**asdict(await payment_batches.progress(uow, request.batch_id)))

    async def _pages(self, request: BatchRound, page: Callable[[UnitOfWork, UUID], Awaitable[bool]]) -> None:
        """Pages, each a transaction, until there are no more or the time is over."""
        until = time.monotonic() + request.seconds
        more = True
        while more and time.monotonic() < until:
            async with step(self._engine, request.tenant_id) as uow:
                more = await page(uow, request.batch_id)
            activity.heartbeat()
