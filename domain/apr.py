"""The actuarial annual percentage rate of Regulation Z, 12 CFR 1026 Appendix J.

    sum of advances A_k / ((1 + e_k i)(1 + i)**q_k)  =  sum of payments P_j / ((1 + f_j i)(1 + i)**t_j)

with q, t the full unit-periods and e, f the fraction of one between the first advance and the flow; APR = 100 * w *
i, w unit-periods a year. `i` is found by Newton's method from 0, kept inside a bracket, in 34-digit decimals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_UP, Context, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from domain.calendars import ends_month, month_length
from domain.errors import InvalidTerms


class UnitKind(StrEnum):
    DAYS = "days"
    SEMIMONTH = "semimonth"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class UnitPeriod:
    """A unit-period: `count` days (7 = a week, at most 365) or months (at most 11); 1 for a semimonth and a year.

    Raises InvalidTerms for another count.
    """

    kind: UnitKind
    count: int = 1

    def __post_init__(self) -> None:
        most = {UnitKind.DAYS: 365, UnitKind.MONTH: 11}.get(self.kind, 1)
        if not 1 <= self.count <= most:
            raise InvalidTerms(f"A unit-period of kind {self.kind} counts from 1 to {most}, not {self.count}.")

    def per_year(self, *, single_payment: bool = False) -> Fraction:
        """Unit-periods a year (w): 12/months, 24, 52/weeks, 365/days where the days are not whole weeks or are the
        term of a single-payment transaction (Appendix J (b)(5)(ii)-(vii))."""
        match self.kind:
            case UnitKind.YEAR:
                return Fraction(1)
            case UnitKind.MONTH:
                return Fraction(12, self.count)
            case UnitKind.SEMIMONTH:
                return Fraction(24)
            case UnitKind.DAYS:
                weeks, days = divmod(self.count, 7)
                return Fraction(52, weeks) if weeks and not days and not single_payment else Fraction(365, self.count)


class Flow(NamedTuple):
    """An advance to the borrower or a payment by the borrower, in minor units. A plain (date, amount) pair will do."""

    day: date
    amount: int


class Units(NamedTuple):
    """Unit-periods between two dates: `full` ones and the fraction `part`/`of` of one."""

    full: int
    part: int
    of: int


_CONTEXT = Context(prec=34, Emin=MIN_EMIN, Emax=MAX_EMAX)
_NO_FURTHER = Decimal("1e-24")
_NO_SOLUTION_ABOVE = Decimal(10**9)
_PLACES = Decimal("1e-12")
_MAX_STEPS = 300


def apr(
    advances: Sequence[tuple[date, int]], payments: Sequence[tuple[date, int]], unit_period: UnitPeriod | None = None
) -> Decimal:
    """The annual percentage rate in percent, exact to 12 decimals (`round_apr` rounds it for display).

    `advances` and `payments` are (date, amount in minor units) pairs in any order; what is paid on the day of an
    advance (a prepaid finance charge) counts at once. `unit_period` None: inferred, see `infer_unit_period`.

    Raises InvalidTerms where there is no advance or payment, an amount is negative, a payment precedes the first
    advance, the payments are less than the advances, or no rate makes the two sides equal.
    """
    out, back = _checked(advances, payments)
    unit = unit_period or _infer(out, back)
    w = unit.per_year(single_payment=len(out) == 1 and len(back) == 1)
    with localcontext(_CONTEXT):
        rate = _solve(_series(out, back, unit))
        return (100 * rate * w.numerator / w.denominator).quantize(_PLACES)


def round_apr(rate: Decimal, places: int) -> Decimal:
    """An APR in percent rounded half up to `places` decimals."""
    return rate.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def units_between(start: date, end: date, unit: UnitPeriod, anchor_day: int | None = None) -> Units:
    """Unit-periods from `start` to `end`, full ones counted back from `end` (Appendix J (b)(5)).

    `anchor_day` (default: the day of `end`) is the day of the month on which the series of `end` falls: months of a
    series paid on the last day of each month are measured from last day to last day.
    """
    if unit.kind is UnitKind.DAYS:
        full, part = divmod(end.toordinal() - start.toordinal(), unit.count)
        return Units(full, part, unit.count)
    months, days = _months_back(start, end, anchor_day or end.day)
    if unit.kind is UnitKind.MONTH and unit.count == 1:
        return Units(months, days, 30)
    if unit.kind is UnitKind.YEAR:
        years, months = divmod(months, 12)
        if not days:
            return Units(years, months, 12)
        first_full_year = _on_anchor(end.year - years, end.month, anchor_day or end.day)
        return Units(years, first_full_year.toordinal() - start.toordinal(), 365)
    days_per_unit = 15 if unit.kind is UnitKind.SEMIMONTH else 30 * unit.count
    full, part = divmod(30 * months + days, days_per_unit)
    return Units(full, part, days_per_unit)


def infer_unit_period(advances: Sequence[tuple[date, int]], payments: Sequence[tuple[date, int]]) -> UnitPeriod:
    """The unit-period of a transaction (Appendix J (b)(4)).

    A single advance with a single payment: its term, up to a year. Else the interval of at most a year that occurs most
    often between advances or payments (the smaller where two do); where none occurs twice, the standard interval (a
    day, weeks, a semimonth, months) nearest to the average of all (the smaller where two are equally near). Arguments
    and refusals are those of `apr`.
    """
    return _infer(*_checked(advances, payments))


def _checked(advances: Iterable[tuple[date, int]], payments: Iterable[tuple[date, int]]) -> tuple[list[Flow], list[Flow]]:
    """Both sides in date order, one flow a day, what is paid on the first day taken off its advance; or the refusal."""
    out, back = _by_day(advances), _by_day(payments)
    if not out or not back:
        raise _refusal("it takes at least one advance and one payment")
    start = min(out)
    if min(back) < start:
        raise _refusal(f"a payment ({min(back)}) precedes the first advance ({start})")
    if sum(back.values()) < sum(out.values()):
        raise _refusal("the payments are less than the advances")
    out[start] -= back.pop(start, 0)
    if out[start] <= 0:
        raise _refusal(f"the payments on the first day ({start}) leave nothing advanced on it")
    return [Flow(*item) for item in sorted(out.items())], [Flow(*item) for item in sorted(back.items())]


def _by_day(flows: Iterable[tuple[date, int]]) -> dict[date, int]:
    net: dict[date, int] = {}
    for day, amount in flows:
        if amount < 0:
            raise _refusal(f"the amount of {day} is negative")
        if amount:
            net[day] = net.get(day, 0) + amount
    return net


def _refusal(reason: str) -> InvalidTerms:
    return InvalidTerms(f"No annual percentage rate: {reason}.", code="no_apr")


# --- time ---


def _on_anchor(year: int, month: int, anchor_day: int) -> date:
    return date(year, month, min(anchor_day, month_length(year, month)))


def _months_back(start: date, end: date, anchor_day: int) -> tuple[int, int]:
    """Full months measured back from `end`, and the days from `start` to the first of them."""
    months = (end.year - start.year) * 12 + end.month - start.month
    length = month_length(start.year, start.month)
    reached = min(anchor_day, length)
    if reached >= start.day:
        return months, reached - start.day
    year, month0 = divmod(start.year * 12 + start.month, 12)
    return months - 1, length - start.day + min(anchor_day, month_length(year, month0 + 1))


def _anchors(start: date, dates: Sequence[date]) -> dict[date, int]:
    """The day of the month of the series each date belongs to: its own day, but for dates from the 28th on the one
    day of which all of them are the clipped form (28 February, 31 March and 30 April are the 31st). Where several
    would do, the day of `start` if it is among them (31 January to 28 February is a month), else the smallest."""
    late = [day for day in dates if day.day >= 28]
    if not late or not any(map(ends_month, late)):
        return {}
    fitting = [
        anchor for anchor in range(28, 32) if all(day.day == min(anchor, month_length(day.year, day.month)) for day in late)
    ]
    if not fitting:
        return {}
    anchor = start.day if start.day in fitting else fitting[0]
    return dict.fromkeys(late, anchor)


def _infer(advances: Sequence[Flow], payments: Sequence[Flow]) -> UnitPeriod:
    advance_dates, payment_dates = ([flow.day for flow in flows] for flows in (advances, payments))
    start = advance_dates[0]
    if len(advances) == 1 and len(payments) == 1:
        return _single_payment_unit(start, payment_dates[0])
    found: dict[UnitPeriod, set[int]] = defaultdict(set)
    lengths: list[int] = []
    for dates in (advance_dates, [start, *payment_dates]):
        _find_intervals(dates, found, lengths)
    return _most_frequent(found) or _nearest_standard_interval(lengths)


def _single_payment_unit(start: date, end: date) -> UnitPeriod:
    months, days = _months_back(start, end, _anchors(start, [end]).get(end, end.day))
    if months >= 12:
        return UnitPeriod(UnitKind.YEAR)
    if not days:
        return UnitPeriod(UnitKind.MONTH, months)
    return UnitPeriod(UnitKind.DAYS, end.toordinal() - start.toordinal())


def _find_intervals(dates: Sequence[date], found: dict[UnitPeriod, set[int]], lengths: list[int]) -> None:
    """Add the intervals between neighbouring dates to `found`, under every name they go by, and `lengths` (days)."""
    anchors = _anchors(dates[0], dates[1:])
    offset = len(lengths)
    for index, (before, after) in enumerate(pairwise(dates), offset):
        lengths.append(after.toordinal() - before.toordinal())
        if lengths[-1] <= 365:
            found[UnitPeriod(UnitKind.DAYS, lengths[-1])].add(index)
        months, days = _months_back(before, after, anchors.get(after, after.day))
        if not days and 1 <= months <= 12:
            found[UnitPeriod(UnitKind.MONTH, months) if months < 12 else UnitPeriod(UnitKind.YEAR)].add(index)
    for index in range(offset + 1, len(lengths)):
        # Two intervals which together are a month and each about half of it are semimonths: the 1st, the 16th, the 1st.
        # Two fortnights in a common year's February are not: on their own they say nothing but "every 14 days".
        before, after = dates[index - offset - 1], dates[index - offset + 1]
        pair = lengths[index - 1 : index + 1]
        halves = pair != [14, 14] and min(pair) >= 13 and max(pair) <= 18
        if halves and _months_back(before, after, anchors.get(after, after.day)) == (1, 0):
            found[UnitPeriod(UnitKind.SEMIMONTH)] |= {index - 1, index}


def _length(unit: UnitPeriod) -> int:
    """Days of a unit-period, for comparing two of them."""
    per_unit = {UnitKind.DAYS: 1, UnitKind.SEMIMONTH: 15, UnitKind.MONTH: 30, UnitKind.YEAR: 365}
    return unit.count * per_unit[unit.kind]


def _most_frequent(found: dict[UnitPeriod, set[int]]) -> UnitPeriod | None:
    by_calendar = [indices for unit, indices in found.items() if unit.kind is not UnitKind.DAYS]
    common = {
        unit: len(indices)
        for unit, indices in found.items()
        # 31 days from July to August and August to September are months, not a series of every 31 days
        if len(indices) > 1 and not (unit.kind is UnitKind.DAYS and any(indices <= others for others in by_calendar))
    }
    return max(common, key=lambda unit: (common[unit], -_length(unit)), default=None)


def _nearest_standard_interval(lengths: Sequence[int]) -> UnitPeriod:
    average = Fraction(sum(lengths), len(lengths))
    standard = [UnitPeriod(UnitKind.DAYS, 1), UnitPeriod(UnitKind.SEMIMONTH), UnitPeriod(UnitKind.YEAR)]
    standard += [UnitPeriod(UnitKind.DAYS, 7 * weeks) for weeks in range(1, 53)]
    standard += [UnitPeriod(UnitKind.MONTH, months) for months in range(1, 12)]
    return min(standard, key=lambda unit: (abs(_length(unit) - average), _length(unit)))


# --- the equation ---


class _Group(NamedTuple):
    """The flows with one fraction of a unit-period: a polynomial in 1/(1+i), highest power first. `terms` holds each
    net amount with the number of unit-periods down to the next one; the last goes down to 0."""

    fraction: Decimal
    terms: list[tuple[Decimal, int]]


def _series(advances: Sequence[Flow], payments: Sequence[Flow], unit: UnitPeriod) -> list[_Group]:
    start = advances[0].day
    net: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for sign, flows in ((-1, advances), (1, payments)):
        anchors = _anchors(start, [flow.day for flow in flows])
        for day, amount in flows:
            full, part, of = units_between(start, day, unit, anchors.get(day))
            net[part, of if part else 1][full] += sign * amount
    groups = []
    for (part, of), amounts in net.items():
        powers = sorted(amounts, reverse=True)
        gaps = [high - low for high, low in zip(powers, [*powers[1:], 0], strict=True)]
        terms = [(Decimal(amounts[power]), gap) for power, gap in zip(powers, gaps, strict=True)]
        groups.append(_Group(Decimal(part) / of, terms))
    return groups


def _value_and_slope(series: Sequence[_Group], rate: Decimal) -> tuple[Decimal, Decimal]:
    """Present value of the payments less that of the advances at `rate` a unit-period, and its derivative."""
    v = 1 / (1 + rate)
    value = slope = Decimal(0)
    for fraction, terms in series:
        total = by_v = Decimal(0)
        for amount, gap in terms:
            total += amount
            if gap == 1:
                by_v = by_v * v + total
                total *= v
            elif gap:
                step = v ** (gap - 1)
                by_v = (by_v * v + total * gap) * step
                total *= step * v
        part = 1 / (1 + fraction * rate)
        value += total * part
        slope -= (by_v * v * v + total * fraction * part) * part
    return value, slope


def _solve(series: Sequence[_Group]) -> Decimal:
    """The smallest rate of at least 0 at which the payments are worth the advances."""
    rate = low = Decimal(0)
    high: Decimal | None = None
    for _ in range(_MAX_STEPS):
        value, slope = _value_and_slope(series, rate)
        if value == 0:
            return rate
        if value > 0:
            low = rate
        else:
            high = rate
        following = rate - value / slope if slope else low - 1
        if following <= low or (high is not None and following >= high):
            following = (low + high) / 2 if high is not None else 2 * low + 1
        if abs(following - rate) <= _NO_FURTHER * (1 + rate):
            return following
        if following > _NO_SOLUTION_ABOVE:
            break
        rate = following
    raise _refusal("no rate makes the payments worth the advances")
