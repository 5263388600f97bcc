"""What is true of every loan that is paid and modified in any order, whatever its program and interest method."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import Refusal
from domain.events import Boarded, Disbursed, Event, PaymentReceived
from domain.loan import Instalment, InstalmentStatus, LoanStatus, state_hash
from domain.payoff import payoff_quote
from domain.program import InterestMethod, PayoffInterest
from domain.replay import preview, replay
from tests.domain.loans import assert_books_agree
from tests.domain.modified import Life, lives, modifications
from tests.properties.budget import tries

FAST = tries(50)
EACH_METHOD = pytest.mark.parametrize("method", list(InterestMethod))


def _lent(life: Life) -> int:
    body = life.events[0].body
    assert isinstance(body, Disbursed | Boarded)
    return body.amount if isinstance(body, Disbursed) else body.principal


def _curtailed(life: Life, day: date) -> int:
    """Principal paid with no instalment."""
    lines = [line for a in replay(life.terms, life.events, day).allocations.values() for line in a.lines]
    return sum(line.amount for line in lines if line.instalment_number is None and line.fee_key is None)


def _assert_sound(row: Instalment) -> None:
    assert row.payment == row.principal + row.interest
    assert 0 <= row.principal_paid <= row.principal
    assert 0 <= row.interest_paid <= row.interest
    if row.status is InstalmentStatus.DEFERRED:
        assert (row.principal, row.interest) == (row.principal_paid, row.interest_paid)


@EACH_METHOD
@FAST
@given(st.data())
def test_books_balances_and_instalments_agree_on_every_day(method: InterestMethod, data: st.DataObject) -> None:
    life = data.draw(lives(method))
    for day in life.days():
        result = replay(life.terms, life.events, day)
        loan = result.state
        assert_books_agree(result)
        assert min(loan.principal_balance, loan.accrued_interest, loan.fees_balance, loan.unapplied) >= 0
        for row in loan.instalments:
            _assert_sound(row)
        outstanding = sum(row.principal - row.principal_paid for row in loan.instalments)
        assert outstanding == loan.principal_balance
        assert sum(row.principal for row in loan.instalments) + _curtailed(life, day) == _lent(life)
        assert [row.number for row in loan.instalments] == sorted({row.number for row in loan.instalments})
        assert all(before.due_date < after.due_date for before, after in pairwise(loan.instalments))


@EACH_METHOD
@FAST
@given(st.data(), st.randoms(use_true_random=False))
def test_backdating_is_entering_in_order(method: InterestMethod, data: st.DataObject, random: Random) -> None:
    """The order of recording on different days, and that of giving the events, make no difference."""
    life = data.draw(lives(method))
    days = [event.effective_date for event in life.events]
    assume(len(set(days)) == len(days))
    sequences = [event.sequence for event in life.events]
    random.shuffle(sequences)
    shuffled = [Event(n, event.effective_date, event.body) for n, event in zip(sequences, life.events, strict=True)]
    random.shuffle(shuffled)
    end = life.end + timedelta(days=40)
    assert state_hash(replay(life.terms, shuffled, end).state) == state_hash(replay(life.terms, life.events, end).state)


@EACH_METHOD
@FAST
@given(st.data())
def test_what_was_is_not_changed_by_a_later_modification(method: InterestMethod, data: st.DataObject) -> None:
    life = data.draw(lives(method))
    last = replay(life.terms, life.events, life.end + timedelta(days=400))
    for day in life.days()[::3]:
        then = replay(life.terms, life.events, day)
        assert list(then.entries) == [entry for entry in last.entries if entry.effective_date <= day]
        first = day.replace(day=1)
        earlier = {month: amount for month, amount in last.accruals.items() if month < first}
        assert {month: amount for month, amount in then.accruals.items() if month < first} == earlier


@EACH_METHOD
@FAST
@given(st.data())
def test_a_modification_leaves_what_is_owed_as_it_was(method: InterestMethod, data: st.DataObject) -> None:
    """Nothing owed appears or vanishes with a modification: principal, interest earned, fees and unapplied funds stay,
    within a cent where the period's interest is prorated anew."""
    life = data.draw(lives(method))
    day = life.end
    before = replay(life.terms, life.events, day).state
    body = data.draw(modifications(day))
    try:
        after = replay(life.terms, [*life.events, Event(10**6, day, body)], day).state
    except Refusal:
        return
    assert after.principal_balance == before.principal_balance
    assert (after.fees, after.unapplied, after.total_paid) == (before.fees, before.unapplied, before.total_paid)
    assert abs(after.accrued_interest - before.accrued_interest) <= 1
    assert after.days_past_due <= before.days_past_due


@EACH_METHOD
@FAST
@given(st.data(), st.integers(0, 300))
def test_the_quoted_payoff_of_a_modified_loan_pays_it_off(method: InterestMethod, data: st.DataObject, offset: int) -> None:
    life = data.draw(lives(method))
    day = life.end + timedelta(days=offset)
    loan = replay(life.terms, life.events, day).state
    assume(loan.status is LoanStatus.ACTIVE)
    total = payoff_quote(loan).total
    assert total > 0
    after = preview(life.terms, life.events, total, day, day)
    assert (after.state.status, after.allocation.unapplied) == (LoanStatus.PAID_OFF, 0)
    if life.terms.program.payoff_interest is PayoffInterest.ACCRUED and total > 1:
        assert preview(life.terms, life.events, total - 1, day, day).state.status is LoanStatus.ACTIVE


@EACH_METHOD
@FAST
@given(st.data())
def test_paying_what_the_instalments_say_pays_the_loan_off(method: InterestMethod, data: st.DataObject) -> None:
    """From the last event on, every amount due is paid on its day: the schedule shown is the one that comes true."""
    life = data.draw(lives(method))
    events, state = list(life.events), replay(life.terms, life.events, life.end).state
    assume(state.status is LoanStatus.ACTIVE)
    for number in range(100):
        if state.status is not LoanStatus.ACTIVE:
            break
        day = state.next_due_date or state.as_of
        due = replay(life.terms, events, day).state
        nothing_to_come = due.next_due_date is None and due.payoff is not None
        amount = due.payoff.total if nothing_to_come and due.payoff else due.next_due_amount + due.fees_balance
        events.append(Event(10**6 + number, day, PaymentReceived(max(1, amount), f"x{number}")))
        state = replay(life.terms, events, day).state
    assert state.status is LoanStatus.PAID_OFF
    assert state.principal_balance == state.accrued_interest == 0
