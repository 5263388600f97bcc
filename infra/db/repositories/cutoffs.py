"""SQL of cutoffs: which there are, what each still has to take, what it has handed over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from domain.autopay import DraftStatus
from domain.errors import WrongState
from domain.rails import CutoffStatus
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import rail_cutoffs, rail_entries
from infra.db.uow import UnitOfWork
from infra.ids import new_id

_PENDING = autopay_drafts.c.status == str(DraftStatus.PENDING)


async def cutoff(uow: UnitOfWork, cutoff_id: UUID, *, lock: bool = False) -> RowMapping:
    """One cutoff. Raises NotFound."""
    found = select(rail_cutoffs).where(rail_cutoffs.c.id == cutoff_id)
    return await uow.one(found.with_for_update() if lock else found, "cutoff")


async def hold_open(uow: UnitOfWork) -> RowMapping | None:
    """The open cutoff, which does not begin to collect until this transaction ends; None when there is none."""
    found = select(rail_cutoffs).where(rail_cutoffs.c.status == str(CutoffStatus.OPEN))
    return await uow.one_or_none(found.with_for_update(read=True))


async def unfinished(uow: UnitOfWork) -> RowMapping | None:
    """The oldest cutoff that the rail has not acknowledged."""
    table = rail_cutoffs
    found = select(table).where(table.c.status != str(CutoffStatus.ACKNOWLEDGED))
    return await uow.one_or_none(found.order_by(table.c.business_date, table.c.number).limit(1))


async def latest(uow: UnitOfWork) -> RowMapping | None:
    """The newest cutoff of all."""
    table = rail_cutoffs
    order = (table.c.business_date.desc(), table.c.number.desc())
    return await uow.one_or_none(select(table).order_by(*order).limit(1))


async def add_cutoff(uow: UnitOfWork, on: date, number: int) -> UUID | None:
    """Open a cutoff; None when somebody else just did. Waits for whoever is about to."""
    cutoff_id = new_id()
    values = {"business_date": on, "number": number, "status": str(CutoffStatus.OPEN), "created_at": uow.recorded_at}
    added = await uow.execute(
        insert(rail_cutoffs).values(tenant_id=uow.tenant_id, id=cutoff_id, **values).on_conflict_do_nothing()
    )
    return cutoff_id if added.rowcount else None


async def change_cutoff(uow: UnitOfWork, cutoff_id: UUID, **values: Any) -> None:
    """Set columns of a cutoff."""
    await uow.execute(update(rail_cutoffs).where(rail_cutoffs.c.id == cutoff_id).values(**values))


async def count_pending(uow: UnitOfWork) -> int:
    """How many drafts are prepared and not sent."""
    return int((await uow.one(select(func.count().label("count")).where(_PENDING), "count"))["count"])


async def pending_drafts(uow: UnitOfWork, after: UUID | None, limit: int) -> Sequence[UUID]:
    """A page, in the order of ids, of the drafts that are prepared and not sent."""
    found = select(autopay_drafts.c.id).where(_PENDING).order_by(autopay_drafts.c.id).limit(limit)
    if after is not None:
        found = found.where(autopay_drafts.c.id > after)
    return [row["id"] for row in await uow.all(found)]


async def count_draft(
    uow: UnitOfWork, cutoff_id: UUID, draft_id: UUID, *, sent: int = 0, kept_back: int = 0, amount: int = 0
) -> int:
    """Add a draft (`amount` in minor units) that a cutoff has looked at, which moves its checkpoint. Returns how many it has
    sent by now. Raises WrongState unless it is collecting."""
    table = rail_cutoffs.c
    values = {"sent": table.sent + sent, "kept_back": table.kept_back + kept_back, "amount": table.amount + amount}
    collecting = (table.id == cutoff_id, table.status == str(CutoffStatus.COLLECTING))
    cursor = func.greatest(table.cursor, draft_id)
    counted = update(rail_cutoffs).where(*collecting).values(cursor=cursor, **values).returning(table.sent)
    row = (await uow.execute(counted)).one_or_none()
    if row is None:
        raise WrongState("The cutoff takes no drafts any more.", state="collected", allowed=[str(CutoffStatus.COLLECTING)])
    return int(row[0])


async def entries_of(uow: UnitOfWork, cutoff_id: UUID) -> Sequence[RowMapping]:
    """What a cutoff hands over, in its order."""
    table = rail_entries
    return await uow.all(select(table).where(table.c.cutoff_id == cutoff_id).order_by(table.c.number))
