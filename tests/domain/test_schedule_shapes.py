"""Contracts whose schedule is not level: balloon, interest-only and deferred periods, stated payments, odd first periods."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from domain.apr import apr, round_apr
from domain.calendars import PERIODS_PER_YEAR
from domain.errors import InvalidTerms
from domain.loan import LoanStatus
from domain.origination import book, check_terms, contractual_parts
from domain.period_interest import periods_to_first_due
from domain.program import (
    DayCount,
    DueDateRoll,
    FirstPeriod,
    Frequency,
    InterestMethod,
    PeriodInterest,
    Program,
    Smoothing,
)
from domain.terms import LoanTerms
from tests.domain.loans import run

ORDINARY = LoanTerms(Program(), 10_000_00, Fraction(12, 100), 12, date(2024, 1, 15), date(2024, 2, 15))
LEVEL = 888_49
"""10,000.00 at 1 % a month in 12 months: 888.4879."""


def payments(terms: LoanTerms) -> list[int]:
    return [row.payment for row in book(terms).schedule.rows]


def test_an_ordinary_loan_is_level() -> None:
    assert payments(ORDINARY) == [LEVEL] * 11 + [888_47]


def test_the_last_payment_is_the_level_one_and_the_balloon() -> None:
    # (10,000.00 - 4,000.00 / 1.01**12) as an annuity: 573.0927
    assert payments(replace(ORDINARY, balloon=4_000_00)) == [573_09] * 11 + [4_573_12]


def test_a_balloon_of_the_whole_principal_leaves_interest_only() -> None:
    assert payments(replace(ORDINARY, balloon=10_000_00)) == [100_00] * 11 + [10_100_00]


def test_interest_only_instalments_come_first_and_pay_no_principal() -> None:
    rows = book(replace(ORDINARY, interest_only_periods=3)).schedule.rows
    assert [(row.payment, row.principal) for row in rows[:3]] == [(100_00, 0)] * 3
    # the principal in the 9 months that are left: 1,167.4036
    assert [row.payment for row in rows[3:]] == [1_167_40] * 8 + [1_167_44]


def test_interest_of_deferred_periods_is_paid_with_the_first_instalment_on_top_of_it() -> None:
    deferred = replace(ORDINARY, deferred_periods=3, first_due_date=date(2024, 5, 15))
    ordinary, rows = book(ORDINARY).schedule.rows, book(deferred).schedule.rows
    assert (rows[0].payment, rows[0].interest, rows[0].principal) == (LEVEL + 300_00, 400_00, ordinary[0].principal)
    assert [row[2:] for row in rows[1:]] == [row[2:] for row in ordinary[1:]]
    assert rows[0].due_date == date(2024, 5, 15)


def test_a_stated_payment_is_kept_and_the_last_one_settles() -> None:
    assert payments(replace(ORDINARY, level_payment=800_00)) == [800_00] * 11 + [1_922_25]


def test_a_charge_prepaid_is_not_financed_and_raises_the_apr() -> None:
    booked = book(replace(ORDINARY, prepaid_finance_charge=200_00))
    assert (booked.amount_financed, booked.finance_charge, booked.total_of_payments) == (9_800_00, 861_86, 10_661_86)
    assert booked.amount_financed + booked.finance_charge == booked.total_of_payments
    rows = booked.schedule.rows
    rate = apr([(ORDINARY.contract_date, 9_800_00)], [(row.due_date, row.payment) for row in rows])
    assert booked.apr == round_apr(rate, 4) > 15


def test_the_fee_of_every_instalment_is_disclosed_as_finance_charge() -> None:
    booked = book(replace(ORDINARY, program=Program(instalment_fee=5_00)))
    assert (booked.finance_charge, booked.total_of_payments) == (661_86 + 60_00, 10_661_86 + 60_00)
    flows = [(row.due_date, row.payment + 5_00) for row in booked.schedule.rows]
    assert booked.apr == round_apr(apr([(ORDINARY.contract_date, ORDINARY.principal)], flows), 4)


def test_a_schedule_is_smoothed_where_the_program_says_so() -> None:
    terms = replace(ORDINARY, principal=75_00, annual_rate=Fraction(123, 1000), periods=5)
    smoothed = replace(terms, program=Program(smoothing=Smoothing.ONE_CENT))
    assert payments(terms) == [15_46] * 4 + [15_49]
    assert payments(smoothed) == [15_47] * 4 + [15_45]


def test_a_loan_that_accrues_daily_is_scheduled_by_its_days() -> None:
    program = Program(interest_method=InterestMethod.SIMPLE_DAILY, first_period=FirstPeriod.ACTUAL_365)
    rows = book(replace(ORDINARY, program=program)).schedule.rows
    by_days = Program(period_interest=PeriodInterest.DAY_COUNT, day_count=DayCount.ACT_365F)
    assert rows == book(replace(ORDINARY, program=by_days)).schedule.rows
    assert [row.interest for row in rows[:2]] == [101_92, 87_84]  # 31 and 29 days of 365


WEEKLY, BIWEEKLY, SEMIMONTHLY = Frequency.WEEKLY, Frequency.BIWEEKLY, Frequency.SEMIMONTHLY
MONTHLY, QUARTERLY, ANNUALLY = Frequency.MONTHLY, Frequency.QUARTERLY, Frequency.ANNUALLY


@pytest.mark.parametrize(
    ("frequency", "start", "first_due", "due_days", "periods"),
    [
        (MONTHLY, "2024-01-15", "2024-02-15", (), "1"),
        (MONTHLY, "2022-08-22", "2022-10-01", (), "1 + 10/30"),  # 22 August to 1 September, then a month
        (MONTHLY, "2024-01-15", "2024-05-15", (), "4"),
        (MONTHLY, "2024-01-15", "2024-02-04", (), "20/30"),
        (MONTHLY, "2024-01-31", "2024-02-29", (31,), "1"),
        (MONTHLY, "2023-01-29", "2023-02-28", (), "1"),
        (QUARTERLY, "1978-06-23", "1978-10-01", (), "1 + 8/90"),
        (QUARTERLY, "2023-11-30", "2024-02-29", (30,), "1"),
        (SEMIMONTHLY, "2024-01-15", "2024-01-31", (15, 31), "1"),  # 16 days, and one period
        (SEMIMONTHLY, "2024-01-16", "2024-02-01", (1, 16), "1"),
        (SEMIMONTHLY, "2024-01-10", "2024-02-01", (1, 16), "1 + 6/15"),
        (SEMIMONTHLY, "2024-01-01", "2024-03-01", (), "4"),
        (WEEKLY, "2023-10-28", "2023-11-30", (), "4 + 5/7"),
        (BIWEEKLY, "2024-01-01", "2024-01-15", (), "1"),
        (BIWEEKLY, "2024-01-01", "2024-01-20", (), "1 + 5/14"),
        (ANNUALLY, "2023-08-01", "2025-10-01", (), "2 + 2/12"),
        (ANNUALLY, "2024-02-29", "2025-02-28", (), "1"),
        (Frequency.SINGLE, "2024-01-01", "2029-07-07", (), "1"),
    ],
)
def test_periods_to_the_first_due_date(
    frequency: Frequency, start: str, first_due: str, due_days: tuple[int, ...], periods: str
) -> None:
    counted = periods_to_first_due(frequency, date.fromisoformat(start), date.fromisoformat(first_due), due_days)
    assert counted == sum(map(Fraction, periods.split(" + ")))


@pytest.mark.parametrize("frequency", [frequency for frequency in Frequency if frequency is not Frequency.SINGLE])
@pytest.mark.parametrize("days", range(1, 1200, 37))
def test_a_first_period_is_never_less_than_a_whole_one_and_loses_no_interest(frequency: Frequency, days: int) -> None:
    first = date(2024, 3, 1)
    terms = replace(
        ORDINARY, program=Program(frequency=frequency), contract_date=first - timedelta(days=days), first_due_date=first
    )
    regular = Fraction(1, PERIODS_PER_YEAR[frequency])
    parts = contractual_parts(terms, [first, first + timedelta(days=400)])
    assert parts[1] == regular
    assert parts[0] >= regular
    # the longest standard period is 366 days for a year, the shortest month 28 days
    assert parts[0] == regular or abs(parts[0] - Fraction(days, 365)) < Fraction(8, 365)


def test_the_instalments_of_a_long_first_period_stay_equal() -> None:
    rows = book(replace(ORDINARY, contract_date=date(2024, 1, 5))).schedule.rows
    assert rows[0].interest == 133_33  # a month and 10 of 30 days
    assert len({row.payment for row in rows[:-1]}) == 1
    assert abs(rows[-1].payment - rows[0].payment) <= 6


def test_a_weekend_adds_no_odd_days() -> None:
    terms = replace(ORDINARY, contract_date=date(2024, 5, 15), first_due_date=date(2024, 6, 15))
    rolled = book(replace(terms, program=Program(due_date_roll=DueDateRoll.NEXT))).schedule.rows
    assert rolled[0].due_date == date(2024, 6, 17)
    assert [row[2:] for row in rolled] == [row[2:] for row in book(terms).schedule.rows]


# --- refusals ---

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"level_payment": 0}, "/level_payment", "above 0.00"),
    ({"level_payment": 900_00, "periods": 1}, "/level_payment", "settles the loan"),
    ({"balloon": 10_000_01}, "/balloon", "to the principal"),
    ({"balloon": -1}, "/balloon", "to the principal"),
    ({"balloon": 100, "periods": 1}, "/balloon", "settles the loan"),
    ({"balloon": 100, "level_payment": 900_00}, "/balloon", "leave one of the two out"),
    ({"interest_only_periods": 12}, "/interest_only_periods", "from 0 to 11"),
    ({"interest_only_periods": -1}, "/interest_only_periods", "from 0 to 11"),
    ({"deferred_periods": -1}, "/deferred_periods", "from 0 to 120"),
    ({"deferred_periods": 10**12}, "/deferred_periods", "from 0 to 120"),
    ({"deferred_periods": 121}, "/deferred_periods", "from 0 to 120"),
    ({"deferred_periods": 1}, "/deferred_periods", "1 whole monthly periods lie before 2024-02-15"),
    ({"deferred_periods": 1, "first_due_date": date(2024, 4, 20)}, "/deferred_periods", "take 2"),
    ({"due_days": (16,)}, "/due_days", "does not fall on the due day 16"),
    ({"due_days": (1, 15)}, "/due_days", "does not fall on the due day"),
    ({"program": Program(frequency=WEEKLY), "due_days": (15,)}, "/due_days", "no days of the month"),
    ({"program": Program(frequency=SEMIMONTHLY), "due_days": (1, 16)}, "/due_days", "on neither"),
    ({"prepaid_finance_charge": 10_000_00}, "/prepaid_finance_charge", "less than the principal"),
    (
        {"program": Program(frequency=Frequency.SINGLE), "periods": 1, "deferred_periods": 1},
        "/deferred_periods",
        "from 0 to 0",
    ),
]


@pytest.mark.parametrize(("changes", "pointer", "reason"), REFUSED)
def test_a_contract_that_contradicts_itself_is_refused(changes: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(InvalidTerms) as refused:
        check_terms(replace(ORDINARY, **changes))
    ((found, message),) = [(error.pointer, error.message) for error in refused.value.errors]
    assert found == pointer
    assert reason in message


@pytest.mark.parametrize(
    ("changes", "pointer", "reason"),
    [
        ({"level_payment": 99_99}, "/level_payment", "does not cover the interest of instalment 1, 100.00"),
        ({"level_payment": 1_200_00}, "/level_payment", "pays the loan off in 9 instalments, not 12"),
    ],
)
def test_a_contract_that_cannot_be_serviced_is_refused(changes: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(InvalidTerms) as refused:
        book(replace(ORDINARY, **changes))
    (error,) = refused.value.errors
    assert error.pointer == pointer
    assert reason in error.message


def test_deferred_periods_make_room_for_a_late_first_due_date() -> None:
    late = replace(ORDINARY, first_due_date=date(2026, 2, 15))
    with pytest.raises(InvalidTerms, match="first_payment_date"):
        check_terms(late)
    check_terms(replace(late, deferred_periods=24))


# --- against a plain program ---


def plainly(terms: LoanTerms, factors: list[Fraction], skipped: Fraction) -> list[tuple[int, int, int]]:
    """(payment, interest, balance) of each instalment, by discounting one period after another.

    `factors` are what the periods bear; `skipped` is the part of the first that is deferred.
    """
    bearing = [factors[0] - skipped, *factors[1:]]
    discount, worth = Fraction(1), Fraction(0)
    for factor in bearing[terms.interest_only_periods :]:
        discount /= 1 + factor
        worth += discount
    level = round((terms.principal - terms.balloon * discount) / worth)
    rows, balance = [], terms.principal
    for number, factor in enumerate(factors, 1):
        interest = round(balance * factor)
        if number == len(factors):
            payment = balance + interest
        elif number <= terms.interest_only_periods:
            payment = interest
        else:
            payment = level + (interest - round(balance * bearing[0]) if number == 1 else 0)
        balance += interest - payment
        rows.append((payment, interest, balance))
    return rows


@pytest.mark.parametrize("seed", range(60))
def test_any_shape_is_what_a_plain_program_makes_of_it(seed: int) -> None:
    chance = Random(seed)
    frequency = chance.choice([MONTHLY, QUARTERLY, WEEKLY, BIWEEKLY])
    periods, deferred = chance.randint(2, 90), chance.choice([0, 0, 1, 3])
    interest_only = chance.choice([0, chance.randrange(periods - 1) if periods > 2 else 0])
    principal = chance.randint(5_000_00, 90_000_00)
    rate = Fraction(chance.randint(0, 24_00), 100_00)
    start = date(2024, 1, chance.randint(1, 28))
    step = {MONTHLY: 1, QUARTERLY: 3}
    if frequency in step:
        months = step[frequency] * (deferred + 1)
        first = date(2024 + months // 12, months % 12 + 1, start.day)
    else:
        first = start + timedelta(days=(7 if frequency is WEEKLY else 14) * (deferred + 1))
    terms = LoanTerms(
        program=Program(frequency=frequency),
        principal=principal,
        annual_rate=rate,
        periods=periods,
        contract_date=start,
        first_due_date=first,
        balloon=chance.choice([0, principal // 3]),
        interest_only_periods=interest_only,
        deferred_periods=deferred,
    )
    check_terms(terms)
    i = rate / PERIODS_PER_YEAR[frequency]
    expected = plainly(terms, [i * (deferred + 1), *[i] * (periods - 1)], i * deferred)
    assert [(row.payment, row.interest, row.balance) for row in book(terms).schedule.rows] == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"balloon": 4_000_00},
        {"interest_only_periods": 3},
        {"deferred_periods": 3, "first_due_date": date(2024, 5, 15)},
        {"level_payment": 800_00},
        {"contract_date": date(2024, 1, 2)},
        {"interest_only_periods": 2, "balloon": 1_000_00, "deferred_periods": 1, "first_due_date": date(2024, 3, 15)},
    ],
)
@pytest.mark.parametrize("method", InterestMethod)
@pytest.mark.parametrize("period_interest", PeriodInterest)
def test_paid_on_its_due_dates_a_loan_ends_as_it_was_booked(
    changes: dict[str, Any], method: InterestMethod, period_interest: PeriodInterest
) -> None:
    program = Program(interest_method=method, period_interest=period_interest)
    terms = replace(ORDINARY, program=program, **changes)
    rows = book(terms).schedule.rows
    state = run(rows[-1].due_date, *((row.due_date, row.payment) for row in rows), terms=terms).state
    assert (state.status, state.principal_balance, state.unapplied) == (LoanStatus.PAID_OFF, 0, 0)
    assert [(row.principal, row.interest) for row in state.instalments] == [(row.principal, row.interest) for row in rows]
