"""SQL of autopay: enrolments, drafts, and what is waiting to be drafted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Uuid, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from domain.autopay import OPEN, SKIPPED, DraftStatus, EnrolmentKind, EnrolmentStatus
from domain.errors import NotFound
from domain.loan import SETTLED, InstalmentStatus, LoanStatus
from domain.rails import NAMED_LATE, LateAutopays
from domain.reversal import ReversalStep
from infra.db.models.processes import autopay_drafts, autopay_enrolments, payment_reversals
from infra.db.models.servicing import instalments, loans
from infra.db.pipeline import Asked, Query, Row, Update, Write
from infra.db.queries import processes
from infra.db.uow import UnitOfWork
from infra.ids import new_id

_OPEN = [str(status) for status in OPEN]
_AUTOPAY = autopay_enrolments.c.kind == str(EnrolmentKind.AUTOPAY)


async def open_enrolment(uow: UnitOfWork, loan_id: UUID, *, lock: bool = True) -> RowMapping | None:
    """The loan's one autopay that is not ended, locked unless only looked at."""
    table = autopay_enrolments
    found = select(table).where(table.c.loan_id == loan_id, table.c.status.in_(_OPEN), _AUTOPAY)
    return await uow.one_or_none(found.with_for_update() if lock else found)


async def last_enrolment(uow: UnitOfWork, loan_id: UUID) -> RowMapping | None:
    """The loan's newest autopay, open or ended, only looked at."""
    return await uow.one_or_none(processes.latest_enrolment(loan_id))


_ONE: Final = select(autopay_enrolments).where(autopay_enrolments.c.id == bindparam("enrolment", type_=Uuid))
_LOOKED_AT: Final = Query(_ONE)
_LOCKED: Final = Query(_ONE.with_for_update())
_LOAN_STATUS: Final = Query(
    select(loans.c.status)
    .join(autopay_enrolments, autopay_enrolments.c.loan_id == loans.c.id)
    .where(autopay_enrolments.c.id == bindparam("enrolment", type_=Uuid))
)


def one_locked(enrolment_id: UUID) -> Asked:
    """One enrolment, locked. A loan's lock, where both are needed, is taken before."""
    return _LOCKED(enrolment=enrolment_id)


async def lock_enrolment(uow: UnitOfWork, enrolment_id: UUID) -> Row:
    """One enrolment, locked. Raises NotFound. A loan's lock, where both are needed, is taken before."""
    (found,) = await uow.fetch(one_locked(enrolment_id))
    return _the_one(found)


async def lock_with_loan_status(uow: UnitOfWork, enrolment_id: UUID) -> tuple[Row, LoanStatus]:
    """One enrolment, locked, and its loan's status as stored. Raises NotFound."""
    found, statuses = await uow.fetch(one_locked(enrolment_id), _LOAN_STATUS(enrolment=enrolment_id))
    return _the_one(found), LoanStatus(_the_one(statuses)["status"])


async def enrolment(uow: UnitOfWork, enrolment_id: UUID) -> Row:
    """One enrolment, only looked at. Raises NotFound."""
    (found,) = await uow.fetch(_LOOKED_AT(enrolment=enrolment_id))
    return _the_one(found)


def _the_one(found: Sequence[Row]) -> Row:
    if not found:
        raise NotFound("autopay enrolment")
    return found[0]


async def change_enrolment(uow: UnitOfWork, enrolment_id: UUID, **values: Any) -> None:
    """Set columns of an enrolment that is locked. What it was suspended for is forgotten with the suspension."""
    if values.get("status", "suspended") != "suspended":
        values["suspended_for"] = None
    values["updated_at"] = uow.recorded_at
    uow.later(Update(autopay_enrolments, uow.tenant_id, enrolment_id, values))


