"""When an autopay drafts: the dates of a cadence, and the process and apply date of each.

The apply date is the day a draft counts on, the process date the banking day it goes out on. One of them recurs, the other
keeps its distance. A process date that is no banking day becomes the next one, never an earlier one, and the apply date
stays: a holiday of ours is never a late payment of the borrower's (docs/adr/0007).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import count, islice
from typing import Final, NamedTuple

from domain.calendars import (
    LAST_YEAR,
    add_banking_days,
    add_months,
    ends_month,
    is_banking_day,
    next_banking_day,
    semimonthly_days,
)
from domain.errors import InvalidInput

MAX_DAYS_AFTER: Final = 15
"""So many days after its apply date a draft goes out at most."""
MAX_DATES: Final = 120
"""So many dates a custom cadence lists at most."""
MAX_PERIODS: Final = 1_200
_ONE_DAY: Final = timedelta(days=1)
_LAST_DAY: Final = 31


class DraftFrequency(StrEnum):
    """`due_dates`: those of the loan, as they stand. `custom`: the dates that are listed."""

    DUE_DATES = "due_dates"
    WEEKLY = "weekly"
    BIWEEKLY = "biweekly"
    SEMIMONTHLY = "semimonthly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    SEMIANNUAL = "semiannual"
    ANNUAL = "annual"
    CUSTOM = "custom"
    SINGLE = "single"


class DateAnchor(StrEnum):
    """Which of a draft's two dates recurs."""

    APPLY_DATE = "apply_date"
    PROCESS_DATE = "process_date"


class Scheduling(StrEnum):
    """In which days the distance between a draft's two dates is counted."""

    CALENDAR_DAY = "calendar_day"
    BUSINESS_DAY = "business_day"


_DAYS: Final = {DraftFrequency.WEEKLY: 7, DraftFrequency.BIWEEKLY: 14}
_MONTHS: Final = {
    DraftFrequency.MONTHLY: 1,
    DraftFrequency.QUARTERLY: 3,
    DraftFrequency.SEMIANNUAL: 6,
    DraftFrequency.ANNUAL: 12,
}
_KEEPS_MONTH_ENDS: Final = (*_MONTHS, DraftFrequency.SEMIMONTHLY)


class Occurrence(NamedTuple):
    """One period of an autopay."""

    process_date: date
    apply_date: date


@dataclass(frozen=True, slots=True)
class Cadence:
    """When drafts recur, from `start` on.

    `end`: no draft goes out after it; `periods`: so many drafts (one at most is given). `dates`: of a custom cadence.
    `last_day_of_month`: on the last day of each month, not only on the day of `start`. `days_after`: the process date less
    the apply date, in days of `scheduling`.
    """

    frequency: DraftFrequency
    start: date
    end: date | None = None
    periods: int | None = None
    dates: tuple[date, ...] = ()
    last_day_of_month: bool = False
    anchor: DateAnchor = DateAnchor.APPLY_DATE
    scheduling: Scheduling = Scheduling.CALENDAR_DAY
    days_after: int = 0

    @property
    def follows_dues(self) -> bool:
        return self.frequency is DraftFrequency.DUE_DATES


def occurrences(cadence: Cadence, due_dates: Iterable[date], holidays: frozenset[date]) -> Iterator[Occurrence]:
    """The periods of a cadence in order, no two of one process date; without a look at its end date.

    `due_dates` are the loan's, for a cadence that follows them: from the start on, and of two that go out on one day (the
    schedule was changed) the later one, which brings the loan current through both.
    """
    if cadence.follows_dues:
        made = (_occurrence(cadence, due, holidays) for due in due_dates)
        by_day = {item.process_date: item for item in sorted(made) if item.process_date >= cadence.start}
        found: Iterator[Occurrence] = iter(by_day.values())
    else:
        found = (_occurrence(cadence, day, holidays) for day in _recurring(cadence))
    return islice(found, cadence.periods)


def upcoming(
    cadence: Cadence,
    due_dates: Iterable[date],
    not_before: date,
    holidays: frozenset[date],
    settled: Collection[date] = frozenset(),
) -> Occurrence | None:
    """The first period that goes out on `not_before` or later, and is not of a due date that is `settled`."""
    periods = occurrences(cadence, due_dates, holidays)
    return next((one for one in periods if one.process_date >= not_before and one.apply_date not in settled), None)


def occurrence_on(cadence: Cadence, due_dates: Iterable[date], process_date: date, holidays: frozenset[date]) -> Occurrence:
    """The period that goes out on a process date. One that has none (the schedule was changed since) stands for itself."""
    for one in occurrences(cadence, due_dates, holidays):
        if one.process_date >= process_date:
            return one if one.process_date == process_date else Occurrence(process_date, process_date)
    return Occurrence(process_date, process_date)


