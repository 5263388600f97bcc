"""The yearly rate of a loan over time: piecewise constant, because people change rates and stop interest from a day on.

Day D's rate is what the night from D to D + 1 bears: a change from D on shows at the close of D + 1.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import NamedTuple


class Segment(NamedTuple):
    """Days from `start` to `end` (`end` not included) that bear one yearly rate of one."""

    start: date
    end: date
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Rates:
    """`first` until the first of `changes` (day from which, rate of one a year), which ascend by day. In the intervals
    of `capped` (from, until, rate; `until` not included, None: for good) no more than that rate is borne, and in those
    of `stopped` (from, until) nothing, whatever is agreed."""

    first: Fraction
    changes: tuple[tuple[date, Fraction], ...] = ()
    stopped: tuple[tuple[date, date], ...] = ()
    capped: tuple[tuple[date, date | None, Fraction], ...] = ()

    @property
    def constant(self) -> bool:
        """Whether one rate holds for good."""
        return not (self.changes or self.stopped or self.capped)

    def on(self, day: date) -> Fraction:
        """The rate that `day` bears."""
        if any(start <= day < end for start, end in self.stopped):
            return Fraction(0)
        caps = (cap for start, end, cap in self.capped if start <= day and (end is None or day < end))
        return min((self._agreed(day), *caps))

    def _agreed(self, day: date) -> Fraction:
        index = bisect_right(self.changes, day, key=_day)
        return self.changes[index - 1][1] if index else self.first

    def segments(self, start: date, end: date) -> list[Segment]:
        """The days from `start` to `end` cut where the rate changes; none when `end` is not after `start`."""
        if end <= start:
            return []
        cuts = {day for day, _ in self.changes} | {day for interval in self.stopped for day in interval}
        cuts |= {day for start, until, _ in self.capped for day in (start, until) if day is not None}
        days = [start, *sorted(day for day in cuts if start < day < end), end]
        return [Segment(day, days[index], self.on(day)) for index, day in enumerate(days[:-1], 1)]

    def weight(self, start: date, end: date) -> Fraction:
        """The sum of rate x days from `start` to `end`, exact; 0 when `end` is not after `start`."""
        if self.constant:
            return self.first * max(0, (end - start).days)
        return sum((rate * (until - day).days for day, until, rate in self.segments(start, end)), Fraction(0))

    def average(self, start: date, end: date) -> Fraction:
        """The rate which, constant from `start` to `end` (after it), would bear the same; exact."""
        return self.first if self.constant else self.weight(start, end) / (end - start).days

    def changed(self, start: date, rate: Fraction, until: date | None = None) -> Rates:
        """These rates with `rate` for the days from `start` (to before `until`, where what stood before goes on)."""
        kept = [change for change in self.changes if change[0] < start]
        later = [] if until is None else [(until, self._agreed(until)), *(c for c in self.changes if c[0] > until)]
        return replace(self, changes=(*kept, (start, rate), *later))

    def capped_at(self, rate: Fraction, start: date, until: date | None = None) -> Rates:
        """These rates, but no more than `rate` on the days from `start` (to before `until`), whatever is agreed later."""
        return replace(self, capped=(*self.capped, (start, until, rate)))

    def stopped_for(self, start: date, until: date) -> Rates:
        """These rates, but nothing is borne on the days from `start` to before `until`."""
        return replace(self, stopped=(*self.stopped, (start, until))) if start < until else self


def _day(change: tuple[date, Fraction]) -> date:
    return change[0]
