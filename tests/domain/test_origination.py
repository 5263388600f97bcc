"""Booking: what the program and the calendar allow, and what is disclosed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from domain.apr import apr, round_apr
from domain.errors import InvalidInput, InvalidTerms
from domain.money import MAX_MINOR
from domain.origination import (
    book,
    check_booking_date,
    check_disbursement_date,
    check_loan_number,
    check_terms,
    months_of_periods,
    periods_of_months,
    why_no_apr,
)
from domain.program import DueDateRoll, FirstPeriod, Frequency, Limits, PeriodInterest, Program
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE


def test_the_example_loan_is_booked_as_printed() -> None:
    booked = book(EXAMPLE)
    assert (booked.schedule.level_payment, booked.schedule.rows[-1].payment) == (29_747, 29_686)
    assert (booked.schedule.finance_charge, booked.schedule.total_of_payments) == (70_831, 1_070_831)
    assert str(booked.apr) == "4.4966"


@pytest.mark.parametrize(
    ("changes", "payments", "reason"),
    [
        # a cent is financed, and a month later 10 ** 9 times as much is paid and its interest
        ({"principal": 10**9, "prepaid_finance_charge": 10**9 - 1, "periods": 1}, None, "no rate makes the payments worth"),
        ({}, [(date(2020, 10, 9), 999_999)], "the payments are less than the advances"),
        ({}, None, None),
    ],
)
def test_a_loan_without_an_apr_says_why(
    changes: dict[str, Any], payments: list[tuple[date, int]] | None, reason: str | None
) -> None:
    terms = replace(EXAMPLE, **changes)
    booked = book(terms)
    why = why_no_apr(terms, payments or [(row.due_date, row.payment) for row in booked.schedule.rows])
    assert (why is None) == (reason is None)
    assert reason is None or reason in str(why)
    assert payments or (booked.apr is None) == (why is not None)


@pytest.mark.parametrize("periods", [1, 2, 4, 12, 60])
@pytest.mark.parametrize(
    ("start", "first"),
    [
        (date(2020, 9, 9), date(2020, 10, 9)),
        (date(2020, 9, 9), date(2020, 9, 20)),
        (date(2020, 9, 9), date(2020, 11, 30)),
        (date(2020, 1, 31), date(2020, 2, 29)),
        (date(2020, 12, 31), date(2021, 1, 31)),
    ],
)
def test_the_disclosed_apr_is_that_of_the_inferred_unit_period(periods: int, start: date, first: date) -> None:
    terms = replace(EXAMPLE, periods=periods, contract_date=start, first_due_date=first)
    booked = book(terms)
    inferred = apr([(start, terms.principal)], [(row.due_date, row.payment) for row in booked.schedule.rows])
    assert booked.apr == round_apr(inferred, 4)


@pytest.mark.parametrize(
    "program",
    [
        Program(frequency=Frequency.ANNUALLY, period_interest=PeriodInterest.DAY_COUNT),
        Program(frequency=Frequency.QUARTERLY, first_period=FirstPeriod.ACTUAL_365),
    ],
    ids=["a leap year", "a long first period"],
)
def test_a_loan_whose_level_payment_does_not_cover_the_interest_is_not_booked(program: Program) -> None:
    start = date(2025, 12, 1)
    terms = LoanTerms(program, 1_000_000, Fraction(1), 60, start, start + timedelta(days=366))
    with pytest.raises(InvalidTerms) as refused:
        book(terms)
    (error,) = refused.value.errors
    assert error.pointer == "/interest_rate"
    assert "does not cover the interest of instalment" in error.message


def test_no_amount_of_a_loan_is_beyond_the_largest_amount() -> None:
    single = replace(EXAMPLE, program=Program(frequency=Frequency.SINGLE), periods=1, principal=MAX_MINOR)
    with pytest.raises(InvalidTerms) as refused:
        book(single)
    (error,) = refused.value.errors
    assert error.pointer == "/principal_amount"
    assert "9999999999999.99" in error.message
    assert book(replace(single, annual_rate=Fraction(0))).schedule.total_of_payments == MAX_MINOR


@pytest.mark.parametrize("number", ["LN-0001", "LN-999999999999", "A-7", "LN-1234567890123X"])
def test_a_loan_number_is_a_short_text(number: str) -> None:
    assert check_loan_number(f" {number} ", "/loan_number") == number


@pytest.mark.parametrize("number", ["", " ", "x" * 51, "a\tb", "LN-" + "9" * 13])
def test_a_loan_number_that_would_exhaust_the_series_is_refused(number: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_loan_number(number, "/loan_number")
    assert refused.value.errors[0].pointer == "/loan_number"


def test_due_dates_are_rolled_where_the_program_rolls() -> None:
    program = replace(EXAMPLE.program, due_date_roll=DueDateRoll.NEXT)
    rows = book(replace(EXAMPLE, program=program)).schedule.rows
    assert rows[1].due_date == date(2020, 11, 9)
    assert rows[4].due_date == date(2021, 2, 9)
    assert all(row.due_date.weekday() < 5 for row in rows)


@pytest.mark.parametrize(
    ("frequency", "first", "days", "refused_as"),
    [
        ("monthly", date(2020, 9, 12), (), "rolled to 2020-09-11, which is not after 2020-09-11"),
        ("semimonthly", date(2020, 9, 15), (14, 15), "rolled to 2020-11-13, which is not after 2020-11-13"),
    ],
)
def test_due_dates_that_roll_onto_an_earlier_date_are_refused(
    frequency: str, first: date, days: tuple[int, ...], refused_as: str
) -> None:
    program = replace(EXAMPLE.program, due_date_roll=DueDateRoll.PREVIOUS, frequency=Frequency(frequency))
    terms = replace(EXAMPLE, program=program, contract_date=date(2020, 9, 11), first_due_date=first, due_days=days)
    with pytest.raises(InvalidTerms) as refused:
        check_terms(terms)
    (error,) = refused.value.errors
    assert (error.pointer, error.message) == ("/first_payment_date", f"a due date is {refused_as}")


def test_every_field_outside_the_programs_limits_is_named() -> None:
    limits = Limits(100, 200, Fraction(1, 100), Fraction(2, 100), 12, 24)
    with pytest.raises(InvalidTerms) as refused:
        check_terms(replace(EXAMPLE, program=replace(EXAMPLE.program, limits=limits)))
    found = {error.pointer: error.message for error in refused.value.errors}
    assert found == {
        "/principal_amount": "the program allows from 1.00 to 2.00",
        "/interest_rate": "the program allows from 0.01 to 0.02",
        "/term_periods": "the program allows from 12 to 24",
    }


@pytest.mark.parametrize(
    ("frequency", "months", "periods"),
    [("monthly", 36, 36), ("weekly", 12, 52), ("biweekly", 6, 13), ("semimonthly", 3, 6), ("quarterly", 9, 3)],
)
def test_a_term_in_months_is_a_number_of_periods_and_back(frequency: str, months: int, periods: int) -> None:
    assert periods_of_months(Frequency(frequency), months) == periods
    assert months_of_periods(Frequency(frequency), periods) == months


@pytest.mark.parametrize(("frequency", "months"), [("quarterly", 10), ("annually", 6), ("weekly", 1)])
def test_months_that_are_no_whole_number_of_periods_are_refused(frequency: str, months: int) -> None:
    with pytest.raises(InvalidInput):
        periods_of_months(Frequency(frequency), months)


def test_a_single_payment_loan_has_one_period() -> None:
    single = replace(EXAMPLE, program=Program(frequency=Frequency.SINGLE), first_due_date=date(2022, 9, 9))
    check_terms(replace(single, periods=1))
    with pytest.raises(InvalidTerms):
        check_terms(replace(single, periods=2))


def test_dates_are_between_origination_and_the_first_due_date() -> None:
    today = date(2020, 9, 20)
    check_booking_date(EXAMPLE.contract_date, today)
    check_disbursement_date(EXAMPLE, today, today)
    for on in (date(2020, 9, 8), date(2020, 9, 21)):
        with pytest.raises(InvalidInput):
            check_disbursement_date(EXAMPLE, on, today)
    with pytest.raises(InvalidInput):
        check_disbursement_date(EXAMPLE, date(2020, 10, 9), date(2020, 12, 1))
    with pytest.raises(InvalidInput):
        check_booking_date(date(2022, 1, 1), today)
