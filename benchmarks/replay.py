"""How many times a second the engine replays a whole loan, and whether the time grows with the length of the loan only.

A replay: 10 years of monthly payments, one of them backdated to the first year, folded from the first event to the state,
the journal entries and the monthly accruals. Then loans of 5 to 30 years, for the growth. The last line is one JSON object;
QUICK=1 measures less.
"""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from fractions import Fraction
from statistics import median
from time import perf_counter
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


def seconds(terms: LoanTerms, events: list[Event]) -> float:
    """The median time of a replay to the day after the last payment."""
    as_of = max(event.effective_date for event in events) + timedelta(days=1)
    result = replay(terms, events, as_of)
    assert len(result.allocations) == len(events) - 1
    rounds = []
    for _ in range(ROUNDS):
        count, start = 0, perf_counter()
        while (spent := perf_counter() - start) < ROUND_SECONDS:
            replay(terms, events, as_of)
            count += 1
        rounds.append(spent / count)
    return median(rounds)


def main() -> None:
    print("method         years  payments  replay ms  replays/s  us an event  growth an event")
    headline = growth = 0.0
    measured = 0
    for method in InterestMethod:
        each: dict[int, float] = {}
        for years in YEARS:
            terms, events = loan(method, years)
            took = seconds(terms, events)
            each[years] = took / len(events)
            grown = each[years] / each[YEARS[0]]
            print(
                f"{method:<13} {years:>6} {len(events) - 1:>9} {took * 1e3:>10.2f} {1 / took:>10.0f} "
                f"{each[years] * 1e6:>12.1f} {grown:>16.2f}"
            )
            if method is InterestMethod.SCHEDULED and years == 10:
                headline, measured = 1 / took, len(events) - 1
        if method is InterestMethod.SCHEDULED:
            growth = each[30] / each[10]
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
                "n": measured,
                "growth_30y_10y": round(growth, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
