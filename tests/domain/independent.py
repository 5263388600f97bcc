"""Numeric cases made anew from a seed, by plain programs that share no code with the engine.

Each follows the rules printed in the README of the case files, one day, one row or one flow at a time.
"""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor
from random import Random
from typing import Any

PER_YEAR = {"weekly": 52, "biweekly": 26, "semimonthly": 24, "monthly": 12, "quarterly": 4, "annually": 1}
ONE_DAY = timedelta(days=1)


def cents(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


# --- amortization ---


def amortization(seed: int) -> dict[str, Any]:
    """A level-payment case of the format of amortization.json."""
    chance = Random(seed)
    frequency = chance.choice(list(PER_YEAR))
    principal = chance.choice([1, 200, 100_00, 999_999_99, chance.randint(1_000_00, 90_000_00), chance.randint(1, 50_00)])
    rate = chance.choice(["0", "12", "0.5", "36", f"{chance.randint(1, 4000)}e-2", str(chance.randint(1, 39999) / 1000)])
    periods = chance.choice([1, 2, 480, chance.randint(3, 120)])
    i = Fraction(rate) / 100 / PER_YEAR[frequency]
    exact = principal * i / (1 - (1 + i) ** -periods) if i else Fraction(principal, periods)
    rows = schedule(principal, i, periods, round)
    shown = range(len(rows)) if len(rows) <= 24 else sorted({0, 1, 2, len(rows) // 2, len(rows) - 2, len(rows) - 1})
    paid = sum(row[1] for row in rows)
    case = {
        "id": f"am{seed}",
        "principal": cents(principal),
        "annual_rate_pct": rate,
        "periods": periods,
        "frequency": frequency,
        "periods_per_year": PER_YEAR[frequency],
        "exact_payment": digits(exact / 100, 24),
        "payment": cents(round(exact)),
        "final_payment": cents(rows[-1][1]),
        "actual_periods": len(rows),
        "total_interest": cents(paid - principal),
        "total_paid": cents(paid),
        "rows": [[rows[n][0], *map(cents, rows[n][1:])] for n in shown],
        "rows_sha256": digest(rows),
        "half_up_differs": digest(rows) != digest(schedule(principal, i, periods, half_up)),
    }
    return case | (falling_due(chance, frequency, periods) if chance.random() < 0.7 else {})


def schedule(principal: int, i: Fraction, periods: int, rounded: Callable[[Fraction], int]) -> list[list[int]]:
    level = rounded(principal * i / (1 - (1 + i) ** -periods) if i else Fraction(principal, periods))
    rows, balance = [], principal
    for number in range(1, periods + 1):
        interest = rounded(balance * i)
        last = number == periods or balance + interest <= level
        payment = balance + interest if last else level
        balance -= payment - interest
        rows.append([number, payment, interest, payment - interest, balance])
        if last:
            break
    return rows


def digest(rows: list[list[int]]) -> str:
    return hashlib.sha256("\n".join("|".join([str(row[0]), *map(cents, row[1:])]) for row in rows).encode()).hexdigest()


def digits(value: Fraction, significant: int) -> str:
    with localcontext() as context:
        context.prec = significant
        return f"{Decimal(value.numerator) / Decimal(value.denominator):f}"


def falling_due(chance: Random, frequency: str, periods: int) -> dict[str, Any]:
    """first_due, due_days and due_dates, found by walking the calendar."""
    year, month = chance.randint(1990, 2040), chance.randint(1, 12)
    if frequency in ("weekly", "biweekly"):
        step = timedelta(days=7 if frequency == "weekly" else 14)
        first = date(year, month, chance.randint(1, 28))
        return {"first_due": first.isoformat(), "due_dates": [(first + step * n).isoformat() for n in range(periods)]}
    if frequency == "semimonthly":
        pair = chance.choice([(1, 16), (15, 31), (5, 20), (14, 29), (13, 28)])
        days = [clipped(y, m, day) for y in range(year, year + 45) for m in range(1, 13) for day in pair]
        start = chance.randrange(24)
        due = days[start : start + periods]
        given: dict[str, Any] = {"due_days": list(pair)}
    else:
        anchor, months = chance.choice([1, 15, 28, 29, 30, 31]), 12 // PER_YEAR[frequency]
        whole = [month - 1 + months * n for n in range(periods)]
        due = [clipped(year + m // 12, m % 12 + 1, anchor) for m in whole]
        given = {"due_days": anchor}
    return given | {"first_due": due[0].isoformat(), "due_dates": {str(n): day.isoformat() for n, day in enumerate(due, 1)}}


def clipped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


# --- day counts ---


def day_count(seed: int) -> dict[str, Any]:
    """A case of the format of daycount.json, ends of months and of February more often than they would come up."""
    chance = Random(seed)
    convention = chance.choice(["30/360 US", "30E/360", "ACT/360", "ACT/365F", "ACT/ACT ISDA"])
    start, end = sorted(some_day(chance) for _ in range(2))
    days, part = counted(convention, start, end)
    case = {"id": f"dc{seed}", "convention": convention, "start": start.isoformat(), "end": end.isoformat(), "days": days}
    case |= {"fraction": repr(float(part)), "fraction_exact": str(part)}
    if convention == "30/360 US":
        case["days_bond_basis"] = bond_basis(start, end)
    return case


def some_day(chance: Random) -> date:
    day = date(1995, 1, 1) + timedelta(days=chance.randrange(15_000))
    if chance.random() < 0.5:
        day = clipped(day.year, chance.choice([2, 2, day.month]), chance.choice([28, 29, 30, 31]))
    return day


def counted(convention: str, start: date, end: date) -> tuple[int, Fraction]:
    actual = (end - start).days
    if convention == "ACT/360":
        return actual, Fraction(actual, 360)
    if convention == "ACT/365F":
        return actual, Fraction(actual, 365)
    if convention == "ACT/ACT ISDA":
        in_leap = sum(calendar.isleap((start + timedelta(days=n)).year) for n in range(actual))
        return actual, Fraction(in_leap, 366) + Fraction(actual - in_leap, 365)
    d1, d2 = start.day, end.day
    if convention == "30E/360":
        d1, d2 = min(d1, 30), min(d2, 30)
    else:
        february = [day.month == 2 and (day + ONE_DAY).month == 3 for day in (start, end)]
        if all(february):
            d2 = 30
        if february[0]:
            d1 = 30
        if d2 == 31 and d1 >= 30:
            d2 = 30
        d1 = min(d1, 30)
    days = 360 * (end.year - start.year) + 30 * (end.month - start.month) + d2 - d1
    return days, Fraction(days, 360)


def bond_basis(start: date, end: date) -> int:
    d1 = 30 if start.day == 31 else start.day
    d2 = 30 if end.day == 31 and d1 == 30 else end.day
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + d2 - d1


# --- APR ---


def annual_rate(seed: int) -> dict[str, Any]:
    """A case of the format of apr.json: level payments, an odd first period, sometimes a fee taken at once."""
    chance = Random(seed)
    kind, count = chance.choice([("month", 1), ("month", 1), ("month", 3), ("days", 7), ("days", 14), ("semimonth", 1)])
    first = date(chance.randint(2000, 2035), chance.randint(1, 12), chance.randint(1, 13))
    number = chance.randint(4, 60)
    dates = [series(first, kind, count, n) for n in range(number)]
    start = first - timedelta(days=chance.randint(1, 95))
    amount = chance.randint(500_00, 50_000_00)
    payment = amount * chance.randint(101, 160) // 100 // number + 1
    units = [units_back(start, day, kind, count) for day in dates]
    per_year = {"month": Fraction(12, count), "semimonth": Fraction(24), "days": Fraction(52 * 7, count)}[kind]
    rate = solved([(*unit, payment) for unit in units], amount) * 100 * Fraction(per_year)
    solver = digits(rate, 16)
    published = (Decimal(solver) + Decimal("0.005")).quantize(Decimal("0.01"), rounding="ROUND_FLOOR")
    return {
        "id": f"apr{seed}",
        "unit_period": {"kind": kind} | ({} if kind == "semimonth" else {"count": count}),
        "unit_periods_per_year": str(float(per_year)),
        "advances": [{"date": start.isoformat(), "amount": cents(amount)}],
        "payments": [{"date": day.isoformat(), "amount": cents(payment)} for day in dates],
        "first_payment_units": {"full": units[0][0], "fraction": repr(float(units[0][1]))},
        "last_payment_units": {"full": units[-1][0], "fraction": repr(float(units[-1][1]))},
        "published_apr": str(published),
        "published_decimals": 2,
        "solver_apr": solver,
    }


def series(first: date, kind: str, count: int, n: int) -> date:
    if kind == "days":
        return first + timedelta(days=count * n)
    months, half = divmod(n, 2) if kind == "semimonth" else (n * count, 0)
    months += first.month - 1
    return date(first.year + months // 12, months % 12 + 1, first.day + 15 * half)


def units_back(start: date, end: date, kind: str, count: int) -> tuple[int, Fraction]:
    """Unit-periods counted back from `end`, one at a time, and the odd days as a part of one."""
    if kind == "days":
        return (end - start).days // count, Fraction((end - start).days % count, count)
    months, reached = 0, end
    while (before := clipped(reached.year - (reached.month == 1), (reached.month - 2) % 12 + 1, end.day)) >= start:
        months, reached = months + 1, before
    days = (reached - start).days
    if kind == "semimonth":
        return 2 * months + days // 15, Fraction(days % 15, 15)
    return months // count, Fraction(30 * (months % count) + days, 30 * count)


def solved(payments: list[tuple[int, Fraction, int]], amount: int) -> Fraction:
    """The rate a unit-period, by halving."""
    with localcontext() as context:
        context.prec = 50
        low, high = Decimal(0), Decimal(10)
        for _ in range(140):
            i = (low + high) / 2
            worth = sum(
                Decimal(paid) / ((1 + i * part.numerator / part.denominator) * (1 + i) ** full)
                for full, part, paid in payments
            )
            low, high = (i, high) if worth > amount else (low, i)
        return Fraction(low)
