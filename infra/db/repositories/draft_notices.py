"""SQL of the notices of drafts that take another amount than the one before."""

from __future__ import annotations

from collections.abc import Sequence
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
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as insert_into

from domain.autopay import OPEN, DraftStatus, EnrolmentStatus
from domain.cadence import DraftFrequency
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
_LOANS: Final = bindparam("loans", type_=ARRAY(Uuid))


class Page(NamedTuple):
    """Enrolments that may draft in the window, in the order of ids, each with what is stored of it and its loan; and the
    instalments of these loans, by loan and number."""

    enrolments: list[Row]
    instalments: list[Row]


def _may_draft(columns: Sequence[Any]) -> Select[Any]:
    """A page, in the order of ids, of the enrolments that may draft from `first` to `last`: their next draft is then, or
    one after it may be."""
    table = autopay_enrolments
    another_due = exists().where(
        instalments.c.tenant_id == table.c.tenant_id,
        instalments.c.loan_id == table.c.loan_id,
        instalments.c.due_date > table.c.next_process_date,
        instalments.c.due_date <= _LAST,
    )
    follows = and_(table.c.frequency == str(DraftFrequency.DUE_DATES), another_due)
    active = and_(
        table.c.status == str(EnrolmentStatus.ACTIVE),
        table.c.next_process_date <= _LAST,
        or_(table.c.next_process_date >= _FIRST, table.c.frequency.in_(_SHORT), follows),
    )
    resumes = and_(table.c.status == str(EnrolmentStatus.PAUSED), table.c.paused_until <= _LAST)
    after, limit = bindparam("after", type_=Uuid), bindparam("limit", type_=Integer)
    return select(*columns).where(or_(active, resumes), table.c.id > after).order_by(table.c.id).limit(limit)


def _of_loan(table: Any, *which: Any) -> Any:
    """Whether the loan has such rows."""
    return exists().where(table.c.tenant_id == loans.c.tenant_id, table.c.loan_id == loans.c.id, *which)


def _stored() -> Select[Any]:
    table, drafts, notices, other = autopay_enrolments, autopay_drafts, autopay_notices, autopay_enrolments.alias("other")
    last_drafted = (
        select(drafts.c.amount)
        .where(drafts.c.tenant_id == table.c.tenant_id, drafts.c.enrolment_id == table.c.id, drafts.c.amount > 0)
        .order_by(drafts.c.process_date.desc(), drafts.c.attempt.desc())
        .limit(1)
    )
    notified = select(func.array_agg(notices.c.process_date)).where(
        notices.c.tenant_id == table.c.tenant_id, notices.c.enrolment_id == table.c.id, notices.c.process_date >= _FIRST
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
    found = _may_draft(
        [
            *table.c,
            *of_loan,
            (loans.c.principal_balance + loans.c.accrued_interest - loans.c.unapplied_balance).label("payoff"),
            other_money.label("other_money"),
            under_way.label("under_way"),
            last_drafted.scalar_subquery().label("last_drafted"),
            notified.scalar_subquery().label("notified"),
            last_number.scalar_subquery().label("last_number"),
            cast(program_versions.c.terms, Text).label("program_terms"),
        ]
    )
    return found.join(loans, loans.c.id == table.c.loan_id).join(program_versions, version)


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


_ANY: Final = Query(_may_draft([autopay_enrolments.c.id]))
_STORED: Final = Query(_stored())
_COMING: Final = Query(_coming())


async def any_may_draft(uow: UnitOfWork, first: date, last: date) -> bool:
    """Whether an enrolment may draft from `first` to `last`."""
    (found,) = await uow.fetch(_ANY(first=first, last=last, after=_NONE, limit=1))
    return bool(found)


async def page(uow: UnitOfWork, first: date, last: date, since: date, after: UUID | None, limit: int) -> Page:
    """A page of the enrolments that may draft from `first` to `last`. Of their instalments: those not settled up to the
    first due date from `last` on, and the settled ones due from `since` on."""
    (found,) = await uow.fetch(_STORED(first=first, last=last, after=after or _NONE, limit=limit))
    (coming,) = await uow.fetch(_COMING(loans=[row["loan_id"] for row in found], last=last, since=since))
    return Page(found, coming)


async def notified(uow: UnitOfWork, enrolment_id: UUID, since: date) -> set[date]:
    """The process dates from `since` on of which a notice was sent."""
    table = autopay_notices
    which = (table.c.enrolment_id == enrolment_id, table.c.process_date >= since)
    return {row["process_date"] for row in await uow.all(select(table.c.process_date).where(*which))}


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


async def insert(uow: UnitOfWork, enrolment_id: UUID, process_date: date, amount: int, on: date) -> bool:
    """The notice of a draft, once; returns whether it is new."""
    values = {"enrolment_id": enrolment_id, "process_date": process_date, "amount": amount, "sent_on": on}
    statement = insert_into(autopay_notices).values(tenant_id=uow.tenant_id, created_at=uow.recorded_at, **values)
    once = statement.on_conflict_do_nothing().returning(autopay_notices.c.process_date)
    return (await uow.execute(once)).first() is not None
