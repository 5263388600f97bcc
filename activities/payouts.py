"""The steps of PayoutWorkflow."""

from __future__ import annotations

from smtplib import SMTPException

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contracts import PayoutRef
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
            try:
                await self._notifier.deliver(mail)
            except (OSError, ValueError, SMTPException) as error:  # its text may name the address: not for the log
                raise ApplicationError(f"the mail was not sent: {type(error).__name__}") from None
            async with step(self._engine, request.tenant_id) as uow:
                await paying_out.mark_told(uow, request.payout_id)
