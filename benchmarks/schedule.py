"""How many 36-row schedules a second one thread makes, beside PyPI `amortization`, the fastest peer in Python.

Both make the same loans, every row with its due date. The peer's rows (floats, rounded by `round`) have none: it gets them
from the standard library in the leanest way there is (no loan here falls due after the 28th). Ours are exact integers, and
the dates of a calendar that knows short months. Rounds alternate and the median counts; the peer without due dates is shown
too. The last line is one JSON object; QUICK=1 measures less.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

from amortization import amortization_schedule

from domain.amortization import build_schedule
from domain.calendars import add_months, due_dates
from domain.money import format_amount
from domain.program import Frequency

GOAL: Final = 1.5
"""Times the schedules a second of the peer."""
PERIODS: Final = 36
LOANS: Final = 500
QUICK: Final = os.environ.get("QUICK") == "1"
ROUNDS: Final = 11 if QUICK else 61


class Loan(NamedTuple):
    """The terms as each side takes them."""

    principal: int
    rate: Fraction
    start: date
    first_due: date
    amount: float
    yearly: float


def loans() -> list[Loan]:
    """Loans of many amounts, rates and days of the month."""
    chance, made = Random(36), []
    for _ in range(LOANS):
        principal, basis_points = chance.randint(1_000_00, 40_000_00), chance.randint(1, 3600)
        start = date(chance.randint(2015, 2030), chance.randint(1, 12), chance.randint(1, 28))
        rate = Fraction(basis_points, 10_000)
        made.append(Loan(principal, rate, start, add_months(start, 1), principal / 100, basis_points / 10_000))
    return made


def ours(loan: Loan) -> Sequence[Any]:
    dates = due_dates(Frequency.MONTHLY, loan.first_due, PERIODS)
    return build_schedule(loan.principal, loan.rate, loan.start, dates, frequency=Frequency.MONTHLY).rows


def peer(loan: Loan) -> Sequence[Any]:
    year, month, day = loan.first_due.year, loan.first_due.month - 1, loan.first_due.day
    months = range(month, month + PERIODS)
    rows = amortization_schedule(loan.amount, loan.yearly, PERIODS)
    return [(date(year + m // 12, m % 12 + 1, day), *row) for m, row in zip(months, rows, strict=True)]


def peer_without_dates(loan: Loan) -> Sequence[Any]:
    return list(amortization_schedule(loan.amount, loan.yearly, PERIODS))


def seconds(make: Callable[[Loan], Sequence[Any]], portfolio: Sequence[Loan]) -> float:
    """The time of one schedule, over the portfolio."""
    start = perf_counter()
    for loan in portfolio:
        make(loan)
    return (perf_counter() - start) / len(portfolio)


def check(portfolio: Sequence[Loan]) -> None:
    """Both sides make the same schedules: 36 rows, the same level payment, dates that agree."""
    for loan in portfolio:
        mine, theirs = ours(loan), peer(loan)
        assert len(mine) == len(theirs) == PERIODS
        assert format_amount(mine[0].payment) == f"{theirs[0][2]:.2f}", loan
        assert mine[-1].due_date == theirs[-1][0]


def main() -> None:
    portfolio = loans()
    check(portfolio)
    sides = {"perdiem": ours, "amortization, due dates added": peer, "amortization, no due dates": peer_without_dates}
    took: dict[str, list[float]] = {name: [] for name in sides}
    gc.freeze()
    for number in range(ROUNDS):
        for name in sorted(sides, reverse=number % 2 == 1):
            took[name].append(seconds(sides[name], portfolio))
    speed = {name: 1 / median(times) for name, times in took.items()}
    for name, rate in speed.items():
        times = speed["perdiem"] / rate
        print(f"{name:<30} {rate:>9.0f} schedules/s {1e6 / rate:>7.1f} us each, perdiem {times:.2f} times as fast")
    value, baseline = speed["perdiem"], speed["amortization, due dates added"]
    ratio = value / baseline
    print(f"{ratio:.2f} times the peer; the goal, {GOAL}, is {'met' if ratio >= GOAL else 'MISSED'}.")
    print(
        json.dumps(
            {
                "name": "schedule",
                "value": round(value, 1),
                "unit": "schedules of 36 rows a second",
                "baseline": round(baseline, 1),
                "ratio": round(ratio, 2),
                "goal": GOAL,
                "n": LOANS * ROUNDS,
            }
        )
    )


if __name__ == "__main__":
    main()
