"""The status archive's figures: a test per printed formula, and when a loan was late, day by day. Amounts in cents."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.changes import ReAged
from domain.events import ChargedOff, Event, PaymentReceived
from domain.loan import LoanStatus
from domain.program import PayoffInterest
from domain.replay import replay
from domain.rounding import round_minor
from domain.status_archive import Status, delinquency_percent, status_of
from domain.terms import LoanTerms
from tests.domain.cases import load
from tests.domain.loans import EXAMPLE, LEVEL, boarded, events, under

PRINTED: dict[str, Any] = load("example_loan.json")["status_archive"]["printed"]
DAY = date(2022, 5, 11)
PER_DIEM = under(payoff_interest=PayoffInterest.PER_DIEM, payoff_counts_today=True)
PAID = [(date(2020, 10, 9) + timedelta(days=30 * n), LEVEL) for n in range(13)]
"""Thirteen payments: the loan of `DAY` is seven instalments behind."""


def status(on: date, *paid: tuple[date, int], terms: LoanTerms = PER_DIEM) -> Status:
    history = events(*paid, terms=terms)
    return status_of(terms, replay(terms, history, on))


class TestFormulas:
    """Each formula that the printed status object of the example loan reproduces."""

    def test_per_diem_is_rounded_for_display_only(self) -> None:
        found = status(DAY, *PAID)
        exact = found.principal_balance * EXAMPLE.annual_rate / 365
        assert found.per_diem == round_minor(exact)
        assert round_minor(890_204 * EXAMPLE.annual_rate / 365) == amount("perdiem")

    def test_payoff_is_principal_interest_due_days_at_the_unrounded_per_diem_and_fees(self) -> None:
        found = status(DAY, *PAID)
        days = round_minor(3 * found.principal_balance * EXAMPLE.annual_rate / 365)
        assert found.payoff_amount is not None
        assert found.payoff_fees is not None
        assert found.payoff_amount == found.principal_balance + found.due_interest + days + found.payoff_fees
        printed_days = round_minor(3 * 890_204 * EXAMPLE.annual_rate / 365)
        assert amount("principalBalance") + amount("dueInterest") + printed_days + amount("payoffFees") == amount("payoff")

    def test_due_principal_and_interest_is_their_sum(self) -> None:
        found = status(DAY, *PAID)
        assert found.due_principal_and_interest == found.due_interest + found.due_principal > 0
        assert found.due_principal_and_interest == (20 - 13) * LEVEL
        assert amount("dueInterest") + amount("duePrincipal") == amount("duePni")

    def test_loan_age_counts_from_the_contract_date(self) -> None:
        assert status(DAY).loan_age == PRINTED["loanAge"] == 609

    def test_loan_recency_counts_from_the_last_payment(self) -> None:
        last = date.fromisoformat(PRINTED["lastPaymentDate"])
        found = status(DAY, (last, 100_00))
        assert found.loan_recency == PRINTED["loanRecency"] == 5
        assert (found.last_payment_date, found.last_payment_amount) == (last, amount("lastPaymentAmount"))
        assert status(DAY).loan_recency is None

    def test_delinquency_percent_counts_both_ends_of_the_loans_age(self) -> None:
        assert delinquency_percent(PRINTED["delinquentDays"], PRINTED["loanAge"]) == amount("delinquencyPercent")
        assert delinquency_percent(0, 0) == 0
        assert delinquency_percent(1, 2) == 33_33

    def test_the_period_runs_from_the_previous_due_date_to_the_day_before_the_next(self) -> None:
        found = status(DAY)
        assert found.period_start == date.fromisoformat(PRINTED["periodStart"])
        assert found.period_end == date.fromisoformat(PRINTED["periodEnd"])
        assert found.next_payment_date == date.fromisoformat(PRINTED["nextPaymentDate"])
        assert found.period_end == found.next_payment_date - timedelta(days=1)

    def test_periods_remaining_count_from_the_next_to_the_final_payment(self) -> None:
        found = status(DAY)
        assert found.periods_remaining == PRINTED["periodsRemaining"] == 16
        assert found.final_payment_date == date.fromisoformat(PRINTED["finalPaymentDate"])

    def test_interest_accrued_today_adds_up_to_what_was_earned(self) -> None:
        days = [EXAMPLE.contract_date + timedelta(days=n) for n in range(62)]
        found = [status(day, (date(2020, 10, 7), LEVEL)) for day in days]
        assert found[0].interest_accrued_today == 0
        paid = replay(PER_DIEM, events((date(2020, 10, 7), LEVEL)), days[-1]).allocations["p1"].interest
        assert sum(s.interest_accrued_today for s in found) == found[-1].accrued_interest + paid


def amount(name: str) -> int:
    whole, cents = PRINTED[name].split(".")
    return int(whole) * 100 + int(cents)


class TestPeriods:
    def test_the_first_begins_on_the_contract_date(self) -> None:
        found = status(date(2020, 9, 20))
        assert (found.period_start, found.period_end) == (date(2020, 9, 9), date(2020, 10, 8))

    def test_a_due_date_begins_the_next_one(self) -> None:
        found = status(date(2020, 10, 9))
        assert (found.period_start, found.period_end) == (date(2020, 10, 9), date(2020, 11, 8))
        assert found.next_payment_date == date(2020, 10, 9)
        assert found.periods_remaining == 36

    def test_after_the_last_due_date_there_is_none(self) -> None:
        found = status(date(2023, 9, 9))
        assert (found.period_start, found.period_end) == (None, None)

    def test_a_loan_that_is_paid_off_has_nothing_left(self) -> None:
        found = status(date(2020, 12, 1), (date(2020, 11, 1), 1_100_000))
        assert found.status is LoanStatus.PAID_OFF
        nothing = (found.amount_due, found.per_diem, found.periods_remaining, found.final_payment_amount)
        assert nothing == (0, 0, 0, 0)
        assert (found.payoff_amount, found.period_end, found.next_payment_date) == (None, None, None)
        assert found.unapplied_balance > 0


# payments of the example loan, the day, and (first late, times late, days late, last current, last less than 30 late)
LATE: list[tuple[str, list[tuple[str, int]], str, tuple[Any, ...]]] = [
    ("never late", [("2020-10-09", LEVEL)], "2020-11-09", (None, 0, 0, "2020-11-09", None)),
    ("a day late", [], "2020-10-10", ("2020-10-10", 1, 1, "2020-10-09", None)),
    ("late and paid", [("2020-10-12", LEVEL)], "2020-11-09", ("2020-10-10", 1, 2, "2020-11-09", None)),
    ("two instalments, one run", [], "2020-11-20", ("2020-10-10", 1, 42, "2020-10-09", "2020-11-07")),
    ("30 days late", [], "2020-11-08", ("2020-10-10", 1, 30, "2020-10-09", "2020-11-07")),
    ("29 days late", [], "2020-11-07", ("2020-10-10", 1, 29, "2020-10-09", None)),
    ("late twice", [("2020-10-12", LEVEL)], "2020-11-11", ("2020-10-10", 2, 4, "2020-11-09", None)),
    ("paid off late", [("2020-10-15", 1_100_000)], "2021-01-01", ("2020-10-10", 1, 5, "2021-01-01", None)),
]


@pytest.mark.parametrize(("name", "paid", "on", "expected"), LATE, ids=[row[0] for row in LATE])
def test_when_a_loan_was_late(name: str, paid: list[tuple[str, int]], on: str, expected: tuple[Any, ...]) -> None:
    found = status(date.fromisoformat(on), *((date.fromisoformat(day), cents) for day, cents in paid), terms=NO_FEES)
    first, times, days, current, current_30 = expected
    assert (found.delinquency_count, found.delinquent_days) == (times, days)
    assert found.first_delinquency_date == (first and date.fromisoformat(first))
    assert found.last_current_date == date.fromisoformat(current)
    assert found.last_current_30_date == (current_30 and date.fromisoformat(current_30))


NO_FEES = under(late_fee=replace(EXAMPLE.program.late_fee, flat=0))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 90_000)), max_size=6), st.integers(0, 260))
def test_delinquent_days_are_the_days_with_days_past_due(paid: list[tuple[int, int]], last: int) -> None:
    """The closed form equals looking at every day of the loan's life."""
    start = EXAMPLE.contract_date
    history = events(*((start + timedelta(days=day), cents) for day, cents in paid))
    days = [replay(EXAMPLE, history, start + timedelta(days=n)) for n in range(last + 1)]
    late = [day.state.as_of for day in days if day.state.days_past_due]
    found = status_of(EXAMPLE, days[-1])
    assert found.delinquent_days == len(late)
    assert found.first_delinquency_date == (late[0] if late else None)
    runs = sum(day - timedelta(days=1) not in set(late) for day in late)
    assert found.delinquency_count == runs


