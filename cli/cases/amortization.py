"""Level-payment schedules: {principal, annual_rate_pct, periods, frequency, payment, rows, rows_sha256, ...}."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cli.cases.compare import Checked, amount, amount_differences, exactly, first_difference, periods
from domain.amortization import Row, Schedule, build_schedule, exact_level_payment
from domain.calendars import PERIODS_PER_YEAR, due_dates
from domain.money import format_amount
from domain.program import Frequency
from domain.rounding import Rounding


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """The level payment, the rows, the totals and the due dates of one loan."""
    return first_difference(_checked(case))


def _checked(case: dict[str, Any]) -> Iterator[Checked]:
    schedule, dates = _schedule(case, Rounding.HALF_EVEN)
    yield from _level_payment(case, schedule)
    yield "actual_periods", len(schedule.rows), case["actual_periods"]
    for stated in case["rows"]:
        row = schedule.rows[stated[0] - 1] if 0 < stated[0] <= len(schedule.rows) else None
        yield f"row {stated[0]}", row and _as_stated(row), stated
    totals = {
        "final_payment": schedule.rows[-1].payment,
        "total_interest": schedule.finance_charge,
        "total_paid": schedule.total_of_payments,
    }
    yield from amount_differences(totals, case)
    yield "rows_sha256", _digest(schedule), case["rows_sha256"]
    if "half_up_differs" in case:
        half_up, _ = _schedule(case, Rounding.HALF_UP)
        yield "half_up_differs", _digest(half_up) != case["rows_sha256"], case["half_up_differs"]
    yield from _due_dates(case, dates)


def _schedule(case: dict[str, Any], rounding: Rounding) -> tuple[Schedule, list[date]]:
    """The schedule, every period a whole one: what lies before the first due date is no part of these cases."""
    frequency, count = Frequency(case["frequency"]), periods(case, "periods")
    given = case.get("due_days", ())
    due_days = (given,) if isinstance(given, int) else tuple(given)
    first_due = date.fromisoformat(case["first_due"]) if "first_due" in case else date(2024, 1, 16)
    dates = due_dates(frequency, first_due, count, due_days=due_days)
    schedule = build_schedule(
        amount(case["principal"]),
        exactly(case["annual_rate_pct"]) / 100,
        first_due.replace(year=first_due.year - 1, day=1),
        dates,
        frequency=frequency,
        first_periods=Fraction(1),
        rounding=rounding,
    )
    return schedule, dates


def _level_payment(case: dict[str, Any], schedule: Schedule) -> Iterator[Checked]:
    per_year = PERIODS_PER_YEAR[Frequency(case["frequency"])]
    if "periods_per_year" in case:
        yield "periods_per_year", per_year, case["periods_per_year"]
    yield "payment", format_amount(schedule.level_payment), case["payment"]
    if "exact_payment" in case:
        rate = exactly(case["annual_rate_pct"]) / 100 / per_year
        exact = exact_level_payment(amount(case["principal"]), rate, case["periods"]) / 100
        last_place = Fraction(10) ** Decimal(case["exact_payment"]).as_tuple().exponent  # type: ignore[operator]
        if abs(exact - exactly(case["exact_payment"])) > last_place / 2:
            yield "exact_payment", exact, case["exact_payment"]


def _as_stated(row: Row) -> list[Any]:
    return [row.number, *map(format_amount, (row.payment, row.interest, row.principal, row.balance))]


def _digest(schedule: Schedule) -> str:
    lines = ["|".join(map(str, _as_stated(row))) for row in schedule.rows]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _due_dates(case: dict[str, Any], dates: list[date]) -> Iterator[Checked]:
    stated = case.get("due_dates", {})
    if isinstance(stated, list):
        yield "number of due dates", len(dates), len(stated)
        stated = dict(enumerate(stated, 1))
    for number, day in stated.items():
        index = int(number) - 1
        yield f"due date {number}", dates[index].isoformat() if 0 <= index < len(dates) else None, day
