"""The life of a cutoff: it opens, begins to collect, and what it has collected is handed to the rail. Each function is one
transaction's, and running it twice is running it once. What it does with a draft is in services/sending.py, what a bank
gets in services/rail_files.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from domain.rails import CUTOFF_TIME, CutoffPlan, CutoffStatus, RailKind, cutoff_instant, cutoff_workflow_id
from infra.db.models.rails import rail_settings
from infra.db.repositories import autopay as autopay_repository
from infra.db.repositories import cutoffs as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import BusinessMode

WORKFLOW_TYPE: Final = "RailCutoffWorkflow"
CHANGED: Final = "changed"
"""The signal "look again": it carries nothing, the workflow reads the row."""
_ONE_DAY: Final = timedelta(days=1)


async def call(uow: UnitOfWork) -> None:
    """Have a cutoff of a live lender take the draft that this transaction has prepared: the open one or, where none is, a
    new one, whose process starts after commit. A sandbox's is opened when its date is moved on (`to_run`).

    The caller holds locks of loans and drafts already.
    """
    if await _mode(uow) != BusinessMode.LIVE:
        return
    while await repository.hold_open(uow) is None:
        last, on = await repository.latest(uow), await uow.business_date()
        if last is not None:  # that one has begun: what is prepared from now on goes on a later day
            on = max(on, last["business_date"] + _ONE_DAY)
        cutoff_id = await repository.add_cutoff(uow, on, 1)
        if cutoff_id is not None:
            await _start(uow, cutoff_id, on, 1)


async def call_due(uow: UnitOfWork) -> None:
    """Have a cutoff take the drafts that may go out from the business date on, such as those that are tried again."""
    if await repository.count_pending(uow, await uow.business_date()):
        await call(uow)


async def to_run(uow: UnitOfWork, on: date) -> RowMapping | None:
    """The cutoff that a sandbox runs before its date `on` closes: one that was begun, or a new one when drafts are prepared.
    None when there is nothing to send, while autopays have yet to prepare theirs, and for a live lender."""
    if await _mode(uow) == BusinessMode.LIVE or await autopay_repository.count_pending(uow, on):
        return None
    found = await repository.unfinished(uow)
    if found is None and await repository.count_pending(uow, on):
        last = await repository.latest(uow)
        number = last["number"] + 1 if last is not None and last["business_date"] == on else 1
        await repository.add_cutoff(uow, on, number)
        found = await repository.unfinished(uow)
    return found


async def count_pending(uow: UnitOfWork, on: date) -> int:
    """How many drafts are to be sent by a business date, and cutoffs to be handed over."""
    return await repository.count_pending(uow, on) + (await repository.unfinished(uow) is not None)


async def plan(uow: UnitOfWork, cutoff_id: UUID) -> CutoffPlan:
    """What a cutoff waits for. Raises NotFound."""
    row = await repository.cutoff(uow, cutoff_id)
    tenant = await uow.tenant()
    at = None
    if tenant["mode"] == BusinessMode.LIVE:
        chosen = await uow.one_or_none(select(rail_settings.c.cutoff_time))
        local = CUTOFF_TIME if chosen is None else chosen["cutoff_time"]
        at = cutoff_instant(row["business_date"], tenant["zone"], local)
    acting = await autopay_repository.count_pending(uow, await uow.business_date())
    return CutoffPlan(CutoffStatus(row["status"]), at, acting)


async def begin(uow: UnitOfWork, cutoff_id: UUID) -> None:
    """Begin to collect: what is prepared from now on goes in the next one, and what this one goes by is fixed. Waits for
    what is being prepared. Raises NotFound."""
    if (await repository.cutoff(uow, cutoff_id, lock=True))["status"] != CutoffStatus.OPEN:
        return
    chosen = await uow.one_or_none(select(rail_settings))
    values = {"rail": str(RailKind.SANDBOX), "sec_code": None, "originator": None}
    if chosen is not None:
        values = {name: chosen[name] for name in values}
    on = await uow.business_date()
    await repository.change_cutoff(uow, cutoff_id, status=str(CutoffStatus.COLLECTING), handed_over_on=on, **values)


async def acknowledge(uow: UnitOfWork, cutoff_id: UUID, settles_on: Mapping[UUID, date | None]) -> None:
    """The rail has what a cutoff collected; `settles_on`: by entry, when it counts as settled if nothing comes back before.
    Again does nothing. Raises NotFound."""
    row = await repository.cutoff(uow, cutoff_id, lock=True)
    if row["status"] != CutoffStatus.COLLECTED:
        return
    await repository.set_handed_over(uow, row["handed_over_on"], settles_on)
    acknowledged = {"status": str(CutoffStatus.ACKNOWLEDGED), "acknowledged_at": uow.recorded_at}
    await repository.change_cutoff(uow, cutoff_id, **acknowledged)
    after = {"business_date": row["business_date"].isoformat(), "number": row["number"], "sent": row["sent"]}
    await uow.audit("rail_cutoff.acknowledged", "rail_cutoff", cutoff_id, after=after)


async def look_again(uow: UnitOfWork) -> None:
    """Have the cutoff that waits for its hour look again, because that has changed."""
    found = await repository.hold_open(uow)
    if found is not None and await _mode(uow) == BusinessMode.LIVE:
        target = cutoff_workflow_id(uow.tenant_id, found["business_date"], found["number"])
        await uow.intend("signal", WORKFLOW_TYPE, target, {}, message_id=str(new_id()), message_name=CHANGED)


async def _mode(uow: UnitOfWork) -> BusinessMode:
    return BusinessMode((await uow.tenant())["mode"])


async def _start(uow: UnitOfWork, cutoff_id: UUID, on: date, number: int) -> None:
    tenant_id = str(uow.tenant_id)
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        cutoff_workflow_id(uow.tenant_id, on, number),
        {"tenant_id": tenant_id, "cutoff_id": str(cutoff_id), "business_date": on.isoformat(), "number": number},
        search_attributes={
            "TenantId": tenant_id,
            "WorkflowKind": "rail-cutoff",
            "BusinessDate": on.isoformat(),
            "Stage": str(CutoffStatus.OPEN),
        },
    )