async def processed_between(uow: UnitOfWork, first: time, until: time) -> LateAutopays | None:
    """The open enrolments with a process time of their own from `first` to before `until`; None when there are none."""
    table = autopay_enrolments
    which = (table.c.status.in_(_OPEN), table.c.process_time >= first, table.c.process_time < until)
    figures = (func.count().label("count"), func.max(table.c.process_time).label("latest"))
    sums = await uow.one(select(*figures).where(*which), "count")
    if not sums["count"]:
        return None
    found = select(loans.c.loan_number).join(table, table.c.loan_id == loans.c.id).where(*which)
    rows = await uow.all(found.order_by(table.c.process_time.desc(), loans.c.loan_number).limit(NAMED_LATE))
    return LateAutopays(sums["count"], sums["latest"], tuple(row["loan_number"] for row in rows))


async def due_dates(uow: UnitOfWork, loan_id: UUID) -> list[tuple[date, bool]]:
    """The loan's due dates in order, and whether with the instalment nothing is to be paid any more."""
    table = instalments
    found = select(table.c.due_date, table.c.status).where(table.c.loan_id == loan_id).order_by(table.c.due_date)
    return [(row["due_date"], InstalmentStatus(row["status"]) in SETTLED) for row in await uow.all(found)]


async def last_event_number(uow: UnitOfWork, loan_id: UUID) -> int:
    """The number of the last event of a loan. Raises NotFound."""
    number: int = (await uow.one(select(loans.c.last_sequence).where(loans.c.id == loan_id), "loan"))["last_sequence"]
    return number


async def loan_status(uow: UnitOfWork, loan_id: UUID) -> str:
    """The loan's status as stored."""
    return str((await uow.one(select(loans.c.status).where(loans.c.id == loan_id), "loan"))["status"])


async def drawing_on(uow: UnitOfWork, instrument_id: UUID, *, lock: bool = False) -> Sequence[RowMapping]:
    """The open enrolments that draw on a payment instrument, in the order of ids, locked unless only looked at."""
    table = autopay_enrolments
    accounts = (table.c.payment_instrument_id, table.c.fallback_instrument_id, table.c.second_fallback_instrument_id)
    which = (or_(*(account == instrument_id for account in accounts)), table.c.status.in_(_OPEN))
    found = select(table).where(*which).order_by(table.c.id)
    return await uow.all(found.with_for_update() if lock else found)


_FIRST_ATTEMPT: Final = Query(
    select(autopay_drafts).where(
        autopay_drafts.c.enrolment_id == bindparam("enrolment", type_=Uuid),
        autopay_drafts.c.process_date == bindparam("process_date", type_=Date),
        autopay_drafts.c.attempt == 1,
    )
)


def first_attempt(enrolment_id: UUID, process_date: date) -> Asked:
    """The first attempt of a period, if there is one."""
    return _FIRST_ATTEMPT(enrolment=enrolment_id, process_date=process_date)


async def draft_of_period(uow: UnitOfWork, enrolment_id: UUID, process_date: date) -> Row | None:
    """The first attempt of a period."""
    (found,) = await uow.fetch(first_attempt(enrolment_id, process_date))
    return next(iter(found), None)


async def draft(uow: UnitOfWork, draft_id: UUID, *, lock: bool = False) -> RowMapping:
    """One draft. Raises NotFound."""
    found = select(autopay_drafts).where(autopay_drafts.c.id == draft_id)
    return await uow.one(found.with_for_update() if lock else found, "autopay draft")


async def has_pending_draft(uow: UnitOfWork, enrolment_id: UUID) -> bool:
    """Whether a draft of an enrolment is prepared and not sent yet."""
    table = autopay_drafts
    waits = exists().where(table.c.enrolment_id == enrolment_id, table.c.status == str(DraftStatus.PENDING))
    return bool((await uow.execute(select(waits))).scalar_one())


async def attempts_of(uow: UnitOfWork, draft: Row) -> Sequence[RowMapping]:
    """A draft's period: all its attempts, in order."""
    table = autopay_drafts
    same = (table.c.enrolment_id == draft["enrolment_id"], table.c.process_date == draft["process_date"])
    return await uow.all(select(table).where(*same).order_by(table.c.attempt))


