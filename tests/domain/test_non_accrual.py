"""Non-accrual: interest of a loan long past due is memo until it is received."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from domain.errors import WrongState
from domain.events import (
    Chargeback,
    ChargedOff,
    Event,
    EventBody,
    NonAccrualSet,
    PaymentReceived,
    Waived,
    WaiverTarget,
)
from domain.journal import EntryKind
from domain.program import LateFee
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from tests.domain.loans import LEVEL, assert_books_agree, boarded, history, moves, run, under

TERMS = under(non_accrual_days=90, late_fee=LateFee())
DUE = date(2020, 10, 9)
BEGINS = date(2021, 1, 7)
"""90 days past due. Three instalments are due; the fourth period has run 29 of 31 days."""
ACCRUED = 3699 + 3652 + 3554 + round(3456 * 29 / 31)


def after(on: date, *happened: tuple[date, EventBody], terms: LoanTerms = TERMS) -> Replay:
    result = replay(terms, history(*happened, terms=terms), on)
    assert_books_agree(result)
    return result


def paid(on: date, amount: int, payment_id: str = "p") -> tuple[date, EventBody]:
    return on, PaymentReceived(amount, payment_id)


def test_it_begins_at_the_opening_of_the_day_the_days_past_due_reach() -> None:
    before, on = after(BEGINS - timedelta(days=1)).state, after(BEGINS)
    assert (before.non_accrual, before.non_accrual_interest, before.days_past_due) == (False, 0, 89)
    assert (on.state.non_accrual, on.state.days_past_due) == (True, 90)
    assert on.state.non_accrual_interest == on.state.accrued_interest == ACCRUED
    assert on.entries[-1].kind is EntryKind.NON_ACCRUAL
    assert moves(on.entries[-1]) == [(4000, 1110, ACCRUED), (9110, 9900, ACCRUED)]


def test_a_loan_boarded_past_due_enough_begins_on_non_accrual_whatever_day_it_is_seen() -> None:
    first = Event(1, date(2021, 3, 1), boarded(principal=900_000, interest=5000, oldest=DUE))
    for later in range(4):
        result = replay(TERMS, [first], date(2021, 3, 1) + timedelta(days=later))
        assert [e.effective_date for e in result.entries if e.kind is EntryKind.NON_ACCRUAL] == [date(2021, 3, 1)]


def test_interest_earned_from_then_on_is_memo() -> None:
    result = after(date(2021, 2, 9))
    assert sum(result.accruals.values()) == ACCRUED
    assert sum(result.memo_accruals.values()) == 3699 + 3652 + 3554 + 3456 + 3358 - ACCRUED
    assert set(result.memo_accruals) == {date(2021, 1, 1), date(2021, 2, 1)}


def test_interest_received_is_income_then() -> None:
    day = date(2021, 1, 20)
    result = after(day, paid(day, LEVEL))
    assert moves(result.entries[-1]) == [
        (1010, 4000, 14361),
        (1010, 1100, LEVEL - 14361),
        (9900, 9110, 14361),
    ]
    assert result.state.non_accrual


def test_it_ends_when_the_loan_is_not_past_due_at_all() -> None:
    day = date(2021, 1, 20)
    owed = after(day).state.past_due_amount
    short = after(day, paid(day, owed - 1))
    assert short.state.non_accrual
    cured = after(day, paid(day, owed))
    unpaid = cured.state.accrued_interest
    assert unpaid > 0
    assert (cured.state.non_accrual, cured.state.non_accrual_interest) == (False, 0)
    assert moves(cured.entries[-1]) == [(1110, 4000, unpaid), (9900, 9110, unpaid)]
    assert sum(after(date(2021, 2, 8), paid(day, owed)).memo_accruals.values()) == sum(cured.memo_accruals.values())


def test_it_ends_with_the_payoff() -> None:
    day = date(2021, 1, 20)
    quote = after(day).state.payoff
    assert quote is not None
    result = after(date(2021, 3, 1), paid(day, quote.total))
    assert (result.state.non_accrual, result.state.non_accrual_interest) == (False, 0)


def test_it_begins_again_when_the_loan_is_as_late_again() -> None:
    day = date(2021, 1, 20)
    owed = after(day).state.past_due_amount
    loan = after(date(2021, 5, 10), paid(day, owed))
    assert loan.state.non_accrual  # 90 days after 9 February
    begins = [entry.effective_date for entry in loan.entries if entry.kind is EntryKind.NON_ACCRUAL]
    assert begins == [BEGINS, day, date(2021, 5, 10)]


def test_a_waiver_of_memo_interest_is_memo() -> None:
    result = after(BEGINS, (BEGINS, Waived("w", WaiverTarget.INTEREST)))
    assert moves(result.entries[-1]) == [(9900, 9110, ACCRUED)]


def test_a_chargeback_of_interest_is_no_income_any_more() -> None:
    day = date(2021, 1, 20)
    result = after(day, paid(day, LEVEL), (day, Chargeback("c", "p", 5000)))
    assert moves(result.entries[-1]) == [(4000, 1010, 5000), (9110, 9900, 5000)]


def test_a_loan_boarded_that_late_begins_on_non_accrual() -> None:
    day = date(2021, 1, 20)
    first = Event(1, day, boarded(principal=900_000, interest=10_000, oldest=DUE))
    result = run(day, terms=TERMS, first=first)
    assert_books_agree(result)
    assert (result.state.non_accrual, result.state.non_accrual_interest) == (True, 10_000)


def test_a_person_puts_it_on_until_a_person_takes_it_off() -> None:
    day = date(2020, 9, 24)
    on, off = (day, NonAccrualSet(True, "bankruptcy")), (date(2020, 11, 2), NonAccrualSet(False, "discharged"))
    result = after(date(2020, 11, 1), on, paid(DUE, LEVEL))
    assert result.state.non_accrual
    ended = after(date(2020, 11, 2), on, paid(DUE, LEVEL), off)
    assert (ended.state.non_accrual, ended.state.non_accrual_interest) == (False, 0)


def test_taken_off_by_a_person_it_begins_by_itself_only_after_the_loan_was_current() -> None:
    off = (date(2021, 1, 8), NonAccrualSet(False, "well secured"))
    assert not after(date(2021, 4, 1), off).state.non_accrual
    day = date(2021, 1, 20)
    cured = paid(day, after(day, off).state.past_due_amount)
    assert after(date(2021, 6, 1), off, cured).state.non_accrual


def test_on_one_day_it_may_change_more_than_once() -> None:
    day = date(2020, 9, 24)
    changes = [(day, NonAccrualSet(on, "judgement")) for on in (True, False, True, True)]
    result = after(day, *changes)
    keys = [entry.key for entry in result.entries if entry.kind is EntryKind.NON_ACCRUAL]
    assert keys == ["non_accrual:2020-09-24", "non_accrual:2020-09-24:2", "non_accrual:2020-09-24:3"]


def test_only_an_active_loan_is_put_on() -> None:
    with pytest.raises(WrongState, match="it earns no interest"):
        after(BEGINS, (DUE, ChargedOff("fraud")), (BEGINS, NonAccrualSet(True, "late")))
