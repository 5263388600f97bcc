"""Actions: one way for every kind of event. What a preview shows is what is then done; what is refused changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.changes import Deferred, DueDateChanged, Extended, Forborne, RateChanged, ReAged, ReAmortized
from domain.errors import InvalidInput, NotFound, Refusal, WrongState
from domain.events import (
    Chargeback,
    ChargedFee,
    ChargedOff,
    EventBody,
    EventKind,
    FeeCharged,
    NonAccrualSet,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
    Waived,
    WaiverTarget,
)
from domain.loan import LoanStatus, state_hash
from domain.program import ExtraMoney
from domain.terms import LoanTerms
from infra.db.models.servicing import journal_entries, loan_events
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.actions import Acted, act, preview
from services.payments import RecordPayment, record
from tests.domain.loans import EXAMPLE, under
from tests.services.lending import UowOf, active_loan, assert_consistent, counts, jump, loan_row, run_date

TODAY = date(2020, 11, 20)
PAYMENT = new_id()
Make = Callable[[str], EventBody]


LEVEL = 297_47
LATE = "late_fee:2020-11-09"
KEEPS_EXTRA = under(extra_money=ExtraMoney.UNAPPLIED)


class Case(NamedTuple):
    """An action on a loan that was paid `paid` on its first due date. `first`: what must be recorded before. `on`: its
    effective date."""

    make: Make
    on: date | None = None
    first: tuple[Make, ...] = ()
    paid: int = LEVEL
    terms: LoanTerms = EXAMPLE
    payment_id: UUID | None = None


CASES: dict[EventKind, Case] = {
    EventKind.FEE_CHARGED: Case(lambda name: FeeCharged(name, ChargedFee.OTHER, 25_00), date(2020, 11, 2)),
    EventKind.WAIVED: Case(lambda name: Waived(name, WaiverTarget.FEE, LATE)),
    EventKind.UNAPPLIED_APPLIED: Case(
        lambda name: UnappliedApplied(name, 5_00),
        first=(lambda name: FeeCharged(name, ChargedFee.OTHER, 5_00),),
        paid=2 * LEVEL + 50_00,
        terms=KEEPS_EXTRA,
    ),
    EventKind.REFUNDED: Case(lambda name: Refunded(name, 5_00), paid=2 * LEVEL + 50_00, terms=KEEPS_EXTRA),
    EventKind.REFUND_SENT: Case(
        lambda name: RefundSent("4"),
        first=(lambda name: Refunded(name, 5_00),),
        paid=2 * LEVEL + 50_00,
        terms=KEEPS_EXTRA,
    ),
    EventKind.REIMBURSED: Case(lambda name: Reimbursed(name, 10_00)),
    EventKind.REIMBURSEMENT_SENT: Case(lambda name: ReimbursementSent("4"), first=(lambda name: Reimbursed(name, 10_00),)),
    EventKind.CHARGED_OFF: Case(lambda name: ChargedOff("uncollectible")),
    EventKind.CHARGEBACK: Case(lambda name: Chargeback(name, str(PAYMENT), 100_00), payment_id=PAYMENT),
    EventKind.NON_ACCRUAL_SET: Case(lambda name: NonAccrualSet(True, "doubtful")),
    EventKind.RATE_CHANGED: Case(lambda name: RateChanged(Fraction(3, 100), None, False), date(2020, 11, 9)),
    EventKind.DEFERRED: Case(lambda name: Deferred(2, accrue=True, to_end=True)),
    EventKind.FORBORNE: Case(lambda name: Forborne(date(2021, 1, 31), accrue=True, payment=None)),
    EventKind.EXTENDED: Case(lambda name: Extended(6, reamortize=True)),
    EventKind.DUE_DATE_CHANGED: Case(lambda name: DueDateChanged(date(2020, 12, 15))),
    EventKind.RE_AGED: Case(lambda name: ReAged()),
    EventKind.RE_AMORTIZED: Case(lambda name: ReAmortized(24)),
}
OWN_WAYS = {EventKind.DISBURSED, EventKind.BOARDED, EventKind.PAYMENT_RECEIVED, EventKind.PAYMENT_SETTLED}


def test_every_kind_that_staff_record_is_here() -> None:
    assert set(CASES) == set(EventKind) - OWN_WAYS


async def loan_for(uow_of: UowOf, tenant: UUID, case: Case) -> UUID:
    """The loan of a case on `TODAY`, its payment the events 2 and 3."""
    loan_id = await active_loan(uow_of, tenant, case.terms)
    await jump(uow_of, tenant, date(2020, 10, 9))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, case.paid, "check", payment_id=case.payment_id))
        await uow.commit()
    await jump(uow_of, tenant, TODAY)
    for make in case.first:
        async with uow_of(tenant) as uow:
            await act(uow, loan_id, make, None, "before")
            await uow.commit()
    return loan_id


async def do(uow: UnitOfWork, loan_id: UUID, case: Case, reason: str = "agreed") -> Acted:
    return await act(uow, loan_id, case.make, case.on, reason)


@pytest.mark.parametrize("kind", CASES)
async def test_a_preview_is_what_is_then_done_and_writes_nothing(uow_of: UowOf, tenant: UUID, kind: EventKind) -> None:
    case = CASES[kind]
    loan_id = await loan_for(uow_of, tenant, case)
    async with uow_of(tenant) as uow:
        before = await counts(uow)
        seen = await preview(uow, loan_id, case.make, case.on)
        assert await counts(uow) == before
    async with uow_of(tenant) as uow:
        done = await do(uow, loan_id, case)
        await uow.commit()
    assert done == seen
    assert (done.event.kind, done.event.effective_date) == (kind, case.on or TODAY)
    async with uow_of(tenant) as uow:
        row = await loan_row(uow, loan_id)
        assert row["state_hash"] == state_hash(seen.corrected.correction.after)
        posted = await uow.all(
            select(journal_entries).where(
                journal_entries.c.loan_id == loan_id, journal_entries.c.posted_at >= await _recorded(uow, loan_id)
            )
        )
        shown = [(entry.key, str(entry.kind), day) for entry, day in seen.corrected.postings]
        assert sorted((r["entry_key"], r["kind"], r["posting_date"]) for r in posted) == sorted(shown)


async def _recorded(uow: UnitOfWork, loan_id: UUID) -> object:
    events = loan_events.c
    newest = select(events.recorded_at).where(events.loan_id == loan_id).order_by(events.sequence.desc()).limit(1)
    return (await uow.execute(newest)).scalar_one()


async def test_the_reason_is_in_the_history_and_in_the_audit_trail(uow_of: UowOf, tenant: UUID) -> None:
    case = CASES[EventKind.WAIVED]
    loan_id = await loan_for(uow_of, tenant, case)
    async with uow_of(tenant) as uow:
        done = await do(uow, loan_id, case, "a first offence")
        event = await uow.one(
            select(loan_events).where(loan_events.c.loan_id == loan_id, loan_events.c.sequence == done.event.sequence),
            "event",
        )
        audit = await uow.one(select(audit_log).where(audit_log.c.action == "loan.waived"), "audit")
    assert (event["kind"], event["reason"]) == ("waived", "a first offence")
    assert (audit["reason"], audit["object_id"], audit["after"]["number"]) == ("a first offence", loan_id, event["sequence"])
    assert audit["after"]["data"]["fee_key"] == LATE


async def test_an_action_of_the_past_changes_what_came_after(uow_of: UowOf, tenant: UUID) -> None:
    """A deferment from before the due date: the instalment was never late, so its fee vanishes."""
    case = Case(lambda name: Deferred(1, accrue=True, to_end=True), date(2020, 11, 1))
    loan_id = await loan_for(uow_of, tenant, case)
    async with uow_of(tenant) as uow:
        change = (await do(uow, loan_id, case)).corrected.correction
        await assert_consistent(uow, loan_id)
    assert (change.before.fees_balance, change.after.fees_balance) == (30_00, 0)
    assert (change.before.days_past_due, change.after.days_past_due) == (11, 0)


# the action, its effective date, and what it is refused with
REFUSED: list[tuple[str, Make, date | None, type[Refusal], str]] = [
    ("tomorrow", lambda name: ReAged(), date(2020, 11, 21), InvalidInput, "/effective_date"),
    ("before the loan", lambda name: ReAged(), date(2020, 9, 8), InvalidInput, "/effective_date"),
    ("more than the fee", lambda name: Waived(name, WaiverTarget.FEE, LATE, 30_01), None, InvalidInput, "/amount"),
    ("no such fee", lambda name: Waived(name, WaiverTarget.FEE, "late_fee:2020-12-09"), None, InvalidInput, "/fee_key"),
    ("a rate for no day", lambda name: RateChanged(Fraction(0), TODAY, False), None, InvalidInput, "/until"),
    ("no periods", lambda name: Extended(0, True), None, InvalidInput, "/periods"),
    ("a due date in the past", lambda name: DueDateChanged(date(2020, 11, 1)), None, InvalidInput, "/new_first_due"),
    ("a payment of nobody", lambda name: Chargeback(name, str(new_id()), 1), None, InvalidInput, "/payment_id"),
]


@pytest.mark.parametrize(("name", "make", "on", "refusal", "pointer"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_what_is_refused_names_its_field_and_changes_nothing(
    uow_of: UowOf, tenant: UUID, name: str, make: Make, on: date | None, refusal: type[Refusal], pointer: str
) -> None:
    loan_id = await loan_for(uow_of, tenant, CASES[EventKind.WAIVED])
    async with uow_of(tenant) as uow:
        before = await counts(uow), dict(await loan_row(uow, loan_id))
        for attempt in (act(uow, loan_id, make, on, "agreed"), preview(uow, loan_id, make, on)):
            with pytest.raises(refusal) as refused:
                await attempt
            assert [error.pointer for error in refused.value.errors] == [pointer]
        assert (await counts(uow), dict(await loan_row(uow, loan_id))) == before


async def test_a_state_that_forbids_it_is_named(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await loan_for(uow_of, tenant, CASES[EventKind.CHARGED_OFF]._replace(paid=10_100_00))
    async with uow_of(tenant) as uow:
        with pytest.raises(WrongState) as refused:
            await act(uow, loan_id, lambda name: ChargedOff("uncollectible"), None, "agreed")
    assert refused.value.state == LoanStatus.PAID_OFF


async def test_a_later_event_that_would_become_impossible_is_named(uow_of: UowOf, tenant: UUID) -> None:
    """Unapplied money cannot be refunded twice, not even with the earlier date."""
    loan_id = await loan_for(uow_of, tenant, CASES[EventKind.REFUNDED])
    async with uow_of(tenant) as uow:
        left = (await loan_row(uow, loan_id))["unapplied_balance"]
        await act(uow, loan_id, lambda name: Refunded(name, left), None, "agreed")
        with pytest.raises(WrongState, match=r"Event 4 \(refunded of 2020-11-20\) would be impossible") as refused:
            await act(uow, loan_id, lambda name: Refunded(name, 1_00), date(2020, 11, 1), "agreed")
    assert refused.value.code == "later_event_impossible"


async def test_no_such_loan(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(NotFound):
            await act(uow, new_id(), lambda name: ReAged(), None, "agreed")


async def test_a_loan_that_lags_is_brought_to_today_first(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await run_date(uow_of, tenant, date(2020, 9, 10))
    async with uow_of(tenant) as uow:
        await act(uow, loan_id, lambda name: FeeCharged(name, ChargedFee.OTHER, 25_00), None, "a copy")
        await assert_consistent(uow, loan_id)
