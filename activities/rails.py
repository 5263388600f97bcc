"""The steps of RailCutoffWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import CutoffRef
from activities.step import step
from domain.rails import CutoffPlan, CutoffProgress
from services import cutoffs, sending


class RailActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def plan_cutoff(self, request: CutoffRef) -> CutoffPlan:
        async with step(self._engine, request.tenant_id) as uow:
            return await cutoffs.plan(uow, request.cutoff_id)

    @activity.defn
    async def collect_drafts(self, request: CutoffRef) -> CutoffProgress:
        async with step(self._engine, request.tenant_id) as uow:
            await cutoffs.begin(uow, request.cutoff_id)
        async with step(self._engine, request.tenant_id) as uow:
            page = await sending.next_page(uow, request.cutoff_id)
        for draft_id in page:
            async with step(self._engine, request.tenant_id) as uow:
                await sending.send_draft(uow, request.cutoff_id, draft_id)
            activity.heartbeat()
        async with step(self._engine, request.tenant_id) as uow:
            return await sending.progress(uow, request.cutoff_id)

    @activity.defn
    async def hand_over_cutoff(self, request: CutoffRef) -> None:
        async with step(self._engine, request.tenant_id) as uow:
            await cutoffs.hand_over(uow, request.cutoff_id)
