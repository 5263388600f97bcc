"""Time passes for a lender's autopays: on each date their processes prepare what is due, and the date's cutoff sends it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from domain.autopay import DraftStatus
from infra.db.models.processes import autopay_drafts, autopay_enrolments
from infra.db.repositories import autopay as repository
from services import drafts
from tests.services import lending, sending
from tests.workflows.platform import Rows


async def act(rows: Rows, *, backwards: bool = False) -> None:
    """What is due today happens; `backwards`: the processes come to it in the other order."""
    today = await rows.business_date()
    async with rows.uow() as uow:
        acting = list(await repository.acting(uow, today, None, 500))
    for enrolment_id in reversed(acting) if backwards else acting:
        await look(rows, enrolment_id)
    if await rows.all(select(autopay_drafts).where(autopay_drafts.c.status == str(DraftStatus.PENDING))):
        await sending.run(rows)
    async with rows.uow() as uow:
        acting = list(await repository.acting(uow, today, None, 500))
    for enrolment_id in acting:  # those that ended with what was sent
        await look(rows, enrolment_id)


async def look(rows: Rows, enrolment_id: UUID) -> None:
    """One enrolment's process looks, and prepares what is due."""
    async with rows.uow() as uow:
        plan = await drafts.plan(uow, enrolment_id)
        await uow.commit()
    while plan.due and not plan.ended:
        assert plan.next_process_date is not None
        async with rows.uow() as uow:
            await drafts.prepare_draft(uow, enrolment_id, plan.next_process_date)
            plan = await drafts.plan(uow, enrolment_id)
            await uow.commit()


async def next_date(rows: Rows) -> date | None:
    """The next date on which an enrolment has something to do; None when none has."""
    table = autopay_enrolments
    found = await rows.all(select(table).where(table.c.status.in_(["active", "paused"])))
    dates = [row["next_process_date"] if row["status"] == "active" else row["paused_until"] for row in found]
    return min((day for day in dates if day is not None), default=None)


async def live(rows: Rows, enrolment_id: UUID, count: int, *, backwards: bool = False) -> Sequence[object]:
    """Time passes until the enrolment has `count` drafts, sent or not, or has ended. Returns them."""
    while True:
        await act(rows, backwards=backwards)
        found = await rows.drafts(enrolment_id)
        enrolment = await rows.enrolment(enrolment_id)
        if len(found) >= count or enrolment["status"] in ("completed", "cancelled"):
            return found
        upcoming = await next_date(rows)
        assert upcoming is not None, "nothing is to come, and it has not ended"
        await lending.jump(lambda _: rows.uow(), rows.tenant, max(upcoming, await rows.business_date() + timedelta(days=1)))