async def insert_retry(uow: UnitOfWork, draft: Row, send_on: date) -> None:
    """Draft the same amount once more, from a business date on; when there is a next attempt already, it stays."""
    same = ("enrolment_id", "loan_id", "process_date", "apply_date", "amount", "payment_instrument_id")
    again = {name: draft[name] for name in same}
    values = {**again, "attempt": draft["attempt"] + 1, "status": str(DraftStatus.PENDING), "send_on": send_on}
    instants = {"created_at": uow.recorded_at, "updated_at": uow.recorded_at}
    await uow.execute(
        insert(autopay_drafts)
        .values(tenant_id=uow.tenant_id, id=new_id(), **values, **instants)
        .on_conflict_do_nothing(index_elements=["tenant_id", "enrolment_id", "process_date", "attempt"])
    )


async def first_pending_draft(uow: UnitOfWork, enrolment_id: UUID) -> Row | None:
    """The first draft of an enrolment that is prepared and not sent, locked."""
    table = autopay_drafts
    which = (table.c.enrolment_id == enrolment_id, table.c.status == str(DraftStatus.PENDING))
    return await uow.one_or_none(select(table).where(*which).order_by(table.c.process_date).limit(1).with_for_update())


async def skipped_drafts(uow: UnitOfWork, enrolment_id: UUID, since: date, named: date | None) -> Sequence[date]:
    """The process dates, ascending, of the drafts that people left out of an enrolment and that would not have gone out
    before `since`; and `named`, where that one was left out ever."""
    table = autopay_drafts
    day = func.greatest(table.c.process_date, func.coalesce(table.c.send_on, table.c.process_date))
    which = (table.c.status == str(DraftStatus.NOT_DRAFTED), table.c.reason.startswith(SKIPPED, autoescape=True))
    found = select(table.c.process_date).where(table.c.enrolment_id == enrolment_id, *which)
    rows = await uow.all(found.where(or_(day >= since, table.c.process_date == named)).order_by(table.c.process_date))
    return [row["process_date"] for row in rows]


def insert_draft(uow: UnitOfWork, **values: Any) -> Row:
    """The first attempt of a period that has none, of an enrolment that is locked. Returns its row."""
    instants = {"created_at": uow.recorded_at, "updated_at": uow.recorded_at}
    row = {"tenant_id": uow.tenant_id, "id": new_id(), "attempt": 1, **values, **instants}
    uow.later(Write(autopay_drafts, [row]))
    return row


async def change_draft(uow: UnitOfWork, draft_id: UUID, **values: Any) -> None:
    """Set columns of a draft that is locked."""
    table = autopay_drafts
    await uow.execute(update(table).where(table.c.id == draft_id).values(updated_at=uow.recorded_at, **values))


def _acts(on: date) -> ColumnElement[bool]:
    """Enrolments with something to do by a business date: a draft, or the end of a pause."""
    table = autopay_enrolments
    return or_(
        and_(table.c.status == str(EnrolmentStatus.ACTIVE), table.c.next_process_date <= on),
        and_(table.c.status == str(EnrolmentStatus.PAUSED), table.c.paused_until <= on),
    )


async def acting(uow: UnitOfWork, on: date, after: UUID | None, limit: int) -> Sequence[UUID]:
    """A page, in the order of ids, of the enrolments with something to do by a business date."""
    table = autopay_enrolments
    found = select(table.c.id).where(_acts(on)).order_by(table.c.id).limit(limit)
    if after is not None:
        found = found.where(table.c.id > after)
    return [row["id"] for row in await uow.all(found)]


async def count_pending(uow: UnitOfWork, on: date) -> int:
    """How many enrolments still have something to do by a business date, or may yet get it: a payment was reversed, and
    the loan's autopay has not looked again."""
    enrolments = select(func.count()).select_from(autopay_enrolments).where(_acts(on)).scalar_subquery()
    reversed_ = select(func.count()).where(payment_reversals.c.step == str(ReversalStep.AUTOPAY)).scalar_subquery()
    counts = select(enrolments.label("enrolments"), reversed_.label("reversals"))
    return sum(int(count) for count in (await uow.one(counts, "count")).values())
