"""The step of RestatementWorkflow."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import CorrectionRef
from activities.step import step
from services import restating


class CorrectionActivities:
    """`engine` is the application role's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def restate_corrected_days(self, request: CorrectionRef) -> None:
        done = False
        while not done:
            async with step(self._engine, request.tenant_id) as uow:
                done = await restating.restate_page(uow, request.correction_id)
            activity.heartbeat()
