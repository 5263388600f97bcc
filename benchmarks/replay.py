"""How many times a second the engine replays a whole loan, and whether the time grows with the length of the loan only.

A replay: 10 years of monthly payments, one of them backdated to the first year, folded from the first event to the state,
the journal entries and the monthly accruals. Then loans of 5 to 30 years, for the growth. Time is that of the thread, so
that other programs count as little as they can; what the wall clock says is shown too. The last line is one JSON object;
QUICK=1 measures less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from statistics import median
from time import perf_counter, thread_time
from typing import Final

from domain.calendars import add_months
from domain.events import Disbursed, Event, PaymentReceived
from domain.plan import contract
from domain.program import FirstPeriod, InterestMethod, LateFee, LateFeeKind, Program
from domain.replay import replay
from domain.terms import LoanTerms

GOAL: Final = 300
"""Full replays a second of the 10-year loan."""
GROWTH_GOAL: Final = 1.25
"""Time for an event of a 30-year loan over that of a 10-year one: 1 would be exactly linear."""
YEARS: Final = (5, 10, 20, 30)
QUICK: Final = os.environ.get("QUICK") == "1"
ROUNDS: Final = 5 if QUICK else 15
ROUND_SECONDS: Final = 0.1 if QUICK else 0.5


def loan(method: InterestMethod, years: int) -> tuple[LoanTerms, list[Event]]:
    """A loan with a payment a month, all recorded in order but one: it was of the first year, and recorded last."""
    program = Program(
        interest_method=method,
        first_period=FirstPeriod.ACTUAL_365,
        late_fee=LateFee(LateFeeKind.FLAT, flat=3000),
    )
    start = date(2020, 9, 9)
    terms = LoanTerms(program, 2_500_000, Fraction(9, 100), 12 * years, start, add_months(start, 1))
    plan = contract(terms).plan
    paid = [(due - timedelta(days=number % 5), plan.level_payment) for number, due in enumerate(plan.due_dates)]
    late = paid.pop(5)
    events = [Event(1, start, Disbursed(terms.principal))]
    for number, (day, amount) in enumerate([*paid, late], 2):
        events.append(Event(number, day, PaymentReceived(amount, f"p{number}")))
    return terms, events


def seconds(terms: LoanTerms, events: list[Event], clock: Callable[[], float]) -> float:
    """The time of a replay to the day after the last payment, by a clock, over one round."""
    as_of = max(event.effective_date for event in events) + timedelta(days=1)
    count, start = 0, clock()
    while (spent := clock() - start) < ROUND_SECONDS:
        replay(terms, events, as_of)
        count += 1
    return spent / count


def check(terms: LoanTerms, events: list[Event]) -> None:
    """Every payment is in the replay."""
    as_of = max(event.effective_date for event in events) + timedelta(days=1)
    assert len(replay(terms, events, as_of).allocations) == len(events) - 1


def measure(method: InterestMethod) -> dict[int, list[float]]:
    """Seconds of the thread for a replay, by years, a number a round. The lengths take turns, so that a slow moment of the
    machine is one of all of them."""
    loans = {years: loan(method, years) for years in YEARS}
    for each in loans.values():
        check(*each)
    took: dict[int, list[float]] = {years: [] for years in YEARS}
    for _ in range(ROUNDS):
        for years, each in loans.items():
            took[years].append(seconds(*each, thread_time))
    return took


def main() -> None:
    print("method         years  payments  replay ms  replays/s  us an event  growth an event")
    headline = growth = 0.0
    for method in InterestMethod:
        took = measure(method)
        events = {years: 12 * years + 1 for years in YEARS}
        each = {years: median(times) / events[years] for years, times in took.items()}
        for years in YEARS:
            a_replay = each[years] * events[years]
            print(
                f"{method:<13} {years:>6} {events[years] - 1:>9} {a_replay * 1e3:>10.2f} {1 / a_replay:>10.0f} "
                f"{each[years] * 1e6:>12.1f} {each[years] / each[YEARS[0]]:>16.2f}"
            )
        if method is InterestMethod.SCHEDULED:
            headline = 1 / median(took[10])
            rounds = zip(took[30], took[10], strict=True)
            growth = median(long / short for long, short in rounds) * events[10] / events[30]
    by_the_wall = 1 / median(seconds(*loan(InterestMethod.SCHEDULED, 10), perf_counter) for _ in range(ROUNDS))
    print(f"{headline:.0f} replays of 10 years a second of the thread, {by_the_wall:.0f} by the wall clock.")
    print(f"An event of 30 years costs {growth:.2f} of one of 10 years (goal: at most {GROWTH_GOAL}).")
    print(
        json.dumps(
            {
                "name": "replay",
                "value": round(headline, 1),
                "unit": "full replays of a 10-year loan a second",
                "baseline": GOAL,
                "ratio": round(headline / GOAL, 2),
                "goal": 1.0,
                "n": 120,
                "by_the_wall_clock": round(by_the_wall, 1),
                "growth_30y_10y": round(growth, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
