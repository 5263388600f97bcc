"""The plan of a loan: its due dates and parts of a year, and the instalments it gives from a balance on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.amortization import amortize
from domain.plan import Until, contract, extended, moved
from domain.program import DayCount, Frequency, PeriodInterest, Program
from domain.projection import Held, level_payment_over, project
from domain.rates import Rates
from domain.rounding import Rounding
from domain.terms import LoanTerms

TERMS = LoanTerms(Program(), 1_200_000, Fraction(12, 100), 12, date(2024, 1, 1), date(2024, 1, 31))
PLAN = contract(TERMS).plan
RATES = Rates(TERMS.annual_rate)
MONTH = Fraction(1, 12)
HALF_EVEN = Rounding.HALF_EVEN


def test_the_contract_gives_the_first_plan() -> None:
    assert PLAN.due_dates[:3] == (date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31))
    assert PLAN.starts[:2] == (date(2024, 1, 1), date(2024, 1, 31))
    assert (set(PLAN.parts), set(PLAN.factors)) == ({MONTH}, {Fraction(1, 100)})
    assert (PLAN.level_payment, PLAN.as_contracted) == (106_619, True)


def test_more_due_dates_keep_the_day_of_the_month() -> None:
    longer = extended(PLAN, TERMS.program, RATES, 2)
    assert longer.due_dates[11:] == (date(2024, 12, 31), date(2025, 1, 31), date(2025, 2, 28))
    assert longer.starts[12:] == (date(2024, 12, 31), date(2025, 1, 31))
    assert longer.parts[12:] == (MONTH, MONTH)
    assert longer.trimmed(12) == PLAN


def test_days_count_for_added_periods_where_the_program_counts_days() -> None:
    program = Program(period_interest=PeriodInterest.DAY_COUNT, day_count=DayCount.ACT_365F)
    longer = extended(contract(replace(TERMS, program=program)).plan, program, RATES, 1)
    assert longer.parts[12] == Fraction(31, 365)


def test_moved_due_dates_follow_the_new_day() -> None:
    plan = moved(PLAN, TERMS.program, RATES, 2, date(2024, 4, 15))
    assert plan.due_dates[1:4] == (date(2024, 2, 29), date(2024, 4, 15), date(2024, 5, 15))
    assert plan.parts[2:4] == (MONTH * Fraction(46, 31), MONTH)
    assert extended(plan, TERMS.program, RATES, 1).due_dates[-1] == date(2025, 2, 15)


def test_the_factor_of_a_period_follows_the_rates_by_days() -> None:
    plan = PLAN.at_rates(RATES.changed(date(2024, 3, 10), Fraction(6, 100)), 2)
    # 29 February to 31 March: 10 days at 12 %, 21 at 6 %
    assert plan.factors[1:4] == (Fraction(1, 100), Fraction(10 * 12 + 21 * 6, 31 * 1200), Fraction(1, 200))


@pytest.mark.parametrize("frequency", [Frequency.WEEKLY, Frequency.QUARTERLY, Frequency.ANNUALLY])
def test_every_frequency_goes_on(frequency: Frequency) -> None:
    terms = replace(TERMS, program=Program(frequency=frequency), periods=3)
    longer = extended(contract(terms).plan, terms.program, RATES, 2)
    assert longer.due_dates == contract(replace(terms, periods=5)).plan.due_dates


@given(st.integers(1, 10_000_000), st.integers(0, 11), st.integers(1, 300_000))
def test_a_level_plan_gives_the_rows_of_a_schedule(balance: int, first: int, level: int) -> None:
    rows = amortize(balance, level, PLAN.factors[first:], PLAN.due_dates[first:], first_number=first + 1)
    made = project(PLAN.with_level_payment(level), first, balance, HALF_EVEN)
    assert sum(row.principal for row in made) == balance
    if all(row.principal >= 0 for row in rows):
        assert [(r.number, r.interest, r.principal) for r in made] == [(r.number, r.interest, r.principal) for r in rows]
    else:
        assert all(row.principal >= 0 and 0 <= row.interest <= max(level, row.interest) for row in made)


@given(
    st.integers(1, 5_000_000),
    st.integers(0, 8),
    st.integers(-500, 50_000),
    st.dictionaries(st.integers(1, 11), st.sampled_from([0, 3_000, 20_000]), max_size=4),
    st.none() | st.builds(Until, st.integers(1, 12), st.integers(0, 300_000)),
)
def test_nothing_is_lost_whatever_is_stated(
    balance: int, first: int, carried: int, stated: dict[int, int], at_first: Until | None
) -> None:
    plan = PLAN.with_stated(stated)
    plan = plan.with_level_payment(level_payment_over(plan, first, balance, HALF_EVEN, carried=carried), at_first)
    rows = project(plan, first, balance, HALF_EVEN, carried=carried)
    assert sum(row.principal for row in rows) == balance
    assert all(row.principal >= 0 and row.interest >= 0 for row in rows)
    assert sum(row.interest for row in rows) + rows[-1].carried == carried + sum(row.bears for row in rows)
    assert rows[-1].carried <= 0
    for row in rows[:-1]:
        assert row.interest + row.principal <= max(plan.payment(row.number), 0)


def test_the_level_payment_over_carried_interest_is_the_least_that_is_enough() -> None:
    level = level_payment_over(PLAN, 0, 1_000_000, HALF_EVEN, carried=50_000)
    enough = project(PLAN.with_level_payment(level), 0, 1_000_000, HALF_EVEN, carried=50_000)
    short = project(PLAN.with_level_payment(level - 1), 0, 1_000_000, HALF_EVEN, carried=50_000)
    assert enough[-1].interest + enough[-1].principal <= level
    assert short[-1].interest + short[-1].principal > level - 1


def test_what_stands_is_left_alone() -> None:
    """The last instalment is paid ahead: what is left of 12,000.00 is paid by the others, and bears with it."""
    held = {12: Held(1056, 105_563)}
    level = level_payment_over(PLAN, 0, 1_200_000, HALF_EVEN, held=held)
    rows = project(PLAN.with_level_payment(level), 0, 1_200_000, HALF_EVEN, held=held)
    assert (rows[-1].interest, rows[-1].principal) == (1056, 105_563)
    assert (rows[0].interest, sum(row.principal for row in rows)) == (12_000, 1_200_000)
    assert len({row.interest + row.principal for row in rows[:10]}) == 1
