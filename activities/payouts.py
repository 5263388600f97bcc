"""The steps of PayoutWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import PayoutRef
from activities.mailing import deliver
from activities.step import step
from domain.payouts import PayoutPlan
from infra.notifier import Notifier
from services import paying_out


class PayoutActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier

    @activity.defn
    async def plan_payout(self, request: PayoutRef) -> PayoutPlan:
        async with step(self._engine, request.tenant_id) as uow:
            return await paying_out.plan(uow, request.payout_id)

    @activity.defn
    async def hand_over_payout(self, request: PayoutRef) -> PayoutPlan:
        async with step(self._engine, request.tenant_id) as uow:
            return await paying_out.hand_over(uow, request.payout_id)

    @activity.defn
    async def send_payout(self, request: PayoutRef) -> PayoutPlan:
        async with step(self._engine, request.tenant_id) as uow:
            return await paying_out.send(uow, request.payout_id)

    @activity.defn
    async def tell_of_payout(self, request: PayoutRef) -> None:
        """A crash between the mail and its mark sends the mail again: by its key it is the same message."""
        async with step(self._engine, request.tenant_id) as uow:
            mail = await paying_out.letter(uow, request.payout_id)
        if mail is not None:
            await deliver(self._notifier, mail)
            async with step(self._engine, request.tenant_id) as uow:
                await paying_out.mark_told(uow, request.payout_id)
