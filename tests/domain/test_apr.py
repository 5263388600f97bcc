"""The actuarial APR of Regulation Z, Appendix J. Published figures: test_cases.py."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cli.cases.apr import flows, unit_period
from domain.apr import UnitKind, UnitPeriod, apr, infer_unit_period, round_apr, units_between
from domain.calendars import due_dates
from domain.errors import InvalidTerms
from domain.program import Frequency
from tests.domain import cases

MONTH = UnitPeriod(UnitKind.MONTH)
YEAR = UnitPeriod(UnitKind.YEAR)
SEMIMONTH = UnitPeriod(UnitKind.SEMIMONTH)
START = date(2024, 1, 15)


def days(count: int) -> UnitPeriod:
    return UnitPeriod(UnitKind.DAYS, count)


@pytest.mark.parametrize("case", cases.each("apr.json"))
def test_the_published_unit_period_is_inferred(case: dict[str, Any]) -> None:
    advances, payments = flows(case["advances"]), flows(case["payments"])
    assert infer_unit_period(advances, payments) == unit_period(case)


@pytest.mark.parametrize(
    ("start", "end", "anchor", "expected"),
    [
        ("2024-01-31", "2024-02-29", 31, (1, 0)),  # a series paid on the last day of each month
        ("2024-01-31", "2024-02-29", None, (0, 29)),  # on its own, 29 February is a 29th
        ("2024-01-15", "2024-03-01", None, (1, 17)),  # 1 February to 1 March, and 17 days before it
        ("2024-03-15", "2024-03-15", None, (0, 0)),
    ],
)
def test_months_are_counted_back_from_the_later_date(
    start: str, end: str, anchor: int | None, expected: tuple[int, int]
) -> None:
    units = units_between(date.fromisoformat(start), date.fromisoformat(end), MONTH, anchor)
    assert (units.full, units.part, units.of) == (*expected, 30)


def test_a_year_has_whole_months_or_days_left_over() -> None:
    assert units_between(date(2023, 8, 1), date(2025, 10, 1), YEAR) == (2, 2, 12)
    assert units_between(date(2023, 8, 1), date(2025, 10, 2), YEAR) == (2, 62, 365)


@pytest.mark.parametrize(
    ("frequency", "first", "due_days", "unit"),
    [
        (Frequency.MONTHLY, date(2024, 2, 15), (), MONTH),
        (Frequency.MONTHLY, date(2024, 3, 31), (31,), MONTH),
        (Frequency.QUARTERLY, date(2024, 3, 31), (31,), UnitPeriod(UnitKind.MONTH, 3)),
        (Frequency.ANNUALLY, date(2024, 2, 29), (), YEAR),
        (Frequency.SEMIMONTHLY, date(2024, 2, 1), (1, 15), SEMIMONTH),
        (Frequency.SEMIMONTHLY, date(2024, 1, 31), (15, 31), SEMIMONTH),
        # a fortnightly series through a February of 28 days, where two fortnights are a month
        (Frequency.BIWEEKLY, date(2026, 1, 23), (), days(14)),
        (Frequency.WEEKLY, date(2024, 1, 19), (), days(7)),
    ],
)
@pytest.mark.parametrize("count", [3, 13, 40])
def test_the_unit_period_is_the_interval_that_occurs_most_often(
    frequency: Frequency, first: date, due_days: tuple[int, ...], unit: UnitPeriod, count: int
) -> None:
    dates = due_dates(frequency, first, count, due_days=due_days)
    assert infer_unit_period([(first - timedelta(days=9), 1)], [(day, 1) for day in dates]) == unit


@pytest.mark.parametrize(
    ("gaps", "unit"),
    [
        ([7, 7, 30, 30], days(7)),  # as often: the smaller
        ([6, 15], days(7)),  # none twice, 10.5 days on average: as near to 7 as to 14, so the smaller
        ([40, 55], UnitPeriod(UnitKind.DAYS, 49)),  # 47.5: nearest to 7 weeks
        ([400, 800], YEAR),  # never more than a year
    ],
)
def test_the_unit_period_where_no_interval_stands_out(gaps: list[int], unit: UnitPeriod) -> None:
    dates = [START + timedelta(days=sum(gaps[: n + 1])) for n in range(len(gaps))]
    assert infer_unit_period([(START, 1)], [(day, 1) for day in dates]) == unit


@pytest.mark.parametrize(
    ("end", "repaid", "published"),
    [
        # a fortnight's 15.00 on 100.00 is 15 * 365 / 14 %, not 15 * 26 %
        (date(2024, 1, 29), 115_00, "391.07"),
        (date(2024, 2, 15), 101_00, "12.00"),
        (date(2025, 1, 15), 110_00, "10.00"),
        (date(2024, 1, 16), 100_00, "0.00"),
    ],
)
def test_a_single_payment_has_its_term_as_unit_period(end: date, repaid: int, published: str) -> None:
    assert str(round_apr(apr([(START, 100_00)], [(end, repaid)]), 2)) == published


def test_the_last_day_of_january_to_the_last_of_february_is_a_month() -> None:
    assert apr([(date(2024, 1, 31), 100_00)], [(date(2024, 2, 29), 101_00)]) == 12


def test_two_fortnights_that_happen_to_be_a_february_are_fortnights() -> None:
    payments = [(date(2023, 2, 17), 50_00), (date(2023, 3, 3), 51_00)]
    assert infer_unit_period([(date(2023, 2, 3), 100_00)], payments) == days(14)


def test_a_charge_paid_on_the_first_day_is_money_not_advanced() -> None:
    payments = [(day, 90_00) for day in due_dates(Frequency.MONTHLY, date(2024, 2, 15), 12)]
    assert apr([(START, 1_000_00)], [(START, 50_00), *payments]) == apr([(START, 950_00)], payments)


def test_flows_may_come_in_any_order_and_in_parts() -> None:
    payments = [(day, 90_00) for day in due_dates(Frequency.MONTHLY, date(2024, 2, 15), 12)]
    parts = [(day, 45_00) for day, _ in reversed(payments)] * 2
    assert apr([(START, 400_00), (START, 600_00)], parts) == apr([(START, 1_000_00)], payments)


def test_the_rate_solves_the_equation_also_where_it_is_extreme() -> None:
    # 100.00 tomorrow for every 1.00 today: i = 99 a day
    assert apr([(START, 1_00)], [(START + timedelta(days=1), 100_00)]) == 99 * 100 * 365


@pytest.mark.parametrize(
    ("advances", "payments", "reason"),
    [
        ([], [(START, 100)], "at least one advance and one payment"),
        ([(START, 100)], [], "at least one advance and one payment"),
        ([(START, 100)], [(START, 0)], "at least one advance and one payment"),
        ([(START, 100)], [(date(2024, 2, 15), -100)], "the amount of 2024-02-15 is negative"),
        ([(START, 100)], [(date(2024, 1, 14), 100)], r"\(2024-01-14\) precedes the first advance \(2024-01-15\)"),
        ([(START, 100)], [(date(2024, 2, 15), 99)], "the payments are less than the advances"),
        ([(START, 100)], [(START, 100), (date(2024, 2, 15), 5)], "leave nothing advanced"),
        ([(START, 1)], [(date(2024, 1, 16), 10**12)], "no rate makes the payments worth the advances"),
    ],
)
def test_where_there_is_no_rate_the_refusal_says_why(
    advances: list[tuple[date, int]], payments: list[tuple[date, int]], reason: str
) -> None:
    with pytest.raises(InvalidTerms, match=reason):
        apr(advances, payments)


@pytest.mark.parametrize(
    ("kind", "count"), [(UnitKind.DAYS, 0), (UnitKind.DAYS, 366), (UnitKind.MONTH, 12), (UnitKind.SEMIMONTH, 2)]
)
def test_a_unit_period_beyond_a_year_is_refused(kind: UnitKind, count: int) -> None:
    with pytest.raises(InvalidTerms, match="counts from 1 to"):
        UnitPeriod(kind, count)
