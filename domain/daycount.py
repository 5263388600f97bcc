"""Day-count conventions: how many days lie between two dates, and what part of a year that is.

Sources: ISDA 2006 Definitions section 4.16; the end-of-February rule of 30/360 US (SIA); Apache Fineract's
actual/actual and its 29-February option.
"""

from __future__ import annotations

from calendar import isleap
from datetime import date
from fractions import Fraction
from functools import lru_cache

from domain.calendars import ends_month
from domain.errors import InvalidInput
from domain.program import DayCount

_DAYS_IN_COMMON_AND_LEAP_YEAR = 365 * 366


def days(convention: DayCount, start: date, end: date) -> int:
    """Days from `start` (not counted) to `end` (counted) as the convention counts them.

    Raises InvalidInput when `end` is before `start`.
    """
    _check_order(start, end)
    match convention:
        case DayCount.THIRTY_360_US:
            return _thirty_360_us(start, end)
        case DayCount.THIRTY_360_BOND:
            return _thirty_360_bond(start, end)
        case DayCount.THIRTY_E_360:
            return _thirty_360(start, end, min(start.day, 30), min(end.day, 30))
        case _:
            return end.toordinal() - start.toordinal()


def year_fraction(convention: DayCount, start: date, end: date) -> Fraction:
    """The exact part of a year from `start` to `end`. Raises InvalidInput when `end` is before `start`."""
    return Fraction(*year_ratio(convention, start, end))


@lru_cache(maxsize=4096)  # a simulation asks for the same periods on each of its days
def year_ratio(convention: DayCount, start: date, end: date) -> tuple[int, int]:
    """`year_fraction` as (numerator, denominator), not reduced: what loops over many periods use, because making a
    Fraction of every period would cost more than the schedule itself.

    Raises InvalidInput when `end` is before `start`.
    """
    counted = days(convention, start, end)
    match convention:
        case DayCount.ACT_365F:
            return counted, 365
        case DayCount.ACT_ACT_ISDA:
            return _by_calendar_year(start, end, first_day_of_year=1)
        case DayCount.ACT_ACT_DEC31:
            return _by_calendar_year(start, end, first_day_of_year=0)
        case DayCount.ACT_ACT_FEB29:
            # Without a 29 February in the period every day is 1/365, in a leap year too, and no year is split.
            return _by_calendar_year(start, end, first_day_of_year=0) if _holds_feb_29(start, end) else (counted, 365)
        case _:
            return counted, 360


def _check_order(start: date, end: date) -> None:
    if end < start:
        raise InvalidInput(f"A period cannot end ({end}) before it starts ({start}).", code="invalid_period")


def _thirty_360(start: date, end: date, start_day: int, end_day: int) -> int:
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + end_day - start_day


def _thirty_360_bond(start: date, end: date) -> int:
    start_day = min(start.day, 30)
    end_day = 30 if end.day == 31 and start_day == 30 else end.day
    return _thirty_360(start, end, start_day, end_day)


def _thirty_360_us(start: date, end: date) -> int:
    start_day, end_day = start.day, end.day
    if _ends_february(start):
        start_day = 30
        if _ends_february(end):
            end_day = 30
    if end_day == 31 and start_day >= 30:
        end_day = 30
    return _thirty_360(start, end, min(start_day, 30), end_day)


def _ends_february(day: date) -> bool:
    return day.month == 2 and ends_month(day)


def _by_calendar_year(start: date, end: date, first_day_of_year: int) -> tuple[int, int]:
    """Days of each calendar year over the length of that year. The period is split where a year begins: on 1 January
    (`first_day_of_year` 1, ISDA), or on 31 December of the year before (0)."""
    if start.year == end.year:
        return end.toordinal() - start.toordinal(), 366 if isleap(start.year) else 365
    january_first = date(start.year + 1, 1, 1).toordinal()
    split = january_first - 1 + first_day_of_year
    last_split = date(end.year, 1, 1).toordinal() - 1 + first_day_of_year
    whole_years = end.year - start.year - 1
    numerator = (split - start.toordinal()) * (365 if isleap(start.year) else 366)
    numerator += whole_years * _DAYS_IN_COMMON_AND_LEAP_YEAR
    numerator += (end.toordinal() - last_split) * (365 if isleap(end.year) else 366)
    return numerator, _DAYS_IN_COMMON_AND_LEAP_YEAR


def _holds_feb_29(start: date, end: date) -> bool:
    """Whether a 29 February lies after `start` and not after `end`."""
    leap_years = (year for year in range(start.year, end.year + 1) if isleap(year))
    return any(start < date(year, 2, 29) <= end for year in leap_years)
