"""SQL of what was handed to a rail: what settles, what came back, what has been on its way for long."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, exists, select, update
from sqlalchemy.engine import RowMapping

from domain.autopay import DraftStatus
from domain.cases import CaseKind
from domain.rails import EntryStatus
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import cases, rail_cutoffs, rail_entries
from infra.db.uow import UnitOfWork

_CHUNK: Final = 5_000
_IN_TRANSIT = rail_entries.c.status == str(EntryStatus.IN_TRANSIT)


async def due_to_settle(uow: UnitOfWork, on: date, limit: int) -> Sequence[RowMapping]:
    """The first `limit` entries that settle by `on` and have not yet, in the order of the loans' ids, then their own."""
    table = rail_entries
    due = select(table.c.id, table.c.loan_id).where(_IN_TRANSIT, table.c.settles_on <= on)
    return await uow.all(due.order_by(table.c.loan_id, table.c.id).limit(limit))


async def in_transit(uow: UnitOfWork, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """Those of some entries that are still on their way; their loans are locked."""
    table = rail_entries
    return await uow.all(select(table.c.id, table.c.draft_id, table.c.payment_id).where(table.c.id.in_(ids), _IN_TRANSIT))


async def mark_settled(uow: UnitOfWork, entries: Sequence[RowMapping], on: date) -> None:
    """These entries have settled: so have their drafts."""
    ids, drafts = [row["id"] for row in entries], [row["draft_id"] for row in entries]
    settled = {"status": str(EntryStatus.SETTLED), "settled_on": on}
    await uow.execute(update(rail_entries).where(rail_entries.c.id.in_(ids), _IN_TRANSIT).values(**settled))
    drafted = {"status": str(DraftStatus.SETTLED), "updated_at": uow.recorded_at}
    await uow.execute(update(autopay_drafts).where(autopay_drafts.c.id.in_(drafts)).values(**drafted))


async def entry(uow: UnitOfWork, entry_id: UUID, *, lock: bool = False) -> RowMapping:
    """One entry. Raises NotFound."""
    found = select(rail_entries).where(rail_entries.c.id == entry_id)
    return await uow.one(found.with_for_update() if lock else found, "entry")


async def change_entry(uow: UnitOfWork, entry_id: UUID, **values: Any) -> None:
    """Set columns of an entry that is locked."""
    await uow.execute(update(rail_entries).where(rail_entries.c.id == entry_id).values(**values))


async def of_drafts(uow: UnitOfWork, draft_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """The entries of some drafts, in the order in which they were taken."""
    table = rail_entries
    return await uow.all(select(table).where(table.c.draft_id.in_(draft_ids)).order_by(table.c.id))


async def by_trace(uow: UnitOfWork, trace_number: str) -> RowMapping | None:
    """The newest entry that was sent with a trace number; after ten million they begin anew."""
    table = rail_entries
    found = select(table).where(table.c.trace_number == trace_number).order_by(table.c.id.desc()).limit(1)
    return await uow.one_or_none(found)


async def senders(uow: UnitOfWork, trace_numbers: Collection[str]) -> dict[str, str]:
    """The company that the newest entry of each of these trace numbers was sent for, by trace number."""
    table, found = rail_entries, dict[str, str]()
    company = rail_cutoffs.c.originator["company_id"].as_string().label("company_id")
    of_cutoff = and_(rail_cutoffs.c.tenant_id == table.c.tenant_id, rail_cutoffs.c.id == table.c.cutoff_id)
    remaining = iter(trace_numbers)
    while chunk := list(islice(remaining, _CHUNK)):
        sent = select(table.c.trace_number, company).join(rail_cutoffs, of_cutoff).where(table.c.trace_number.in_(chunk))
        found |= {row["trace_number"]: row["company_id"] for row in await uow.all(sent.order_by(table.c.id))}
    return found


async def by_draft(uow: UnitOfWork, draft_id: UUID) -> RowMapping:
    """The entry of a draft. Raises NotFound."""
    return await uow.one(select(rail_entries).where(rail_entries.c.draft_id == draft_id), "entry")


async def long_in_transit(uow: UnitOfWork, handed_over_by: date, limit: int) -> Sequence[RowMapping]:
    """The first `limit` entries that were handed over by a date, neither settled nor came back, and never had a case."""
    table = rail_entries
    case = exists().where(
        cases.c.tenant_id == table.c.tenant_id,
        cases.c.payment_id == table.c.payment_id,
        cases.c.kind == str(CaseKind.DRAFT_IN_TRANSIT),
    )
    old = select(table).where(_IN_TRANSIT, table.c.handed_over_on <= handed_over_by, ~case)
    return await uow.all(old.order_by(table.c.id).limit(limit))
