"""Level-payment schedules: the level payment, the whole schedule, and the rest of one from a balance on.

Everything between rounding points is exact. A period's interest is its opening balance times the period's factor (an
exact Fraction of one), rounded once; the last payment settles the balance with its interest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from domain.calendars import PERIODS_PER_YEAR
from domain.daycount import year_ratio
from domain.errors import InvalidTerms
from domain.program import DayCount, FirstPeriod, Frequency, PeriodInterest
from domain.rounding import Rounding, round_ratio


class Row(NamedTuple):
    """One instalment. Amounts in minor units; `balance` is the principal left after it."""

    number: int
    due_date: date
    payment: int
    interest: int
    principal: int
    balance: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as generated. Amounts in minor units; the finance charge is the sum of the interest."""

    rows: tuple[Row, ...]
    level_payment: int
    finance_charge: int
    total_of_payments: int


def level_payment(principal: int, periodic_rate: Fraction, n: int, rounding: Rounding = Rounding.HALF_EVEN) -> int:
    """The payment in minor units which, paid `n` times, amortizes `principal` at `periodic_rate` (of one, per period).

    P*i / (1 - (1+i)**-n) exactly, rounded once; P/n where the rate is 0. Raises InvalidTerms for a negative principal
    or rate, or `n` below 1.
    """
    if principal < 0 or periodic_rate < 0 or n < 1:
        detail = f"principal ({principal}) and rate ({periodic_rate}) must not be negative, periods ({n}) at least 1"
        raise InvalidTerms(f"No level payment: {detail}.")
    rate, base = periodic_rate.numerator, periodic_rate.denominator
    if rate == 0:
        return round_ratio(principal, n, rounding)
    growth, unit = (base + rate) ** n, base**n
    return round_ratio(principal * rate * growth, base * (growth - unit), rounding)


