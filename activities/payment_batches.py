"""The step of PaymentBatchWorkflow."""

from __future__ import annotations

import time
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import BatchProgress, BatchRound
from activities.step import step
from services import payment_batches


class PaymentBatchActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def post_batch(self, request: BatchRound) -> BatchProgress:
        until = time.monotonic() + request.seconds
        more = True
        while more and time.monotonic() < until:
            async with step(self._engine, request.tenant_id) as uow:
                more = await payment_batches.post_page(uow, request.batch_id)
            activity.heartbeat()
        async with step(self._engine, request.tenant_id) as uow:
            return BatchProgress(**asdict(await payment_batches.progress(uow, request.batch_id)))