def check_cadence(cadence: Cadence, today: date, holidays: frozenset[date]) -> None:
    """Refuse (InvalidInput, with the field) a cadence that cannot be meant on the business date `today`."""
    if cadence.start < today:
        raise InvalidInput.at("/start_date", f"must not be before the business date {today}")
    if cadence.end is not None and cadence.end < cadence.start:
        raise InvalidInput.at("/end_date", f"must not be before the start date {cadence.start}")
    if cadence.end is not None and cadence.periods is not None:
        raise InvalidInput.at("/number_of_periods", "must be left out when an end_date is given: one of them says the end")
    if cadence.periods is not None and not 1 <= cadence.periods <= MAX_PERIODS:
        raise InvalidInput.at("/number_of_periods", f"must be from 1 to {MAX_PERIODS}")
    if not 0 <= cadence.days_after <= MAX_DAYS_AFTER:
        message = f"must be from 0 to {MAX_DAYS_AFTER}: money cannot count on a day that is still to come"
        raise InvalidInput.at("/process_days_after", message)
    if cadence.follows_dues and cadence.anchor is not DateAnchor.APPLY_DATE:
        raise InvalidInput.at("/date_anchor", "must be apply_date when the drafts follow the loan's due dates")
    _check_month_ends(cadence)
    _check_dates(cadence, holidays)


def _check_month_ends(cadence: Cadence) -> None:
    if not cadence.last_day_of_month:
        return
    if cadence.frequency not in _KEEPS_MONTH_ENDS:
        message = f"must be false for {cadence.frequency}: it goes with {', '.join(_KEEPS_MONTH_ENDS)}"
        raise InvalidInput.at("/last_day_of_month", message)
    fifteenth = cadence.frequency is DraftFrequency.SEMIMONTHLY and cadence.start.day == 15
    if not (ends_month(cadence.start) or fifteenth):
        raise InvalidInput.at("/start_date", "must be the last day of a month when last_day_of_month is true")


def _check_dates(cadence: Cadence, holidays: frozenset[date]) -> None:
    if cadence.frequency is not DraftFrequency.CUSTOM:
        if cadence.dates:
            raise InvalidInput.at("/dates", "must be left out unless the frequency is custom")
        return
    if not 1 <= len(cadence.dates) <= MAX_DATES:
        raise InvalidInput.at("/dates", f"a custom frequency needs 1 to {MAX_DATES} dates")
    previous: date | None = None
    for index, day in enumerate(cadence.dates):
        if day < cadence.start:
            raise InvalidInput.at(f"/dates/{index}", f"must not be before the start date {cadence.start}")
        process_date = _occurrence(cadence, day, holidays).process_date
        if previous is not None and process_date <= previous:
            message = f"must come after the date before it, on another banking day: both would go out on {process_date}"
            raise InvalidInput.at(f"/dates/{index}", message)
        previous = process_date


def _occurrence(cadence: Cadence, day: date, holidays: frozenset[date]) -> Occurrence:
    """The period of a date that recurs."""
    distance, by_banking_days = cadence.days_after, cadence.scheduling is Scheduling.BUSINESS_DAY
    if cadence.anchor is DateAnchor.PROCESS_DATE:
        apply_date = _banking_days_before(day, distance, holidays) if by_banking_days else day - distance * _ONE_DAY
        return Occurrence(next_banking_day(day, holidays), apply_date)
    if by_banking_days:
        return Occurrence(add_banking_days(day, distance, holidays), day)
    return Occurrence(next_banking_day(day + distance * _ONE_DAY, holidays), day)


def _banking_days_before(day: date, distance: int, holidays: frozenset[date]) -> date:
    for _ in range(distance):
        day -= _ONE_DAY
        while not is_banking_day(day, holidays):
            day -= _ONE_DAY
    return day


def _recurring(cadence: Cadence) -> Iterator[date]:
    """The dates of a cadence that does not follow the loan's, in order, until the calendar ends."""
    match cadence.frequency:
        case DraftFrequency.SINGLE:
            return iter([cadence.start])
        case DraftFrequency.CUSTOM:
            return iter(cadence.dates)
        case DraftFrequency.SEMIMONTHLY:
            days = semimonthly_days(cadence.start)
            return _in_calendar(
                day
                for months in count()
                for day in _days_of(cadence.start.replace(day=1), months, days)
                if day >= cadence.start
            )
        case frequency if frequency in _MONTHS:
            anchor = _LAST_DAY if cadence.last_day_of_month else cadence.start.day
            step = _MONTHS[frequency]
            return _in_calendar(add_months(cadence.start, step * number, anchor) for number in count())
        case frequency:
            step = _DAYS[frequency]
            return _in_calendar(cadence.start + timedelta(days=step * number) for number in count())


def _days_of(first_month: date, months: int, days: Sequence[int]) -> list[date]:
    return [add_months(first_month, months, day) for day in days]


def _in_calendar(days: Iterator[date]) -> Iterator[date]:
    for day in days:
        if day.year > LAST_YEAR:
            return
        yield day
