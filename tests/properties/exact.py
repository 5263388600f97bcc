"""Interest worked out a second time, plainly and in exact fractions. Nothing here uses the engine but its data types."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import floor

from domain.loan import Instalment
from domain.plan import Plan
from domain.program import DayCount
from domain.rounding import Rounding
from domain.terms import LoanTerms


def earned_by_schedule(rows: Sequence[Instalment], on: date) -> Fraction:
    """What a loan whose periods bear their own interest has earned at the close of `on`, in minor units, unrounded.

    All of the interest of the instalments due, and that of the current period by elapsed days; or what was settled of it
    and ahead of it, with money or waived, where that is more: nobody owes less than nothing of it.
    """
    total = Fraction(0)
    for row in rows:
        if row.due_date <= on:
            total += row.interest
    to_come = [row for row in rows if row.due_date > on]
    for row in to_come[:1]:
        whole = row.interest + row.prior_interest
        elapsed = max(0, (on - row.period_start).days)
        by_days = Fraction(whole * elapsed, (row.due_date - row.period_start).days) - row.prior_interest
        total += max(by_days, Fraction(sum(row.interest_paid + row.interest_waived for row in to_come)))
    return total


def level_payment(principal: int, factors: Sequence[Fraction]) -> Fraction:
    """The payment, unrounded, whose present value over periods with these interest factors is the principal."""
    worth, discount = Fraction(0), Fraction(1)
    for factor in factors:
        discount /= 1 + factor
        worth += discount
    return principal / worth


@dataclass(frozen=True)
class Move:
    """What a payment took on a day, in minor units."""

    day: date
    principal: int
    interest: int


def earned_by_days(
    terms: LoanTerms, opened_on: date, principal: int, brought: int, moves: Iterable[Move], on: date
) -> tuple[int, Fraction]:
    """What a loan whose every day bears interest on its actual principal has earned at the close of `on` (minor units):
    as it must be posted, and exact. `brought`: the interest it began with; `moves` in their order.

    A payment that takes all the interest owed, rounded, ends a count: what is left of a cent is dropped.
    """
    settled, paid, count, exact = 0, 0, Fraction(brought), Fraction(brought)
    day = opened_on
    for move in [*moves, Move(on, 0, 0)]:
        borne = principal * terms.annual_rate * _years(terms, day, move.day)
        count, exact, day = count + borne, exact + borne, move.day
        principal -= move.principal
        paid += move.interest
        if move.interest and settled + rounded(count, terms.program.rounding) == paid:
            settled, count = paid, Fraction(0)
    return settled + rounded(count, terms.program.rounding), exact


def earned_by_periods(terms: LoanTerms, plan: Plan, moves: Iterable[Move], on: date) -> Fraction:
    """What a loan whose periods each bear their part of a year's interest, day by day on its actual principal, has earned
    at the close of `on`: exact, in minor units. After the last due date nothing is borne."""
    paid: dict[date, int] = {}
    for move in moves:
        paid[move.day] = paid.get(move.day, 0) + move.principal
    total, principal = Fraction(0), terms.principal - paid.get(terms.contract_date, 0)
    for start, due, part in zip(plan.starts, plan.due_dates, plan.parts, strict=True):
        principal_days, length = 0, (due - start).days
        for day in (start + timedelta(days=number) for number in range(1, length + 1)):
            if day > on:
                break
            principal_days += principal
            principal -= paid.get(day, 0)
        total += principal_days * terms.annual_rate * part / length
    return total


def rounded(amount: Fraction, rounding: Rounding) -> int:
    """To whole minor units; a tie to the even neighbour, or up. `amount` not negative."""
    return round(amount) if rounding is Rounding.HALF_EVEN else floor(amount + Fraction(1, 2))


def _years(terms: LoanTerms, start: date, end: date) -> Fraction:
    """The days from `start` to `end` as years, day by day. A day is the one that begins with its date."""
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    match terms.program.day_count:
        case DayCount.ACT_360:
            return Fraction(len(days), 360)
        case DayCount.ACT_365F:
            return Fraction(len(days), 365)
        case DayCount.ACT_ACT_ISDA:
            in_leap_years = sum(isleap(day.year) for day in days)
        case DayCount.ACT_ACT_DEC31:
            in_leap_years = sum(isleap((day + timedelta(days=1)).year) for day in days)
        case _:
            raise NotImplementedError(terms.program.day_count)
    return Fraction(in_leap_years, 366) + Fraction(len(days) - in_leap_years, 365)
