"""The steps of PaymentReversalWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import ReversalProgress, ReversalRef
from activities.mailing import deliver
from activities.step import step
from domain.reversal import NoticeOutcome
from infra.notifier import Notifier
from services import reversals


class ReversalActivities:
    """`engine` is the application role's; `notifier` sends the borrower's letter."""

    def __init__(self, engine: AsyncEngine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier

    @activity.defn
    async def look_at_reversal(self, request: ReversalRef) -> ReversalProgress:
        async with step(self._engine, request.tenant_id) as uow:
            return ReversalProgress(*await reversals.progress(uow, request.reversal_id))

    @activity.defn
    async def replan_reversed_autopay(self, request: ReversalRef) -> None:
        async with step(self._engine, request.tenant_id) as uow:
            await reversals.replan_autopay(uow, request.reversal_id)

    @activity.defn
    async def restate_days(self, request: ReversalRef) -> None:
        done = False
        while not done:
            async with step(self._engine, request.tenant_id) as uow:
                done = await reversals.restate_page(uow, request.reversal_id)
            activity.heartbeat()

    @activity.defn
    async def tell_of_reversal(self, request: ReversalRef) -> None:
        async with step(self._engine, request.tenant_id) as uow:
            mail = await reversals.letter(uow, request.reversal_id)
        if mail is not None:
            await deliver(self._notifier, mail)
        outcome = NoticeOutcome.NO_ADDRESS if mail is None else NoticeOutcome.SENT
        async with step(self._engine, request.tenant_id) as uow:
            await reversals.finish(uow, request.reversal_id, outcome)

    @activity.defn
    async def give_up_telling(self, request: ReversalRef) -> None:
        async with step(self._engine, request.tenant_id) as uow:
            await reversals.finish(uow, request.reversal_id, NoticeOutcome.FAILED)
