"""SQL of cutoffs: which there are, what each still has to take, what it has handed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from domain.autopay import DraftStatus
from domain.errors import WrongState
from domain.rails import CutoffStatus
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import rail_cutoffs, rail_entries, rail_files, rail_settings
from infra.db.uow import UnitOfWork
from infra.ids import new_id


def _to_send(on: date) -> ColumnElement[bool]:
    """Drafts that are prepared and not sent, and may go out on a business date."""
    table = autopay_drafts.c
    return (table.status == str(DraftStatus.PENDING)) & or_(table.send_on.is_(None), table.send_on <= on)


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
    once = insert(rail_cutoffs).values(tenant_id=uow.tenant_id, id=cutoff_id, **values).on_conflict_do_nothing()
    added = (await uow.execute(once.returning(rail_cutoffs.c.id))).scalar_one_or_none()
    return None if added is None else cutoff_id


async def change_cutoff(uow: UnitOfWork, cutoff_id: UUID, **values: Any) -> None:
    """Set columns of a cutoff."""
    await uow.execute(update(rail_cutoffs).where(rail_cutoffs.c.id == cutoff_id).values(**values))


async def count_pending(uow: UnitOfWork, on: date) -> int:
    """How many drafts are prepared, not sent, and may go out on a business date."""
    return int((await uow.one(select(func.count().label("count")).where(_to_send(on)), "count"))["count"])


async def pending_drafts(uow: UnitOfWork, on: date, after: UUID | None, limit: int) -> Sequence[UUID]:
    """A page, in the order of ids, of the drafts that are prepared, not sent, and may go out on a business date."""
    found = select(autopay_drafts.c.id).where(_to_send(on)).order_by(autopay_drafts.c.id).limit(limit)
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


async def next_sequence(uow: UnitOfWork) -> int:
    """Number an entry of the lender's, once and for ever."""
    counter = insert(rail_settings).values(tenant_id=uow.tenant_id, last_sequence=1)
    counted = counter.on_conflict_do_update(
        index_elements=["tenant_id"], set_={"last_sequence": rail_settings.c.last_sequence + 1}
    )
    return int((await uow.execute(counted.returning(rail_settings.c.last_sequence))).scalar_one())


async def entries_of(uow: UnitOfWork, cutoff_id: UUID) -> Sequence[RowMapping]:
    """What a cutoff hands over, in its order."""
    table = rail_entries
    return await uow.all(select(table).where(table.c.cutoff_id == cutoff_id).order_by(table.c.number))


async def set_handed_over(uow: UnitOfWork, on: date, settles_on: Mapping[UUID, date | None]) -> None:
    """The rail has these entries; each counts as settled on its date."""
    if settles_on:
        rows = [{"key": entry_id, "on": on, "settles": settles} for entry_id, settles in settles_on.items()]
        values: dict[str, Any] = {"handed_over_on": bindparam("on"), "settles_on": bindparam("settles")}
        await uow.execute(update(rail_entries).where(rail_entries.c.id == bindparam("key")).values(**values), rows)


async def file_of(uow: UnitOfWork, cutoff_id: UUID) -> RowMapping | None:
    """The file of a cutoff, once it was built."""
    return await uow.one_or_none(select(rail_files).where(rail_files.c.cutoff_id == cutoff_id))


async def count_files(uow: UnitOfWork, created_on: date) -> int:
    """How many files were made for a date."""
    counted = select(func.count().label("count")).where(rail_files.c.created_on == created_on)
    return int((await uow.one(counted, "count"))["count"])
