"""SQL of what was handed to a rail: what settles, what came back, what has been on its way for long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from domain.rails import EntryStatus
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import rail_entries
from infra.db.uow import UnitOfWork

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
    drafted = {"status": "settled", "updated_at": uow.recorded_at}
    await uow.execute(update(autopay_drafts).where(autopay_drafts.c.id.in_(drafts)).values(**drafted))


async def entry(uow: UnitOfWork, entry_id: UUID, *, lock: bool = False) -> RowMapping:
    """One entry. Raises NotFound."""
    found = select(rail_entries).where(rail_entries.c.id == entry_id)
    return await uow.one(found.with_for_update() if lock else found, "entry")


async def change_entry(uow: UnitOfWork, entry_id: UUID, **values: Any) -> None:
    """Set columns of an entry that is locked."""
    await uow.execute(update(rail_entries).where(rail_entries.c.id == entry_id).values(**values))
