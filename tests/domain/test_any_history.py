"""Whatever happens to a loan, in whatever order: the books are its balances, and money goes nowhere unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refusal
from domain.events import (
    Chargeback,
    ChargedFee,
    ChargedOff,
    Event,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    PaymentReceived,
    PaymentSettled,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
    Waived,
    WaiverTarget,
    event_from_dict,
    event_to_dict,
)
from domain.loan import LoanStatus, state_hash
from domain.program import (
    AllocationScope,
    ChargeOffInterest,
    Component,
    ExtraMoney,
    InterestMethod,
    LateFee,
    LateFeeKind,
    Program,
)
from domain.replay import preview_event, replay
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree, disbursed
from tests.properties.budget import tries

FAST = tries(60)
START = date(2021, 1, 15)

_FEES, _INTEREST, _PRINCIPAL, _PENALTIES = Component.FEES, Component.INTEREST, Component.PRINCIPAL, Component.PENALTIES
ORDERS = [
    (_FEES, _INTEREST, _PRINCIPAL),
    (_PENALTIES, _FEES, _INTEREST, _PRINCIPAL),
    (_PENALTIES, _FEES, _PRINCIPAL, _INTEREST),
    (_INTEREST, _PRINCIPAL, _FEES, _PENALTIES),
    (_PRINCIPAL, _FEES, _INTEREST),
]

programs = st.builds(
    Program,
    allocation_order=st.sampled_from(ORDERS),
    allocation_scope=st.sampled_from(AllocationScope),
    extra_money=st.sampled_from(ExtraMoney),
    instalment_fee=st.sampled_from([0, 0, 250]),
    grace_days=st.integers(0, 15),
    late_fee=st.sampled_from([LateFee(), LateFee(LateFeeKind.FLAT, flat=1500)]),
    charge_off_interest=st.sampled_from(ChargeOffInterest),
    delinquency_tolerance=st.sampled_from([0, 0, 100]),
    non_accrual_days=st.sampled_from([None, 30, 90]),
)

amounts = st.sampled_from([1, 99, 250, 1500, 10_000, 25_500, 60_000, 150_000, 400_000])
bodies: list[st.SearchStrategy[EventBody]] = [
    st.builds(PaymentReceived, amounts, st.just("")),
    st.builds(PaymentReceived, amounts, st.just("")),
    st.builds(PaymentReceived, amounts, st.just(""), withheld=st.sampled_from([1, 5_000])),
    st.builds(FeeCharged, st.just(""), st.sampled_from(ChargedFee), st.sampled_from([100, 2500])),
    st.builds(Waived, st.just(""), st.just(WaiverTarget.INTEREST), amount=st.none() | amounts),
    st.builds(Waived, st.just(""), st.just(WaiverTarget.FEE), st.just("?"), st.none() | amounts),
    st.builds(UnappliedApplied, st.just(""), amounts),
    st.builds(Refunded, st.just(""), amounts, st.none() | st.just(1)),
    st.builds(Reimbursed, st.just(""), amounts),
    st.builds(ChargedOff, st.just("120 days")),
    st.builds(Chargeback, st.just(""), st.just("?"), amounts),
    st.builds(NonAccrualSet, st.booleans(), st.just("judgement")),
    st.just(PaymentSettled("?")),
    st.just(RefundSent("?")),
    st.just(ReimbursementSent("?")),
]
_ID: dict[type, str] = {
    PaymentReceived: "payment_id",
    FeeCharged: "fee_id",
    Waived: "waiver_id",
    UnappliedApplied: "application_id",
    Refunded: "refund_id",
    Reimbursed: "reimbursement_id",
    Chargeback: "chargeback_id",
}
_NAMES: dict[type, tuple[type, str]] = {
    PaymentSettled: (PaymentReceived, "payment_id"),
    Chargeback: (PaymentReceived, "payment_id"),
    RefundSent: (Refunded, "refund_id"),
    ReimbursementSent: (Reimbursed, "reimbursement_id"),
}


class History:
    """A loan to which only possible things happen: what the replay refuses is left out, and changes nothing."""

    def __init__(self, terms: LoanTerms) -> None:
        self.terms = terms
        self.events: list[Event] = [disbursed(terms)]
        self.day = terms.contract_date
        self.refused = 0

    def add(self, body: EventBody, on: date, pick: int) -> None:
        body = self._named(body, pick)
        event = Event(len(self.events) + self.refused + 1, on, body)
        latest = max(self.day, on)
        try:
            replay(self.terms, [*self.events, event], latest)
        except Refusal:
            self.refused += 1
            return
        self.events.append(event)
        self.day = latest

    def _named(self, body: EventBody, pick: int) -> EventBody:
        number = f"n{len(self.events) + self.refused + 1}"
        if type(body) in _ID:
            body = cast(EventBody, replace(cast(Any, body), **{_ID[type(body)]: number}))
        if type(body) in _NAMES:
            kind, name = _NAMES[type(body)]
            ids = [getattr(event.body, name) for event in self.events if isinstance(event.body, kind)]
            body = cast(EventBody, replace(cast(Any, body), **{name: ids[pick % len(ids)] if ids else "none"}))
        if isinstance(body, Waived) and body.target is WaiverTarget.FEE:
            keys = [fee.key for fee in replay(self.terms, self.events, self.day).state.fees]
            body = replace(body, fee_key=keys[pick % len(keys)] if keys else "late_fee:2021-02-15")
        return body


@st.composite
def histories(draw: st.DrawFn, method: InterestMethod) -> History:
    program = replace(draw(programs), interest_method=method)
    periods = draw(st.sampled_from([1, 3, 8]))
    terms = LoanTerms(program, draw(st.sampled_from([50_000, 200_000])), Fraction(9, 100), periods, START, date(2021, 2, 15))
    history = History(terms)
    for _ in range(draw(st.integers(1, 14))):
        on = max(START, history.day + timedelta(days=draw(st.sampled_from([0, 0, 1, 5, 16, 31, 95, -20]))))
        history.add(draw(st.one_of(bodies)), on, draw(st.integers(0, 50)))
    return history


def days_of(history: History) -> list[date]:
    days = {event.effective_date for event in history.events}
    days |= {history.day + timedelta(days=n) for n in (1, 45, 300)}
    return sorted(days | {day - timedelta(days=1) for day in days if day > START})


@pytest.mark.parametrize("method", InterestMethod)
def test_the_books_are_the_balances_on_every_day(method: InterestMethod) -> None:
    @FAST
    @given(histories(method))
    def check(history: History) -> None:
        for day in days_of(history):
            result = replay(history.terms, history.events, day)
            assert_books_agree(result)
            loan = result.state
            least = (loan.principal_balance, loan.accrued_interest, loan.late_fees, loan.nsf_fees, loan.other_fees)
            assert min(*least, loan.unapplied, loan.due_from_borrower, loan.past_due_amount) >= 0
            assert loan.fees_balance == sum(fee.unpaid for fee in loan.fees)
            assert len({entry.key for entry in result.entries}) == len(result.entries)
            if loan.status is LoanStatus.ACTIVE:
                assert loan.principal_balance == sum(row.principal - row.principal_paid for row in loan.instalments)

    check()


@pytest.mark.parametrize("method", InterestMethod)
def test_money_received_is_where_its_allocation_says(method: InterestMethod) -> None:
    @FAST
    @given(histories(method))
    def check(history: History) -> None:
        result = replay(history.terms, history.events, history.day)
        for body in (event.body for event in history.events):
            if isinstance(body, PaymentReceived):
                assert result.allocations[body.payment_id].amount == body.amount
        for allocation in [*result.allocations.values(), *result.applications.values(), *result.chargebacks.values()]:
            lines = sum(line.amount for line in allocation.lines)
            assert lines + allocation.unapplied + allocation.due_from_borrower == allocation.amount
        refunds = [event.body for event in history.events if isinstance(event.body, Refunded)]
        kept = sum(allocation.unapplied for allocation in result.allocations.values())
        kept -= sum(allocation.amount - allocation.unapplied for allocation in result.applications.values())
        kept -= sum(back.unapplied for back in result.chargebacks.values())
        assert result.state.unapplied == kept - sum(body.amount - (body.shortfall or 0) for body in refunds)

    check()


@pytest.mark.parametrize("method", InterestMethod)
def test_a_later_day_never_changes_an_earlier_one(method: InterestMethod) -> None:
    """Replayed once or day after day, the entries up to a day are the same, and so is the state."""

    @FAST
    @given(histories(method))
    def check(history: History) -> None:
        last = replay(history.terms, history.events, history.day + timedelta(days=300))
        for day in days_of(history)[::2]:
            then = replay(history.terms, history.events, day)
            assert list(then.entries) == [entry for entry in last.entries if entry.effective_date <= day]
            for memo in ("accruals", "memo_accruals", "charged_off_accruals"):
                earlier = {month: n for month, n in getattr(last, memo).items() if month < day.replace(day=1)}
                assert {month: n for month, n in getattr(then, memo).items() if month < day.replace(day=1)} == earlier

    check()


@pytest.mark.parametrize("method", InterestMethod)
def test_a_preview_is_what_is_then_done_and_an_event_survives_being_stored(method: InterestMethod) -> None:
    @FAST
    @given(histories(method))
    def check(history: History) -> None:
        *before, last = history.events
        assert event_from_dict(last.kind, event_to_dict(last.body)) == last.body
        if not before:
            return
        seen = preview_event(history.terms, before, last.body, last.effective_date, history.day)
        done = replay(history.terms, history.events, history.day)
        assert state_hash(seen.state) == state_hash(done.state)
        assert (seen.entries, seen.accruals, seen.waivers) == (done.entries, done.accruals, done.waivers)

    check()
