"""The steps of RailCutoffWorkflow and of RailReturnsWorkflow."""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.contracts import CutoffRef, ReturnFileRef, ReturnsProgress
from activities.step import step
from domain.rails import CutoffPlan, CutoffProgress, RailKind
from infra.crypto import Vault
from infra.rails import Rail
from infra.rails.nacha import NachaRail
from infra.rails.sandbox import SandboxRail
from infra.settings import Settings
from infra.storage import ObjectStore
from services import cutoffs, rail_files, returns, sending

PAGE: Final = 100
"""Answers a step, after which it says how far it is."""


class RailActivities:
    """`engine` is the application role's; `vault` opens account numbers for a bank's file, which lies in S3."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._vault = Vault.of(settings)
        self._nacha: NachaRail | None = None

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
            found = await rail_files.batch(uow, self._vault, request.cutoff_id)
        if found is None:
            return
        kind, batch = found
        if kind is RailKind.NACHA:  # not in a transaction: storing takes as long as it takes
            bank: Rail = self._bank()
            settles_on = await bank.hand_over(batch)
        async with step(self._engine, request.tenant_id) as uow:
            if kind is RailKind.SANDBOX:
                sandbox: Rail = SandboxRail(uow)
                settles_on = await sandbox.hand_over(batch)
            else:
                await rail_files.mark_stored(uow, request.cutoff_id)
            await cutoffs.acknowledge(uow, request.cutoff_id, settles_on)

    @activity.defn
    async def take_answers(self, request: ReturnFileRef) -> ReturnsProgress:
        async with step(self._engine, request.tenant_id) as uow:
            page = await returns.next_answers(uow, request.file_id, PAGE)
        for answer_id in page:
            async with step(self._engine, request.tenant_id) as uow:
                await returns.take(uow, self._vault, answer_id)
            activity.heartbeat()
        async with step(self._engine, request.tenant_id) as uow:
            sums = await returns.progress(uow, request.file_id)
        for_people = sums.get("unmatched", 0) + sums.get("review", 0)
        posted, corrected, repeated = (sums.get(name, 0) for name in ("posted", "corrected", "repeated"))
        return ReturnsProgress(posted, corrected, repeated, for_people, sums.get("pending", 0))

    def _bank(self) -> NachaRail:
        if self._nacha is None:
            self._nacha = NachaRail(ObjectStore(self._settings))
        return self._nacha
