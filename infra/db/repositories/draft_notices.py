"""SQL of the notices of drafts that take another amount than the one before."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Date,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as insert_into

from domain.autopay import OPEN, DraftStatus, EnrolmentStatus
from domain.cadence import DraftFrequency, Scheduling
from domain.loan import SETTLED
from domain.payments import PaymentStatus
from infra.db.models.processes import autopay_drafts, autopay_enrolments, autopay_notices
from infra.db.models.servicing import instalments, loan_flags, loans, payments, program_versions
from infra.db.pipeline import Query, Row
from infra.db.uow import UnitOfWork

_SHORT: Final = [
    literal(str(one))
    for one in (DraftFrequency.WEEKLY, DraftFrequency.BIWEEKLY, DraftFrequency.SEMIMONTHLY, DraftFrequency.CUSTOM)
]
"""Cadences of which more than one draft may be to come in two weeks."""
_OPEN: Final = [literal(str(status)) for status in OPEN]
_SETTLED: Final = [literal(str(status)) for status in sorted(SETTLED)]
_NONE: Final = UUID(int=0)
_FIRST: Final = bindparam("first", type_=Date)
_LAST: Final = bindparam("last", type_=Date)
_AFTER: Final = bindparam("after", type_=Uuid)
_LOANS: Final = bindparam("loans", type_=ARRAY(Uuid))


class Page(NamedTuple):
    """Enrolments that may draft in the window, in the order of ids, each with what is stored of it and its loan; the
    instalments of these loans, by loan and number; the notices of these enrolments, as they were sent. `until`: the
    enrolment to go on after; None: there are no more."""

    enrolments: list[Row]
    instalments: list[Row]
    notices: list[Row]
    until: UUID | None


def _is(status: EnrolmentStatus) -> Any:
    """Said as the partial indexes say it, so that every plan may use them."""
    return autopay_enrolments.c.status == literal_column(f"'{status}'")


def _by_last() -> Any:
    """Which enrolments draft by `last`, or resume by then."""
    table = autopay_enrolments.c
    active = and_(_is(EnrolmentStatus.ACTIVE), table.next_process_date <= _LAST)
    return or_(active, and_(_is(EnrolmentStatus.PAUSED), table.paused_until <= _LAST))


def _any_by_last() -> Select[Any]:
    """Whether there is one: the first date of each index says so."""
    table = autopay_enrolments.c
    drafts = select(func.min(table.next_process_date)).where(_is(EnrolmentStatus.ACTIVE)).scalar_subquery()
    resumes = select(func.min(table.paused_until)).where(_is(EnrolmentStatus.PAUSED)).scalar_subquery()
    return select((func.least(drafts, resumes) <= _LAST).label("found"))


def _span() -> Select[Any]:
    """Of so many enrolments that draft by `last`, in the order of ids, the last one: however few of them may draft in the
    window, a page looks at no more."""
    table = autopay_enrolments
    found = select(table.c.id).where(_by_last(), table.c.id > _AFTER).order_by(table.c.id)
    page = found.limit(bindparam("limit", type_=Integer)).subquery()
    return select(page.c.id).order_by(page.c.id.desc()).limit(1)


def _may_draft() -> Any:
    """Which of those that draft by `last` may do so from `first` on: their next draft is then, or one after it may be."""
    table = autopay_enrolments
    distance = table.c.process_days_after
    # so many banking days are no more calendar days than that, with weekends and holidays
    longest = case((table.c.scheduling == str(Scheduling.BUSINESS_DAY), 2 * distance + 5), else_=distance)
    another_due = exists().where(
        instalments.c.tenant_id == table.c.tenant_id,
        instalments.c.loan_id == table.c.loan_id,
        instalments.c.due_date + longest > table.c.next_process_date,
        instalments.c.due_date + distance <= _LAST,
    )
    follows = and_(table.c.frequency == str(DraftFrequency.DUE_DATES), another_due)
    paused = _is(EnrolmentStatus.PAUSED)
    return or_(paused, table.c.next_process_date >= _FIRST, table.c.frequency.in_(_SHORT), follows)


def _of_loan(table: Any, *which: Any) -> Any:
    """Whether the loan has such rows."""
    return exists().where(table.c.tenant_id == loans.c.tenant_id, table.c.loan_id == loans.c.id, *which)


def _stored() -> Select[Any]:
    table, drafts, other = autopay_enrolments, autopay_drafts, autopay_enrolments.alias("other")
    last_drafted = (
        select(drafts.c.amount)
        .where(drafts.c.tenant_id == table.c.tenant_id, drafts.c.enrolment_id == table.c.id, drafts.c.amount > 0)
        .order_by(drafts.c.process_date.desc(), drafts.c.attempt.desc())
        .limit(1)
    )
    last_number = select(func.max(instalments.c.number)).where(
        instalments.c.tenant_id == loans.c.tenant_id, instalments.c.loan_id == loans.c.id
    )
    under_way = or_(
        _of_loan(drafts, drafts.c.status == str(DraftStatus.PENDING)),
        _of_loan(payments, payments.c.status == str(PaymentStatus.PENDING)),
        _of_loan(loan_flags),
        _of_loan(other, other.c.status.in_(_OPEN), other.c.id != table.c.id),
    )
    other_money = or_(loans.c.fees_balance != 0, loans.c.unapplied_balance != 0, loans.c.due_from_borrower != 0)
    of_loan = (loans.c.status.label("loan_status"), loans.c.processed_through, loans.c.level_payment)
    version = and_(
        program_versions.c.program_id == loans.c.program_id, program_versions.c.version == loans.c.program_version
    )
    found = select(
        *table.c,
        *of_loan,
        (loans.c.principal_balance + loans.c.accrued_interest - loans.c.unapplied_balance).label("payoff"),
        other_money.label("other_money"),
        under_way.label("under_way"),
        last_drafted.scalar_subquery().label("last_drafted"),
        last_number.scalar_subquery().label("last_number"),
        cast(program_versions.c.terms, Text).label("program_terms"),
    )
    span = and_(table.c.id > _AFTER, table.c.id <= bindparam("until", type_=Uuid))
    page = found.where(span, _by_last(), _may_draft()).order_by(table.c.id)
    return page.join(loans, loans.c.id == table.c.loan_id).join(program_versions, version)


def _coming() -> Select[Any]:
    """The instalments of some loans that a draft by `last` may have to do with."""
    table, later = instalments, instalments.alias("later")
    following = (
        select(later.c.loan_id, func.min(later.c.due_date).label("due_date"))
        .where(later.c.loan_id == any_(_LOANS), later.c.due_date >= _LAST)
        .group_by(later.c.loan_id)
        .subquery()
    )
    settled = table.c.status.in_(_SETTLED)
    near = or_(table.c.due_date <= _LAST, table.c.due_date == following.c.due_date)
    paid = table.c.principal_paid + table.c.interest_paid + table.c.interest_waived + table.c.fees_paid
    return (
        select(
            table.c.loan_id,
            table.c.number,
            table.c.due_date,
            table.c.principal,
            (table.c.payment + table.c.fees).label("amount"),
            (table.c.payment + table.c.fees - paid).label("open"),
            settled.label("settled"),
        )
        .outerjoin_from(table, following, following.c.loan_id == table.c.loan_id)
        .where(table.c.loan_id == any_(_LOANS), near, or_(~settled, table.c.due_date >= bindparam("since", type_=Date)))
        .order_by(table.c.loan_id, table.c.number)
    )


def _told() -> Select[Any]:
    """The notices of some enrolments, from a process date on, as they were sent."""
    table = autopay_notices
    which = (table.c.enrolment_id == any_(bindparam("enrolments", type_=ARRAY(Uuid))), table.c.process_date >= _FIRST)
    found = select(table.c.enrolment_id, table.c.process_date, table.c.amount).where(*which)
    return found.order_by(table.c.enrolment_id, table.c.process_date, table.c.number)


_ANY: Final = Query(_any_by_last())
_SPAN: Final = Query(_span())
_TOLD: Final = Query(_told())
_STORED: Final = Query(_stored())
_COMING: Final = Query(_coming())


async def any_drafts_by(uow: UnitOfWork, last: date) -> bool:
    """Whether an enrolment drafts by `last`, or resumes by then: one look into an index each, however many there are."""
    ((row,),) = await uow.fetch(_ANY(last=last))
    return bool(row["found"])


async def page(uow: UnitOfWork, first: date, last: date, since: date, after: UUID | None, limit: int) -> Page:
    """Of the next `limit` enrolments that draft by `last`, those that may do so from `first` on. Of their instalments:
    those not settled up to the first due date from `last` on, and the settled ones due from `since` on. Of their notices:
    those of process dates from `first` on."""
    (span,) = await uow.fetch(_SPAN(last=last, after=after or _NONE, limit=limit))
    if not span:
        return Page([], [], [], None)
    until: UUID = span[0]["id"]
    (found,) = await uow.fetch(_STORED(first=first, last=last, after=after or _NONE, until=until))
    coming, notices = await uow.fetch(
        _COMING(loans=[row["loan_id"] for row in found], last=last, since=since),
        _TOLD(enrolments=[row["id"] for row in found], first=first),
    )
    return Page(found, coming, notices, until)


async def told(uow: UnitOfWork, enrolment_id: UUID, since: date) -> dict[date, list[int]]:
    """The amounts (minor units) that were told of the drafts from `since` on, by process date, as they were sent."""
    (rows,) = await uow.fetch(_TOLD(enrolments=[enrolment_id], first=since))
    found: dict[date, list[int]] = defaultdict(list)
    for row in rows:
        found[row["process_date"]].append(row["amount"])
    return found


async def last_drafted(uow: UnitOfWork, enrolment_id: UUID) -> int | None:
    """Minor units of the last draft of an enrolment that took something, prepared or sent; None when there is none."""
    table = autopay_drafts
    found = select(table.c.amount).where(table.c.enrolment_id == enrolment_id, table.c.amount > 0)
    row = await uow.one_or_none(found.order_by(table.c.process_date.desc(), table.c.attempt.desc()).limit(1))
    return None if row is None else row["amount"]


async def level_payment(uow: UnitOfWork, loan_id: UUID) -> int:
    """The contract's instalment, in minor units. Raises NotFound."""
    amount: int = (await uow.one(select(loans.c.level_payment).where(loans.c.id == loan_id), "loan"))["level_payment"]
    return amount


async def insert(uow: UnitOfWork, enrolment_id: UUID, process_date: date, number: int, amount: int, on: date) -> bool:
    """The notice of a draft, once a `number` of its process date; returns whether it is new."""
    key = {"enrolment_id": enrolment_id, "process_date": process_date, "number": number}
    values = {**key, "amount": amount, "sent_on": on}
    statement = insert_into(autopay_notices).values(tenant_id=uow.tenant_id, created_at=uow.recorded_at, **values)
    once = statement.on_conflict_do_nothing().returning(autopay_notices.c.process_date)
    return (await uow.execute(once)).first() is not None