def level_payment_for_factors(principal: int, factors: Sequence[Fraction], rounding: Rounding = Rounding.HALF_EVEN) -> int:
    """The level payment in minor units where every period has its own interest factor (f = 1 + factor):
    P * f1*...*fn / (1 + fn + fn*f(n-1) + ... + fn*...*f2), exact, rounded once. `level_payment` where all are equal."""
    if factors and factors.count(factors[0]) == len(factors):
        return level_payment(principal, factors[0], len(factors), rounding)
    base = lcm(*(factor.denominator for factor in factors))
    growth, annuity, unit = 1, 0, 1
    for factor in factors:
        grown = base + factor.numerator * (base // factor.denominator)
        annuity = annuity * grown + unit
        growth *= grown
        unit *= base
    return round_ratio(principal * growth, base * annuity, rounding)


def period_factors(
    annual_rate: Fraction,
    start: date,
    due_dates: Sequence[date],
    *,
    frequency: Frequency,
    period_interest: PeriodInterest = PeriodInterest.PERIODIC,
    day_count: DayCount = DayCount.ACT_365F,
    first_period: FirstPeriod = FirstPeriod.REGULAR,
) -> list[Fraction]:
    """The part of the balance each period bears as interest, as exact Fractions of one.

    `annual_rate` is of one (Fraction(9, 200) = 4.5 %); periods run from `start` to the first due date and between due
    dates. PERIODIC: rate / periods per year (a `single` loan has no period of a year, so its day count is used);
    DAY_COUNT: the program's day count. FirstPeriod.ACTUAL_365: the first one by its actual days / 365 instead.
    """
    if period_interest is PeriodInterest.PERIODIC and frequency is not Frequency.SINGLE:
        factors = [annual_rate / PERIODS_PER_YEAR[frequency]] * len(due_dates)
    else:
        factors = _day_count_factors(annual_rate, start, due_dates, day_count)
    if first_period is FirstPeriod.ACTUAL_365:
        factors[0] = _first_by_actual_days(annual_rate, start, due_dates)
    return factors


def build_schedule(
    principal: int,
    annual_rate: Fraction,
    start: date,
    due_dates: Sequence[date],
    *,
    frequency: Frequency,
    period_interest: PeriodInterest = PeriodInterest.PERIODIC,
    day_count: DayCount = DayCount.ACT_365F,
    first_period: FirstPeriod = FirstPeriod.REGULAR,
    rounding: Rounding = Rounding.HALF_EVEN,
    one_cent_iteration: bool = False,
    payment: int | None = None,
) -> Schedule:
    """The schedule of a loan of `principal` minor units at `annual_rate` (of one) from `start`, an instalment a due
    date.

    The level payment is the annuity of the periods' factors, the first period taken like the others, unless `payment`
    (in minor units) states it; `one_cent_iteration` smooths it (see `smooth_level_payment`). The other arguments are
    those of `period_factors`. The schedule ends early where the rounded-up level payment settles the loan early.

    Raises InvalidTerms when the principal is not positive, the rate or payment is negative, or the due dates do not
    ascend after `start`.
    """
    _check_terms(principal, annual_rate, start, due_dates, payment)
    factors = period_factors(
        annual_rate, start, due_dates, frequency=frequency, period_interest=period_interest, day_count=day_count
    )
    level = level_payment_for_factors(principal, factors, rounding) if payment is None else payment
    if first_period is FirstPeriod.ACTUAL_365:
        factors[0] = _first_by_actual_days(annual_rate, start, due_dates)
    rows = amortize(principal, level, factors, due_dates, rounding=rounding)
    if one_cent_iteration:
        level, rows = smooth_level_payment(principal, level, rows, factors, due_dates, rounding)
    total = sum([row[2] for row in rows])
    return Schedule(rows, level, total - principal, total)


def amortize(
    balance: int,
    payment: int,
    factors: Sequence[Fraction],
    due_dates: Sequence[date],
    *,
    rounding: Rounding = Rounding.HALF_EVEN,
    first_number: int = 1,
    first_interest: int | None = None,
) -> tuple[Row, ...]:
    """The instalments that pay `balance` off with a level `payment` (both minor units), one for each due date at most.

    Each bears balance * factor, rounded; it is the payment, or the balance with its interest where that is not more,
    and in the last row whatever it is: so the balance ends at 0 and is never negative, also when the payment does not
    even cover the interest. `first_number` numbers the first row (the rest of a schedule goes on counting);
    `first_interest` states its interest where it is not that of a whole period on this balance (a curtailment within
    the period). A balance of 0 has no rows. Raises ValueError when factors and due dates differ in number, or balance
    is negative.
    """
    if balance < 0 or len(factors) != len(due_dates):
        raise ValueError(f"balance {balance}, {len(factors)} factors, {len(due_dates)} due dates")
    half_even = rounding is Rounding.HALF_EVEN
    last = first_number + len(factors) - 1
    rows: list[Row] = []
    factor: Fraction | None = None
    numerator, denominator = 0, 1
    for number, (next_factor, due) in enumerate(zip(factors, due_dates, strict=True), first_number):
        if not balance:
            break
        if next_factor is not factor:
            factor = next_factor
            numerator, denominator = factor.numerator, factor.denominator
        # round_ratio, written out: a call per row would be a third of the time of a schedule
        interest, remainder = divmod(balance * numerator, denominator)
        twice = 2 * remainder
        if twice > denominator or (twice == denominator and (not half_even or interest & 1)):
            interest += 1
        if first_interest is not None and number == first_number:
            interest = first_interest
        paid = payment
        if number == last or balance + interest <= payment:
            paid = balance + interest
        principal = paid - interest
        balance -= principal
        rows.append(Row(number, due, paid, interest, principal, balance))
    return tuple(rows)


def first_uncovered(rows: Iterable[Row]) -> Row | None:
    """The first instalment whose payment does not cover its interest, so that the principal would rise; None: all do."""
    return next((row for row in rows if row.principal < 0), None)


def smooth_level_payment(
    principal: int,
    payment: int,
    rows: tuple[Row, ...],
    factors: Sequence[Fraction],
    due_dates: Sequence[date],
    rounding: Rounding = Rounding.HALF_EVEN,
) -> tuple[int, tuple[Row, ...]]:
    """The one-cent iteration (Apache Fineract): a level payment and its rows whose last instalment differs less from
    it.

    With d = last instalment - level payment in minor units and n due dates: while |d| > floor(n/2), try the payment
    d/n (rounded) away and keep it only when |d| gets smaller.
    """
    count = len(due_dates)
    difference = rows[-1].payment - payment
    while abs(difference) > count // 2:
        tried = payment + round_ratio(difference, count, rounding)
        tried_rows = amortize(principal, tried, factors, due_dates, rounding=rounding)
        tried_difference = tried_rows[-1].payment - tried
        if abs(tried_difference) >= abs(difference):
            break
        payment, rows, difference = tried, tried_rows, tried_difference
    return payment, rows


def _first_by_actual_days(annual_rate: Fraction, start: date, due_dates: Sequence[date]) -> Fraction:
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


def _check_terms(principal: int, annual_rate: Fraction, start: date, due_dates: Sequence[date], payment: int | None) -> None:
    if principal < 1 or annual_rate < 0 or (payment is not None and payment < 0):
        detail = f"the principal ({principal}) must be positive, the rate ({annual_rate}) and payment not negative"
        raise InvalidTerms(f"No schedule: {detail}.")
    if not due_dates or not all(before < after for before, after in zip([start, *due_dates], due_dates, strict=False)):
        raise InvalidTerms(f"No schedule: the due dates must ascend, the first one after {start}.", code="invalid_due_dates")
