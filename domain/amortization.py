"""Level-payment schedules: the level payment, the whole schedule, and the rest of one from a balance on.

Everything between rounding points is exact. A period's interest is its opening balance times the period's factor (an
exact Fraction of one), rounded once; the last payment settles the balance with its interest. Interest-only instalments
come first and pay what the period bears; a balloon is what the last payment is above the level one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import islice
from math import lcm
from operator import lt
from typing import NamedTuple

from domain.errors import InvalidTerms
from domain.period_interest import factor_by_actual_days, periods_to_first_due, regular_factors
from domain.program import DayCount, FirstPeriod, Frequency, PeriodInterest
from domain.rounding import Rounding, round_minor, round_ratio


class Row(NamedTuple):
    """One instalment. Amounts in minor units; `balance` is the principal left after it."""

    number: int
    due_date: date
    payment: int
    interest: int
    principal: int
    balance: int


class Shape(NamedTuple):
    """How a schedule is not level.

    `interest_only`: the instalments numbered up to it pay their interest and no principal. `balloon`: minor units of the
    last payment beyond the level one. `deferred`: the part (of one) of the first period's interest that the first
    instalment pays on top of the level payment, because the periods that bore it had no instalment.
    """

    interest_only: int = 0
    balloon: int = 0
    deferred: Fraction = Fraction(0)


LEVEL = Shape()


class Schedule(NamedTuple):
    """A schedule as generated. Amounts in minor units; the finance charge is the sum of the interest."""

    rows: tuple[Row, ...]
    level_payment: int
    finance_charge: int
    total_of_payments: int


def level_payment(principal: int, periodic_rate: Fraction, n: int, rounding: Rounding = Rounding.HALF_EVEN) -> int:
    """The payment in minor units which, paid `n` times, amortizes `principal` at `periodic_rate` (of one, per period).

    `exact_level_payment`, rounded once. Raises InvalidTerms for a negative principal or rate, or `n` below 1.
    """
    return round_ratio(*_level_ratio(principal, periodic_rate, n), rounding)


def exact_level_payment(principal: int, periodic_rate: Fraction, n: int) -> Fraction:
    """The level payment in minor units, unrounded: P*i / (1 - (1+i)**-n); P/n where the rate is 0.

    Raises InvalidTerms for a negative principal or rate, or `n` below 1.
    """
    return Fraction(*_level_ratio(principal, periodic_rate, n))


def _level_ratio(principal: int, periodic_rate: Fraction, n: int) -> tuple[int, int]:
    if principal < 0 or periodic_rate.numerator < 0 or n < 1:
        detail = f"principal ({principal}) and rate ({periodic_rate}) must not be negative, periods ({n}) at least 1"
        raise InvalidTerms(f"No level payment: {detail}.")
    rate, base = periodic_rate.numerator, periodic_rate.denominator
    if rate == 0:
        return principal, n
    growth, unit = (base + rate) ** n, base**n
    return principal * rate * growth, base * (growth - unit)


def level_payment_for_factors(
    principal: int, factors: Sequence[Fraction], rounding: Rounding = Rounding.HALF_EVEN, *, balloon: int = 0
) -> int:
    """The level payment in minor units where every period has its own interest factor (f = 1 + factor), and the last
    payment is `balloon` minor units more: (P * f1*...*fn - B) / (1 + fn + fn*f(n-1) + ... + fn*...*f2), exact, rounded
    once. `level_payment` where all factors are equal and there is no balloon."""
    if not balloon and factors.count(factors[0]) == len(factors):
        return level_payment(principal, factors[0], len(factors), rounding)
    base = lcm(*(factor.denominator for factor in factors))
    growth, annuity, unit = 1, 0, 1
    for factor in factors:
        grown = base + factor.numerator * (base // factor.denominator)
        annuity = annuity * grown + unit
        growth *= grown
        unit *= base
    return round_ratio(principal * growth - balloon * unit, base * annuity, rounding)


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
    first_periods: Fraction | None = None,
    rounding: Rounding = Rounding.HALF_EVEN,
    one_cent_iteration: bool = False,
    payment: int | None = None,
    shape: Shape = LEVEL,
) -> Schedule:
    """The schedule of a loan of `principal` minor units at `annual_rate` (of one) from `start`, an instalment a due
    date.

    The level payment of the instalments that pay principal is the annuity of their periods' factors which leaves the
    balloon to the last payment, deferred interest not counted, unless `payment` (in minor units) states it;
    `one_cent_iteration` smooths it (see `smooth_level_payment`). With FirstPeriod.ACTUAL_365 the annuity takes the first
    period like the others, its whole periods only. The other arguments are those of `period_factors`. The schedule ends
    early where the rounded-up level payment settles the loan early.

    Raises InvalidTerms when the principal is not positive, the rate or payment is negative, the balloon is not from 0
    to the principal, no instalment pays principal, or the due dates do not ascend after `start`.
    """
    _check_terms(principal, annual_rate, start, due_dates, payment)
    _check_shape(principal, len(due_dates), shape)
    if first_periods is None:
        first_periods = periods_to_first_due(frequency, start, due_dates[0])
    by_days = first_period is FirstPeriod.ACTUAL_365
    whole = Fraction(int(first_periods)) if by_days else first_periods
    factors = regular_factors(annual_rate, start, due_dates, frequency, period_interest, day_count, whole)
    level = payment
    if level is None:
        bearing = factors
        if shape is not LEVEL:
            bearing = [factors[0] * (1 - shape.deferred), *factors[1:]][shape.interest_only :]
        level = level_payment_for_factors(principal, bearing, rounding, balloon=shape.balloon)
    if by_days:
        factors[0] = factor_by_actual_days(annual_rate, start, due_dates)
    rows = amortize(principal, level, factors, due_dates, rounding=rounding, shape=shape)
    if one_cent_iteration:
        level, rows = smooth_level_payment(principal, level, rows, factors, due_dates, rounding, shape)
    total = sum([row[2] for row in rows]) if shape is not LEVEL else level * (len(rows) - 1) + rows[-1].payment
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
    shape: Shape = LEVEL,
) -> tuple[Row, ...]:
    """The instalments that pay `balance` off with a level `payment` (both minor units), one for each due date at most.

    Each bears balance * factor, rounded; it is the payment, or the balance with its interest where that is not more,
    and in the last row whatever it is: so the balance ends at 0 and is never negative, also when the payment does not
    even cover the interest. `first_number` numbers the first row (the rest of a schedule goes on counting);
    `first_interest` states its interest where it is not that of a whole period on this balance (a curtailment within
    the period); `shape` says which rows pay something else. A balance of 0 has no rows. Raises ValueError when factors
    and due dates differ in number, or balance is negative.
    """
    if balance < 0 or len(factors) != len(due_dates):
        raise ValueError(f"balance {balance}, {len(factors)} factors, {len(due_dates)} due dates")
    if not balance or not factors:
        return ()
    rows: list[Row] = []
    regular = _first_regular(factors, first_number, first_interest, shape)
    for index in range(regular):
        factor, number = factors[index], first_number + index
        interest = round_ratio(balance * factor.numerator, factor.denominator, rounding)
        if index == 0 and first_interest is not None:
            interest = first_interest
        paid = interest if number <= shape.interest_only else payment
        if number == 1 and shape.deferred and not shape.interest_only:
            paid += interest - round_minor(balance * factor * (1 - shape.deferred), rounding)
        balance += interest - paid
        rows.append(Row(number, due_dates[index], paid, interest, paid - interest, balance))
        if balance <= 0:
            return _settled(rows)
    if regular < len(factors):
        dates = due_dates[regular:] if regular else due_dates
        _add_regular(rows, balance, payment, factors[-1], dates, first_number + regular, rounding)
    return _settled(rows)


def _first_regular(factors: Sequence[Fraction], first_number: int, first_interest: int | None, shape: Shape) -> int:
    """The index from which on all rows bear the same factor and pay the level payment."""
    count, last = len(factors), factors[-1]
    if count > 1 and factors[-2] is not last:
        return count
    same = factors.count(last)
    if same < count and factors[count - same :].count(last) < same:
        return count
    special = 0 if first_interest is None else 1
    if shape is not LEVEL:
        special = max(special, shape.interest_only - first_number + 1, 1 if shape.deferred else 0)
    return min(count, max(count - same, special))


def _add_regular(
    rows: list[Row],
    balance: int,
    payment: int,
    factor: Fraction,
    due_dates: Sequence[date],
    first_number: int,
    rounding: Rounding,
) -> None:
    """Add a row a due date from `first_number` on, all of one factor, until nothing is left. This is the time of a
    schedule, so `round_ratio` and Row(...) are written out: as calls they would be half of it."""
    numerator, denominator = factor.numerator, factor.denominator
    half, ties = denominator // 2, rounding is Rounding.HALF_EVEN and denominator % 2 == 0
    add, new = rows.append, tuple.__new__
    for number, due in enumerate(due_dates, first_number):
        dividend = balance * numerator + half
        interest = dividend // denominator
        if interest & 1 and interest * denominator == dividend and ties:
            interest -= 1
        principal = payment - interest
        balance -= principal
        add(new(Row, (number, due, payment, interest, principal, balance)))
    if len(rows) > 1 and rows[-2].balance <= 0:
        del rows[next(index for index, row in enumerate(rows, 1) if row.balance <= 0) :]


def _settled(rows: list[Row]) -> tuple[Row, ...]:
    """The rows, the last one paying what it would leave, or not what it would pay too much."""
    if rows and rows[-1].balance:
        number, due, paid, interest, principal, left = rows[-1]
        rows[-1] = Row(number, due, paid + left, interest, principal + left, 0)
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
    shape: Shape = LEVEL,
) -> tuple[int, tuple[Row, ...]]:
    """The one-cent iteration (Apache Fineract): a level payment and its rows whose last instalment differs less from
    it.

    With d = last instalment - level payment (- balloon) in minor units and n due dates after the interest-only ones:
    while |d| > floor(n/2), try the payment d/n (rounded) away and keep it only when |d| gets smaller. Where the loan is
    settled before the last due date, the last instalment is 0.
    """
    count = len(due_dates) - shape.interest_only
    difference = _last_payment(rows, due_dates) - payment - shape.balloon
    while abs(difference) > count // 2:
        tried = payment + round_ratio(difference, count, rounding)
        tried_rows = amortize(principal, tried, factors, due_dates, rounding=rounding, shape=shape)
        tried_difference = _last_payment(tried_rows, due_dates) - tried - shape.balloon
        if abs(tried_difference) >= abs(difference):
            break
        payment, rows, difference = tried, tried_rows, tried_difference
    return payment, rows


def _last_payment(rows: tuple[Row, ...], due_dates: Sequence[date]) -> int:
    return rows[-1].payment if len(rows) == len(due_dates) else 0


def _check_terms(principal: int, annual_rate: Fraction, start: date, due_dates: Sequence[date], payment: int | None) -> None:
    if principal < 1 or annual_rate.numerator < 0 or (payment is not None and payment < 0):
        detail = f"the principal ({principal}) must be positive, the rate ({annual_rate}) and payment not negative"
        raise InvalidTerms(f"No schedule: {detail}.")
    if not due_dates or start >= due_dates[0] or not all(map(lt, due_dates, islice(due_dates, 1, None))):
        raise InvalidTerms(f"No schedule: the due dates must ascend, the first one after {start}.", code="invalid_due_dates")


def _check_shape(principal: int, count: int, shape: Shape) -> None:
    if not 0 <= shape.interest_only < count:
        detail = f"{shape.interest_only} interest-only instalments of {count} leave none that pays principal"
        raise InvalidTerms(f"No schedule: {detail}.", code="invalid_interest_only")
    if not 0 <= shape.balloon <= principal:
        raise InvalidTerms(f"No schedule: a balloon of {shape.balloon} on {principal} lent.", code="invalid_balloon")
