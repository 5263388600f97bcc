"""Due dates of a payment frequency, and banking days. Holidays come in as data: a frozen set of dates."""

from __future__ import annotations

from calendar import isleap
from datetime import date, timedelta
from functools import lru_cache

from domain.errors import InvalidTerms
from domain.program import DueDateRoll, Frequency

PERIODS_PER_YEAR: dict[Frequency, int] = {
    Frequency.WEEKLY: 52,
    Frequency.BIWEEKLY: 26,
    Frequency.SEMIMONTHLY: 24,
    Frequency.MONTHLY: 12,
    Frequency.QUARTERLY: 4,
    Frequency.ANNUALLY: 1,
}
"""Periods in a year, by which a yearly rate is divided. `single` has none: its one period is the whole term."""

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""No date that people or tapes give lies outside these years, and no date of a loan beyond them."""

_DAYS_PER_PERIOD = {Frequency.WEEKLY: 7, Frequency.BIWEEKLY: 14}
_MONTHS_PER_PERIOD = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.ANNUALLY: 12}
_MONTH_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST_DAY = 31
_SHORTEST_MONTH = 28
_SATURDAY = 5
_ONE_DAY = timedelta(days=1)


def month_length(year: int, month: int) -> int:
    """Days in a month (1 to 12)."""
    return 29 if month == 2 and isleap(year) else _MONTH_LENGTHS[month]


def ends_month(day: date) -> bool:
    """Whether `day` is the last day of its month."""
    return day.day == month_length(day.year, day.month)


def last_of_month(day: date) -> date:
    """The last day of the month of `day`."""
    return day.replace(day=month_length(day.year, day.month))


def add_months(day: date, months: int, anchor_day: int | None = None) -> date:
    """`day` moved by whole months (negative: back), on `anchor_day` (default: its own day) or the month's last day
    where the month is shorter. Passing the anchor of a series keeps 31 January - 29 February - 31 March."""
    return _clipped(*divmod(day.year * 12 + day.month - 1 + months, 12), anchor_day or day.day)


def due_dates(
    frequency: Frequency,
    first_due: date,
    count: int,
    *,
    due_days: tuple[int, ...] = (),
    roll_rule: DueDateRoll = DueDateRoll.NONE,
    holidays: frozenset[date] = frozenset(),
) -> list[date]:
    """The first `count` due dates of a loan.

    `due_days` are the days of the month: one for monthly, quarterly and annually (default: the day of `first_due`),
    two for semimonthly (default: see `semimonthly_days`); 31 is the last day, and a day beyond a month's end is its
    last day, the anchor being kept for the months after. Each date is rolled on its own, so a roll never shifts the
    dates after it.

    Raises InvalidTerms when `count` is not positive, `due_days` do not fit the frequency or `first_due`, or a date
    would lie beyond the year 9999.
    """
    if count < 1 or (frequency is Frequency.SINGLE and count != 1):
        allowed = "exactly 1" if frequency is Frequency.SINGLE else "at least 1"
        raise InvalidTerms(f"A {frequency} loan has {allowed} due date, not {count}.", code="invalid_due_dates")
    try:
        dates = _unrolled(frequency, first_due, count, due_days)
        if roll_rule is DueDateRoll.NONE:
            return dates
        return [roll(day, roll_rule, holidays) for day in dates]
    except (ValueError, OverflowError) as error:
        detail = f"{count} {frequency} due dates from {first_due} run past the year 9999."
        raise InvalidTerms(detail, code="invalid_due_dates") from error


def semimonthly_days(first_due: date) -> tuple[int, int]:
    """The pair of days a semimonthly loan falls due on when only its first due date is known: 15 days apart (1 and 16,
    7 and 22), except that the 15th and the last day of a month go together (31 stands for the last day)."""
    day = first_due.day
    if day == 15 or ends_month(first_due):
        return 15, _LAST_DAY
    return (day, day + 15) if day < 15 else (day - 15, day)


def previous_semimonthly(day: date, pair: tuple[int, ...]) -> date:
    """The due date before `day` of a semimonthly series on a pair of days of the month (31 = the last day)."""
    early, late = pair
    if day.day > early:
        return day.replace(day=early)
    return add_months(day, -1, late)


def is_banking_day(day: date, holidays: frozenset[date]) -> bool:
    """Neither a Saturday, a Sunday nor a holiday."""
    return day.weekday() < _SATURDAY and day not in holidays


def roll(day: date, rule: DueDateRoll, holidays: frozenset[date]) -> date:
    """`day` itself where it is a banking day or the rule is `none`, else the next or the previous banking day."""
    if rule is DueDateRoll.NONE:
        return day
    step = _ONE_DAY if rule is DueDateRoll.NEXT else -_ONE_DAY
    while not is_banking_day(day, holidays):
        day += step
    return day


def next_banking_day(day: date, holidays: frozenset[date]) -> date:
    """The first banking day on or after `day`: when a draft meant for `day` goes out."""
    return roll(day, DueDateRoll.NEXT, holidays)


def add_banking_days(day: date, count: int, holidays: frozenset[date]) -> date:
    """The `count`-th banking day after `day` (count >= 0; 0 is the first banking day on or after it): settlement
    dates."""
    day = next_banking_day(day, holidays)
    for _ in range(count):
        day = next_banking_day(day + _ONE_DAY, holidays)
    return day


def _unrolled(frequency: Frequency, first_due: date, count: int, due_days: tuple[int, ...]) -> list[date]:
    if frequency is Frequency.SEMIMONTHLY:
        return _semimonthly(first_due, count, due_days or semimonthly_days(first_due))
    if frequency in _MONTHS_PER_PERIOD:
        anchor = _anchor_day(first_due, due_days)
        return _by_months(first_due, count, _MONTHS_PER_PERIOD[frequency], anchor)
    if due_days:
        raise InvalidTerms(f"A {frequency} loan has no days of the month; leave them out.", code="invalid_due_days")
    start, step = first_due.toordinal(), _DAYS_PER_PERIOD.get(frequency, 0)
    return [date.fromordinal(start + step * k) for k in range(count)]


def _by_months(first: date, count: int, step: int, anchor: int) -> list[date]:
    start, beyond = first.year * 12 + first.month - 1, (LAST_YEAR + 1) * 12
    if start >= FIRST_YEAR * 12 and start + count * step <= beyond:
        from_table = start - FIRST_YEAR * 12
        return list(_month_days(anchor)[from_table : from_table + count * step : step])
    return [_clipped(*divmod(months, 12), anchor) for months in range(start, start + count * step, step)]


@lru_cache(maxsize=_LAST_DAY)
def _month_days(anchor: int) -> tuple[date, ...]:
    """A day of every month from FIRST_YEAR to LAST_YEAR: cutting due dates out of it takes no time."""
    return tuple(_clipped(year, month0, anchor) for year in range(FIRST_YEAR, LAST_YEAR + 1) for month0 in range(12))


def _clipped(year: int, month0: int, day: int) -> date:
    return date(year, month0 + 1, min(day, month_length(year, month0 + 1)))


def _semimonthly(first: date, count: int, due_days: tuple[int, ...]) -> list[date]:
    if len(due_days) != 2 or not 1 <= due_days[0] < due_days[1] <= _LAST_DAY or due_days[0] >= _SHORTEST_MONTH:
        detail = f"A semimonthly loan needs two ascending days, the first before the 28th (1 and 16); got {due_days}."
        raise InvalidTerms(detail, code="invalid_due_days")
    early, late = due_days
    length = month_length(first.year, first.month)
    if first.day not in (min(early, length), min(late, length)):
        detail = f"The first due date {first} is on neither of the semimonthly days {early} and {late}."
        raise InvalidTerms(detail, code="invalid_due_days")
    months = count // 2 + 1
    pairs = zip(_by_months(first, months, 1, early), _by_months(first, months, 1, late), strict=True)
    dates = [day for pair in pairs for day in pair]
    skipped = dates.index(first)
    return dates[skipped : skipped + count]


def _anchor_day(first_due: date, due_days: tuple[int, ...]) -> int:
    anchor = due_days[0] if due_days else first_due.day
    fits = len(due_days) <= 1 and first_due.day == min(anchor, month_length(first_due.year, first_due.month))
    if not fits:
        detail = f"The first due date {first_due} does not fall on the due day {', '.join(map(str, due_days))}."
        raise InvalidTerms(detail, code="invalid_due_days")
    return anchor
