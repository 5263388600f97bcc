"""What part of a yearly rate, or of its balance, each period of a loan bears as interest. Exact Fractions of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache

from domain.apr import UnitKind, UnitPeriod, units_between
from domain.calendars import PERIODS_PER_YEAR, previous_semimonthly, semimonthly_days
from domain.daycount import year_ratio
from domain.program import DayCount, FirstPeriod, Frequency, PeriodInterest

DAYS_IN_SEMIMONTH = 15
_ONE = Fraction(1)
_UNIT_PERIODS = {
    Frequency.WEEKLY: UnitPeriod(UnitKind.DAYS, 7),
    Frequency.BIWEEKLY: UnitPeriod(UnitKind.DAYS, 14),
    Frequency.MONTHLY: UnitPeriod(UnitKind.MONTH),
    Frequency.QUARTERLY: UnitPeriod(UnitKind.MONTH, 3),
    Frequency.ANNUALLY: UnitPeriod(UnitKind.YEAR),
}


def periods_to_first_due(frequency: Frequency, start: date, first_due: date, due_days: tuple[int, ...] = ()) -> Fraction:
    """How many periods of a frequency lie from `start` to the first due date: whole ones counted back from the due date,
    and the odd days before them as a part of a standard period (12 CFR 1026 Appendix J (b)(5): a month of 30 days, a
    semimonth of 15, a week of 7, a year of 365).

    `due_days` and refusals are those of `due_dates`, of which `first_due` is the first before any roll. A `single`
    loan has one period whatever its length.
    """
    if frequency is Frequency.SINGLE:
        return _ONE
    one_month = (first_due.year - start.year) * 12 + first_due.month - start.month == 1
    if frequency is Frequency.MONTHLY and one_month and start.day == first_due.day and not due_days:
        return _ONE
    if frequency is Frequency.SEMIMONTHLY:
        return _semimonths(start, first_due, due_days)
    units = units_between(start, first_due, _UNIT_PERIODS[frequency], *due_days)
    return Fraction(units.full * units.of + units.part, units.of)


def _semimonths(start: date, first_due: date, due_days: tuple[int, ...]) -> Fraction:
    """Counted along the pair of due days: from the 1st to the 16th and from the 16th to the 1st are one each."""
    whole, reached, pair = 0, first_due, due_days or semimonthly_days(first_due)
    while (before := previous_semimonthly(reached, pair)) >= start:
        whole, reached = whole + 1, before
    return whole + min(Fraction(1), Fraction((reached - start).days, DAYS_IN_SEMIMONTH))


@lru_cache(maxsize=1024)
def _per_period(numerator: int, denominator: int, periods_per_year: int) -> Fraction:
    return Fraction(numerator, denominator * periods_per_year)


def period_factors(
    annual_rate: Fraction,
    start: date,
    due_dates: Sequence[date],
    *,
    frequency: Frequency,
    period_interest: PeriodInterest = PeriodInterest.PERIODIC,
    day_count: DayCount = DayCount.ACT_365F,
    first_period: FirstPeriod = FirstPeriod.REGULAR,
    first_periods: Fraction | None = None,
) -> list[Fraction]:
    """The part of the balance each period bears as interest, as exact Fractions of one.

    `annual_rate` is of one (Fraction(9, 200) = 4.5 %); periods run from `start` to the first due date and between due
    dates. PERIODIC: rate / periods per year (a `single` loan has no period of a year, so its day count is used), a first
    period of more than one (`first_periods`; default: `periods_to_first_due`) that many times as much, so that no
    interest is lost; a shorter one counts as a whole period. DAY_COUNT: the program's day count.
    FirstPeriod.ACTUAL_365: the first one by its actual days / 365 instead.
    """
    factors = regular_factors(annual_rate, start, due_dates, frequency, period_interest, day_count, first_periods)
    if first_period is FirstPeriod.ACTUAL_365:
        factors[0] = factor_by_actual_days(annual_rate, start, due_dates)
    return factors


def regular_factors(
    annual_rate: Fraction,
    start: date,
    due_dates: Sequence[date],
    frequency: Frequency,
    period_interest: PeriodInterest,
    day_count: DayCount,
    first_periods: Fraction | None,
) -> list[Fraction]:
    """`period_factors`, the first period taken like the others whatever the program says of it."""
    if period_interest is PeriodInterest.DAY_COUNT or frequency is Frequency.SINGLE:
        return _day_count_factors(annual_rate, start, due_dates, day_count)
    factors = [_per_period(annual_rate.numerator, annual_rate.denominator, PERIODS_PER_YEAR[frequency])] * len(due_dates)
    if first_periods is None:
        first_periods = periods_to_first_due(frequency, start, due_dates[0])
    if first_periods is not _ONE and first_periods > 1:
        factors[0] *= first_periods
    return factors


def factor_by_actual_days(annual_rate: Fraction, start: date, due_dates: Sequence[date]) -> Fraction:
    """What the first period, from `start` to the first due date, bears by its actual days / 365."""
    return annual_rate * Fraction(*year_ratio(DayCount.ACT_365F, start, due_dates[0]))


def _day_count_factors(annual_rate: Fraction, start: date, due_dates: Sequence[date], day_count: DayCount) -> list[Fraction]:
    known: dict[tuple[int, int], Fraction] = {}
    factors = []
    for due in due_dates:
        ratio = year_ratio(day_count, start, due)
        factor = known.get(ratio)
        if factor is None:
            factor = known[ratio] = annual_rate * Fraction(*ratio)
        factors.append(factor)
        start = due
    return factors
