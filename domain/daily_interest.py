"""Interest by the day: what principal bears between two days, and the schedule of stated payments.

US simple interest: every calendar day bears interest on the principal of that day; what a payment does not cover of it
is carried unrounded and never becomes principal; it is rounded where a payment takes it, and the remainder is dropped
where all of it is taken.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import isleap
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple, Protocol

from domain.amortization import Row
from domain.daycount import year_ratio
from domain.program import DayCount
from domain.rates import Rates
from domain.rounding import Rounding, round_ratio

Ratio = tuple[int, int]
"""Numerator and denominator, not reduced."""

NOTHING: Ratio = (0, 1)


class Periods(Protocol):
    """The periods of a loan: the first day of each and its due date."""

    @property
    def starts(self) -> Sequence[date]: ...

    @property
    def due_dates(self) -> Sequence[date]: ...


def borne(day_count: DayCount, rates: Rates, periods: Periods, start: date, end: date) -> Ratio:
    """The part of a principal that the days from `start` to `end` bear as interest; nothing when `end` is not after it.

    ACT/ACT FEB29 counts a day by whether its period holds a 29 February; a day outside of the periods (after the last due
    date) is a period of its own. What two stretches bear is what they bear together.
    """
    if end <= start:
        return NOTHING
    if rates.constant:
        numerator, denominator = _part(day_count, periods, start, end)
        return rates.first.numerator * numerator, rates.first.denominator * denominator
    total = Fraction(0)
    for begin, until, rate in rates.segments(start, end):
        total += rate * Fraction(*_part(day_count, periods, begin, until))
    return total.numerator, total.denominator


def _part(day_count: DayCount, periods: Periods, start: date, end: date) -> Ratio:
    if day_count is not DayCount.ACT_ACT_FEB29:
        return year_ratio(day_count, start, end)
    total = Fraction(0)
    index = bisect_right(periods.due_dates, start)
    while start < end:
        if index == len(periods.due_dates):
            leap = _leap_days(start, end)
            total += Fraction((end - start).days - leap, 365) + Fraction(leap, 366)
            break
        due = periods.due_dates[index]
        stop = min(end, due)
        convention = DayCount.ACT_ACT_DEC31 if _leap_days(periods.starts[index], due) else DayCount.ACT_365F
        total += Fraction(*year_ratio(convention, start, stop))
        start, index = stop, index + 1
    return total.numerator, total.denominator


def _leap_days(start: date, end: date) -> int:
    """How many 29 Februaries lie after `start` and not after `end`."""
    years = range(start.year, end.year + 1)
    return sum(isleap(year) and start < date(year, 2, 29) <= end for year in years)


def accrued(before: Ratio, principal: int, bears: Ratio) -> Ratio:
    """Interest (minor units, exact) when `principal` bears a part of itself on top of what was accrued before."""
    part, whole = bears
    if before[1] == whole:
        return before[0] + principal * part, whole
    if not before[0]:
        return principal * part, whole
    total = Fraction(*before) + Fraction(principal * part, whole)
    return total.numerator, total.denominator


class Due(NamedTuple):
    """An instalment to be made: the part of the principal borne as interest since the one before, and what is paid.

    `payment` (minor units) is all of it, or with `plus_interest` its principal.
    """

    number: int
    due_date: date
    bears: Ratio
    payment: int
    plus_interest: bool = False


def pay_as_stated(
    balance: int,
    dues: Iterable[Due],
    rounding: Rounding,
    *,
    carried: Ratio = NOTHING,
    taken: int = 0,
    older: int = 0,
    settles: int | None = None,
) -> list[Row]:
    """The schedule of a principal of `balance` minor units when every instalment is paid on its due date.

    `carried`: interest accrued before the first one, exact, of which `taken` minor units are paid already, and `older`
    with the first one, as interest of instalments before these. Interest comes first, up to the payment; the rest is
    principal. `settles`: the number of the instalment that takes whatever is left; then one for which less than its
    payment is left takes that, and none follows. None: every payment is as stated, whatever that leaves.
    """
    rows: list[Row] = []
    for number, due_date, bears, payment, plus_interest in dues:
        carried = accrued(carried, balance, bears)
        owed = round_ratio(*carried, rounding) - taken - older
        if settles is not None and not balance and not owed:
            break
        paid = owed + payment if plus_interest else payment
        if settles is not None and (number == settles or balance + owed <= paid):
            paid = balance + owed
        interest = max(0, min(owed, paid))
        principal = paid - interest
        balance -= principal
        if interest == owed and interest + older:
            carried, taken = NOTHING, 0
        else:
            taken += interest + older
        older = 0
        rows.append(Row(number, due_date, paid, interest, principal, balance))
    return rows
