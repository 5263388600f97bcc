"""Late fees: derived, one per instalment, never pyramided."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from domain.fees import late_fee_amount
from domain.journal import EntryKind, corrections
from domain.program import InterestMethod, LateFee, LateFeeKind
from domain.replay import replay
from tests.domain.loans import EXAMPLE, EXAMPLE_PROGRAM, LEVEL, assert_books_agree, events, run, state, under

DUE = [row.due_date for row in state(EXAMPLE.contract_date).instalments]


@pytest.mark.parametrize(
    ("fee", "amount"),
    [
        (LateFee(), 0),
        (LateFee(LateFeeKind.FLAT, flat=3000), 3000),
        (LateFee(LateFeeKind.PERCENT, percent=Fraction(5, 100)), 1487),  # 5 % of 297.47 = 14.8735
        (LateFee(LateFeeKind.GREATER, 1500, Fraction(5, 100)), 1500),
        (LateFee(LateFeeKind.LESSER, 1500, Fraction(5, 100)), 1487),
        (LateFee(LateFeeKind.GREATER, 1500, Fraction(10, 100), cap=2500), 2500),
        (LateFee(LateFeeKind.FLAT, flat=3000, cap=0), 0),
    ],
)
def test_amount_by_the_program(fee: LateFee, amount: int) -> None:
    assert late_fee_amount(replace(EXAMPLE_PROGRAM, late_fee=fee), LEVEL) == amount


def test_assessed_at_the_opening_of_the_day_after_grace() -> None:
    assert state(date(2020, 10, 19)).fees == ()
    (fee,) = state(date(2020, 10, 20)).fees
    assert (fee.key, fee.instalment_number) == ("late_fee:2020-10-09", 1)
    assert (fee.due_date, fee.assessed_on, fee.amount, fee.paid) == (DUE[0], date(2020, 10, 20), 3000, 0)


def test_a_payment_on_the_last_day_of_grace_avoids_it_one_on_the_day_after_pays_it() -> None:
    assert run(date(2020, 10, 20), (date(2020, 10, 19), LEVEL)).state.fees == ()
    allocation = run(date(2020, 10, 20), (date(2020, 10, 20), LEVEL)).allocations["p1"]
    assert (allocation.fees, allocation.interest, allocation.principal) == (3000, 3699, LEVEL - 6699)


def test_a_cent_short_is_late_for_one_fee_only() -> None:
    loan = state(date(2020, 11, 8), (date(2020, 10, 9), LEVEL - 1))
    assert [fee.key for fee in loan.fees] == ["late_fee:2020-10-09"]


def test_every_missed_instalment_bears_one() -> None:
    loan = state(date(2021, 1, 1))
    assert [fee.due_date for fee in loan.fees] == DUE[:3][: len(loan.fees)]
    assert (len(loan.fees), loan.fees_balance) == (3, 9000)


def test_an_instalment_short_only_by_an_earlier_fee_bears_none_and_neither_does_the_next() -> None:
    paid = [(date(2020, 10, 25), LEVEL), *((day, LEVEL) for day in DUE[1:6])]
    result = run(date(2021, 4, 1), *paid)
    assert result.allocations["p1"].fees == 3000
    assert [fee.key for fee in result.state.fees] == ["late_fee:2020-10-09"]
    assert (result.state.past_due_amount, result.state.days_past_due) == (3000, (date(2021, 4, 1) - DUE[5]).days)
    assert_books_agree(result)


def test_a_shortage_beyond_what_fees_took_bears_one() -> None:
    paid = [(date(2020, 10, 25), LEVEL), (DUE[1], LEVEL - 1)]
    assert [fee.due_date for fee in state(date(2020, 11, 20), *paid).fees] == DUE[:2]


def test_money_spent_on_earlier_fees_since_the_period_began_excuses_as_much() -> None:
    # On 12 November, in the period of the instalment of 9 December, the fee and all that is due are paid.
    cured = (date(2020, 11, 12), 2 * LEVEL + 3000)
    short = [DUE[0], DUE[2]]
    assert [fee.due_date for fee in state(date(2021, 1, 1), cured, (DUE[2], LEVEL - 3000)).fees] == short[:1]
    assert [fee.due_date for fee in state(date(2021, 1, 1), cured, (DUE[2], LEVEL - 3001)).fees] == short


def test_a_miss_after_an_excused_shortage_bears_one() -> None:
    paid = [(date(2020, 10, 25), LEVEL), (DUE[1], LEVEL)]
    assert [fee.due_date for fee in state(date(2021, 1, 1), *paid).fees] == [DUE[0], DUE[2]]


def test_a_shortage_long_after_a_fee_was_paid_in_full_bears_one() -> None:
    paid = [(date(2020, 10, 25), LEVEL + 3000), (DUE[1], LEVEL), (DUE[2], LEVEL), (DUE[3], LEVEL - 3000)]
    assert [fee.due_date for fee in state(date(2021, 2, 1), *paid).fees] == [DUE[0], DUE[3]]


def test_a_backdated_payment_makes_the_fee_vanish_and_the_journal_shows_how() -> None:
    as_of = date(2020, 10, 25)
    before = run(as_of)
    after = replay(EXAMPLE, events((date(2020, 10, 9), LEVEL)), as_of)
    assert (len(before.state.fees), after.state.fees) == (1, ())
    posted = corrections(after.entries, before.entries)
    assert [(entry.key, entry.kind) for entry in posted] == [
        ("late_fee:2020-10-09", EntryKind.MIRROR),
        ("payment:p1", EntryKind.PAYMENT),
    ]


@pytest.mark.parametrize("method", InterestMethod)
def test_whether_a_program_has_late_fees_changes_no_interest(method: InterestMethod) -> None:
    """The second instalment is late, the first was not: the day of a fee it does not bear is long past."""
    paid, as_of = (DUE[0], LEVEL), date(2021, 1, 15)
    with_fees = state(as_of, paid, terms=under(interest_method=method))
    without = state(as_of, paid, terms=under(interest_method=method, late_fee=LateFee()))
    assert [fee.due_date for fee in with_fees.fees] == [DUE[1], DUE[2]]
    assert with_fees.accrued_interest == without.accrued_interest


def test_a_fee_is_not_delinquency() -> None:
    loan = state(date(2020, 10, 20), (date(2020, 10, 20), LEVEL), terms=under(allocation_order=_FEES_LAST))
    assert (loan.fees_balance, loan.days_past_due, loan.past_due_amount) == (3000, 0, 0)
    assert loan.next_due_amount == LEVEL


_FEES_LAST = tuple(EXAMPLE_PROGRAM.allocation_order[i] for i in (1, 2, 0))
