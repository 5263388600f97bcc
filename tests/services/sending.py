"""A cutoff as its workflow carries it out: each draft in a transaction of its own, then all of them to the rail."""

from __future__ import annotations

from uuid import UUID

from domain.rails import CutoffProgress
from infra.db.uow import UnitOfWork
from infra.rails.sandbox import SandboxRail
from services import cutoffs, rail_files, sending
from tests.workflows.platform import VAULT, Rows


async def due(rows: Rows) -> UUID:
    """The cutoff that a sandbox would run now."""
    async with rows.uow() as uow:
        found = await cutoffs.to_run(uow, await uow.business_date())
        await uow.commit()
    assert found is not None
    return UUID(str(found["id"]))


async def waiting(uow: UnitOfWork) -> bool:
    """Whether there is something for a cutoff of today."""
    return await cutoffs.count_pending(uow, await uow.business_date()) > 0


async def collect(rows: Rows, cutoff_id: UUID) -> CutoffProgress:
    """Take what is prepared."""
    async with rows.uow() as uow:
        await cutoffs.begin(uow, cutoff_id)
        await uow.commit()
    async with rows.uow() as uow:
        page = await sending.next_page(uow, cutoff_id)
    for draft_id in page:
        async with rows.uow() as uow:
            await sending.send_draft(uow, cutoff_id, draft_id)
            await uow.commit()
    async with rows.uow() as uow:
        progress = await sending.progress(uow, cutoff_id)
        await uow.commit()
    return progress


async def hand_over(rows: Rows, cutoff_id: UUID) -> None:
    """Give it to the sandbox."""
    async with rows.uow() as uow:
        found = await rail_files.batch(uow, VAULT, cutoff_id)
        if found is not None:
            await cutoffs.acknowledge(uow, cutoff_id, await SandboxRail(uow).hand_over(found[1]))
        await uow.commit()


async def run(rows: Rows) -> CutoffProgress:
    """The sandbox's cutoff of today, from beginning to end."""
    cutoff_id = await due(rows)
    progress = await collect(rows, cutoff_id)
    await hand_over(rows, cutoff_id)
    return progress
