"""Level-payment schedules, what shapes them, and the rest of one from a balance on. Published ones: test_cases.py."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.amortization import (
    amortize,
    build_schedule,
    level_payment,
    level_payment_for_factors,
)
from domain.calendars import due_dates
from domain.errors import InvalidTerms
from domain.period_interest import period_factors
from domain.program import DayCount, FirstPeriod, Frequency, PeriodInterest

START = date(2024, 1, 1)
MONTHLY_1_PCT = Fraction(1, 100)


def dues(count: int, first: date = date(2024, 2, 1)) -> list[date]:
    return due_dates(Frequency.MONTHLY, first, count)


@given(
    principal=st.integers(1, 10**9),
    rate=st.integers(0, 400_000).map(lambda n: Fraction(n, 10**6)),
    count=st.integers(1, 60),
    short_by=st.integers(0, 10**6),
)
def test_any_schedule_pays_the_principal_once_and_ends_at_zero(
    principal: int, rate: Fraction, count: int, short_by: int
) -> None:
    payment = max(0, level_payment(principal, rate / 12, count) - short_by)
    rows = amortize(principal, payment, [rate / 12] * count, dues(count))
    assert sum(row.principal for row in rows) == principal
    assert rows[-1].balance == 0
    assert all(row.balance >= 0 for row in rows)
    assert all(row.payment == row.interest + row.principal for row in rows)
    assert all(row.payment == payment for row in rows[:-1])
    opening = principal
    for row in rows:
        assert abs(opening * rate / 12 - row.interest) <= Fraction(1, 2)
        opening = row.balance


def test_the_first_period_may_bear_interest_by_its_actual_days() -> None:
    # 10,000.00 at 4.5 % for 40 days / 365: 49.32 instead of a month's 37.50; the level payment stays that of months
    schedule = build_schedule(
        10_000_00,
        Fraction(45, 1000),
        date(2022, 8, 22),
        dues(12, date(2022, 10, 1)),
        frequency=Frequency.MONTHLY,
        first_period=FirstPeriod.ACTUAL_365,
    )
    assert [row.interest for row in schedule.rows[:2]] == [49_32, 34_48]
    assert schedule.level_payment == level_payment(10_000_00, Fraction(45, 12_000), 12)


def test_periods_may_bear_interest_by_their_day_count() -> None:
    factors = period_factors(
        Fraction(36, 1000),
        date(2023, 1, 31),
        [date(2023, 2, 28), date(2023, 3, 31)],
        frequency=Frequency.MONTHLY,
        period_interest=PeriodInterest.DAY_COUNT,
        day_count=DayCount.ACT_360,
    )
    assert factors == [Fraction(28, 10_000), Fraction(31, 10_000)]


def test_a_single_payment_loan_bears_interest_for_its_days() -> None:
    # 5,025.00 at 5.5 % for 164 days / 365 (public documentation of a commercial engine): 124.18
    schedule = build_schedule(
        5025_00, Fraction(55, 1000), date(2022, 7, 20), [date(2022, 12, 31)], frequency=Frequency.SINGLE
    )
    assert [row.payment for row in schedule.rows] == [5149_18]


def test_a_stated_payment_replaces_the_level_payment() -> None:
    schedule = build_schedule(1_000_00, Fraction(12, 100), START, dues(3), frequency=Frequency.MONTHLY, payment=300_00)
    assert [row.payment for row in schedule.rows] == [300_00, 300_00, 421_27]


def test_level_payment_for_unequal_factors_discounts_each_period_by_its_own() -> None:
    # 100.00 over factors 0 and 1 (100 %): P * f1 * f2 / (1 + f2) = 100 * 2 / 3
    assert level_payment_for_factors(100_00, [Fraction(0), Fraction(1)]) == 66_67
    assert level_payment_for_factors(100_00, [Fraction(1), Fraction(0)]) == 100_00
    assert level_payment_for_factors(100_00, [MONTHLY_1_PCT] * 7) == level_payment(100_00, MONTHLY_1_PCT, 7)


def test_the_rest_of_a_schedule_goes_on_as_the_schedule_did() -> None:
    whole = build_schedule(5_000_00, Fraction(12, 100), START, dues(24), frequency=Frequency.MONTHLY)
    rest = amortize(whole.rows[9].balance, whole.level_payment, [MONTHLY_1_PCT] * 14, dues(24)[10:], first_number=11)
    assert rest == whole.rows[10:]


def test_after_a_curtailment_the_rest_is_shorter_and_its_first_interest_may_be_stated() -> None:
    whole = build_schedule(5_000_00, Fraction(12, 100), START, dues(24), frequency=Frequency.MONTHLY)
    curtailed = whole.rows[9].balance - 1_000_00
    rest = amortize(
        curtailed,
        whole.level_payment,
        [MONTHLY_1_PCT] * 14,
        dues(24)[10:],
        first_number=11,
        first_interest=whole.rows[10].interest,
    )
    assert rest[0].interest == whole.rows[10].interest
    assert rest[1].interest == round(Fraction(rest[0].balance, 100))
    assert (len(rest), rest[-1].number, rest[-1].balance) == (10, 20, 0)
    assert rest[-1].payment < whole.level_payment


def test_a_payment_below_the_interest_is_settled_in_the_last_row_allowed() -> None:
    rows = amortize(1_000_00, 5_00, [MONTHLY_1_PCT] * 3, dues(3))
    assert [row.payment for row in rows] == [5_00, 5_00, 1_020_15]
    assert [row.balance for row in rows] == [1_005_00, 1_010_05, 0]


def test_nothing_owed_is_an_empty_schedule() -> None:
    assert amortize(0, 100_00, [MONTHLY_1_PCT] * 3, dues(3)) == ()


@pytest.mark.parametrize(
    ("smoothed", "level", "last"),
    [
        # 75.00 at 12.3 % in 5 months: 3 cents are more than floor(5 / 2), so 15.47 is tried, and is nearer
        (False, 15_46, 15_49),
        (True, 15_47, 15_45),
    ],
)
def test_the_one_cent_iteration_brings_the_last_instalment_near_the_others(smoothed: bool, level: int, last: int) -> None:
    schedule = build_schedule(
        75_00, Fraction(123, 1000), START, dues(5), frequency=Frequency.MONTHLY, one_cent_iteration=smoothed
    )
    assert (schedule.level_payment, schedule.rows[-1].payment) == (level, last)


def test_the_one_cent_iteration_is_not_kept_where_it_comes_no_nearer() -> None:
    # 4,000.00 at 19.99 % in 60 months: the last instalment is 37 cents above the others, and would be 37 or more below
    rough, smooth = (
        build_schedule(
            4_000_00, Fraction(1999, 10_000), START, dues(60), frequency=Frequency.MONTHLY, one_cent_iteration=smoothed
        )
        for smoothed in (False, True)
    )
    assert rough.rows[-1].payment - rough.level_payment == 37
    assert smooth == rough


def test_the_one_cent_iteration_does_not_pay_a_loan_off_early() -> None:
    # 40,357.65 at 12 % in 65 years: 4,845.98 leaves 4,869.86, which is 23.88 and more than 32 cents above. 37 cents more
    # a year would have paid the loan off long before: then nothing is left for the last instalment, which is far worse.
    days = [date(2024 + n, 1, 1) for n in range(1, 66)]
    terms = (40_357_65, Fraction(12, 100), START, days)
    schedule = build_schedule(*terms, frequency=Frequency.ANNUALLY, one_cent_iteration=True)
    assert (schedule.level_payment, schedule.rows[-1].payment, len(schedule.rows)) == (4_845_98, 4_869_86, 65)


@pytest.mark.parametrize(
    ("principal", "rate", "days", "reason"),
    [
        (0, Fraction(1, 10), dues(3), "principal"),
        (100, Fraction(-1, 10), dues(3), "rate"),
        (100, Fraction(1, 10), [], "must ascend"),
        (100, Fraction(1, 10), [date(2024, 2, 1), date(2024, 2, 1)], "must ascend"),
        (100, Fraction(1, 10), [START], "the first one after 2024-01-01"),
    ],
)
def test_terms_that_make_no_schedule_are_refused(principal: int, rate: Fraction, days: list[date], reason: str) -> None:
    with pytest.raises(InvalidTerms, match=reason):
        build_schedule(principal, rate, START, days, frequency=Frequency.MONTHLY)
