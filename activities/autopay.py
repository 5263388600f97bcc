"""The steps of AutopayWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import EnrolmentRef, PeriodRef, Prepared
from activities.step import step
from domain.autopay import Plan
from services import drafts


class AutopayActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def plan_autopay(self, request: EnrolmentRef) -> Plan:
        async with step(self._engine, request.tenant_id) as uow:
            return await drafts.plan(uow, request.enrolment_id)

    @activity.defn
    async def prepare_draft(self, request: PeriodRef) -> Prepared:
        async with step(self._engine, request.tenant_id) as uow:
            draft = await drafts.prepare_draft(uow, request.enrolment_id, request.process_date)
            return Prepared(draft, await drafts.plan(uow, request.enrolment_id))
