"""The plan of a loan: which instalments are to be made, when, what part of a year each bears, and the level payment.

The contract gives the first plan; a modification replaces it. What was paid is not here but in the rows of the replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from domain.amortization import LEVEL, Row, Shape, first_uncovered
from domain.calendars import due_dates
from domain.errors import InvalidTerms
from domain.money import format_amount
from domain.origination import bearing, contractual_due_dates, contractual_parts, contractual_schedule, contractual_shape
from domain.period_interest import period_factors
from domain.program import Program
from domain.rates import Rates
from domain.terms import LoanTerms


class Anchor(NamedTuple):
    """From the index `first` on, due dates follow from `due_date` (before any roll), on `due_days` of the month."""

    first: int
    due_date: date
    due_days: tuple[int, ...]


class Until(NamedTuple):
    """A level payment (minor units) of the instalments numbered up to `number`."""

    number: int
    payment: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Index = number of the instalment - 1. `starts`: first day of each period (the day before it bears nothing of it).

    `parts`: the part of a yearly rate each period bears; `factors`: the part of its opening balance it bears as
    interest at the rates in force (piecewise by days where they change within it). `level_payment` in minor units,
    `at_first` that of the first instalments while a rate is reduced; `shape` says which instalments pay something else by
    contract. `stated`, by number of the instalment: minor units it pays instead because of a modification, 0 where
    nothing is due (its status is deferred then). Whatever they pay, interest comes first, and what is not paid of a
    period's interest is due with the next instalments, never principal.
    """

    due_dates: tuple[date, ...]
    starts: tuple[date, ...]
    parts: tuple[Fraction, ...]
    factors: tuple[Fraction, ...]
    level_payment: int
    anchor: Anchor
    shape: Shape = LEVEL
    stated: Mapping[int, int] = field(default_factory=dict)
    at_first: Until | None = None

    @property
    def as_contracted(self) -> bool:
        """Whether no instalment pays something else because of a modification."""
        return not self.stated and self.at_first is None

    def payment(self, number: int) -> int:
        """What the instalment pays at most (minor units), what shapes it by contract left aside."""
        if number in self.stated:
            return self.stated[number]
        return self.at_first.payment if self.at_first and number <= self.at_first.number else self.level_payment

    def with_level_payment(self, level_payment: int, at_first: Until | None = None) -> Plan:
        return replace(self, level_payment=level_payment, at_first=at_first)

    def with_stated(self, payments: Mapping[int, int]) -> Plan:
        """With these payments (minor units by number of the instalment) stated besides those that are."""
        return replace(self, stated={**self.stated, **payments})

    def trimmed(self, count: int) -> Plan:
        """With the first `count` due dates only."""
        return replace(
            self,
            due_dates=self.due_dates[:count],
            starts=self.starts[:count],
            parts=self.parts[:count],
            factors=self.factors[:count],
        )

    def at_rates(self, rates: Rates, first: int) -> Plan:
        """With the factors that the rates give from the index `first` on."""
        periods = zip(self.parts[first:], self.starts[first:], self.due_dates[first:], strict=True)
        factors = tuple(part * rates.average(start, due) for part, start, due in periods)
        return replace(self, factors=(*self.factors[:first], *factors))


def extended(plan: Plan, program: Program, rates: Rates, count: int) -> Plan:
    """The plan with `count` more due dates at the end. Raises InvalidTerms where the calendar has none."""
    reached, (first, anchor, due_days) = len(plan.due_dates), plan.anchor
    dates = due_dates(
        program.frequency, anchor, reached - first + count, due_days=due_days, roll_rule=program.due_date_roll
    )[reached - first :]
    parts = _regular_parts(program, plan.due_dates[-1], dates)
    return _with_dates(plan, reached, dates, parts).at_rates(rates, reached)


def moved(plan: Plan, program: Program, rates: Rates, first: int, due_date: date) -> Plan:
    """The plan with the instalment of the index `first` due on `due_date` and the later ones following from there.

    The period so lengthened or shortened bears interest by its actual days: the part of the year it bore times its days
    now / its days before, so that what has accrued in it stays. Raises InvalidTerms where the calendar has no such dates.
    """
    count, start = len(plan.due_dates) - first, plan.starts[first]
    dates = due_dates(program.frequency, due_date, count, roll_rule=program.due_date_roll)
    parts = _regular_parts(program, start, dates)
    parts[0] = plan.parts[first] * Fraction((dates[0] - start).days, (plan.due_dates[first] - start).days)
    anchored = replace(plan, anchor=Anchor(first, due_date, ()))
    return _with_dates(anchored, first, dates, parts).at_rates(rates, first)


def _regular_parts(program: Program, start: date, dates: list[date]) -> list[Fraction]:
    return period_factors(
        Fraction(1),
        start,
        dates,
        frequency=program.frequency,
        period_interest=bearing(program).period_interest,
        day_count=program.day_count,
        first_periods=Fraction(1),
    )


def _with_dates(plan: Plan, first: int, dates: list[date], parts: list[Fraction]) -> Plan:
    start = plan.starts[first] if first < len(plan.starts) else plan.due_dates[-1]
    return replace(
        plan,
        due_dates=(*plan.due_dates[:first], *dates),
        starts=(*plan.starts[:first], start, *dates[:-1]),
        parts=(*plan.parts[:first], *parts),
    )


@dataclass(frozen=True, slots=True)
class Contract:
    """The plan as contracted, and the schedule it gives."""

    plan: Plan
    rows: tuple[Row, ...]


@lru_cache(maxsize=256)
def contract(terms: LoanTerms) -> Contract:
    """The contractual plan and schedule of the terms (a pure function: the cache only saves time).

    Raises InvalidTerms for terms that have no schedule, or one whose level payment does not cover the interest.
    """
    dates = tuple(contractual_due_dates(terms))
    schedule = contractual_schedule(terms, dates)
    parts = contractual_parts(terms, dates)
    check_principal_falls(schedule.rows, schedule.level_payment)
    plan = Plan(
        due_dates=dates,
        starts=(terms.contract_date, *dates[:-1]),
        parts=tuple(parts),
        factors=_factors(terms.annual_rate, parts),
        level_payment=schedule.level_payment,
        anchor=Anchor(0, terms.first_due_date, terms.due_days),
        shape=contractual_shape(terms),
    )
    return Contract(plan, schedule.rows)


def _factors(annual_rate: Fraction, parts: list[Fraction]) -> tuple[Fraction, ...]:
    """The parts at one rate. Neighbours that share a part share the factor: there are few to multiply, and a schedule is
    made faster of them."""
    factors: list[Fraction] = []
    for index, part in enumerate(parts):
        shared = index > 0 and part is parts[index - 1]
        factors.append(factors[-1] if shared else annual_rate * part)
    return tuple(factors)


def check_principal_falls(rows: tuple[Row, ...], level: int) -> None:
    """Raises InvalidTerms at /level_payment when an instalment of `level` minor units does not cover its interest."""
    row = first_uncovered(rows)
    if row is not None:
        detail = f"does not cover the interest of instalment {row.number}, {format_amount(row.interest)}"
        raise InvalidTerms.at("/level_payment", f"{format_amount(level)} {detail}")