def test_an_instalment_within_the_tolerance_is_not_late_from_the_payment_that_brought_it_there() -> None:
    terms = under(delinquency_tolerance=5_00, late_fee=replace(EXAMPLE.program.late_fee, flat=0))
    history = events((date(2020, 10, 15), LEVEL - 5_00), terms=terms)
    found = status_of(terms, replay(terms, history, date(2020, 11, 1)))
    assert found.delinquent_days == 5


def test_a_boarded_loan_is_late_from_its_boarding_on() -> None:
    first = Event(1, date(2021, 3, 1), boarded(principal=900_000, interest=20_00, oldest=date(2021, 1, 9), level=LEVEL))
    found = status_of(EXAMPLE, replay(EXAMPLE, [first], date(2021, 3, 5)))
    assert (found.first_delinquency_date, found.delinquent_days) == (date(2021, 3, 1), 5)
    assert (found.last_current_date, found.days_past_due) == (None, 55)


def test_net_charge_off_is_the_principal_charged_off_less_what_was_recovered() -> None:
    day = date(2021, 3, 1)
    history = [*events(), Event(2, day, ChargedOff("uncollectible"))]
    found = status_of(EXAMPLE, replay(EXAMPLE, history, day))
    assert (found.status, found.net_charge_off) == (LoanStatus.CHARGED_OFF, 1_000_000)
    assert (found.amount_due, found.past_due_30_amount, found.payoff_amount) == (found.due_fees, 0, None)
    history.append(Event(3, day, PaymentReceived(400_00, "recovered")))
    assert status_of(EXAMPLE, replay(EXAMPLE, history, day)).net_charge_off == 1_000_000 - 400_00


def test_days_late_before_a_modification_stay_days_late() -> None:
    """A re-age makes a loan current; it does not change when it was late."""
    day = date(2020, 11, 20)
    history = [*events(terms=NO_FEES), Event(2, day, ReAged())]
    found = status_of(NO_FEES, replay(NO_FEES, history, day))
    assert (found.days_past_due, found.first_delinquency_date) == (0, date(2020, 10, 10))
    assert found.delinquent_days == (day - date(2020, 10, 10)).days
