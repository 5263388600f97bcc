"""Serviced instalment loans made anew from a seed, by a plain program that shares no code with the engine.

It follows the conventions printed in the README key of instalment_servicing.json: any interval and day count as long as
nothing happens; then money that is due or past due, late, in parts, entered in any order, one payment perhaps reversed;
one payment in advance in the first period; a payoff of a loan paid on time.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from tests.domain.independent import cents, clipped

ORDER = ["PENALTY", "FEE", "PRINCIPAL", "INTEREST"]
PLAIN = {"days_in_year": "360", "days_in_month": "30", "in_advance_rule_default": "NEXT_INSTALLMENT"}
PLAIN |= {"interest_recalculation": False, "payment_order_within_instalment": ORDER}  # type: ignore[dict-item]
RECALCULATED = PLAIN | {"interest_recalculation": True}
ACTUAL = {"days_in_year": "ACTUAL", "days_in_month": "ACTUAL"}
PRODUCTS: dict[str, dict[str, Any]] = {
    "30/360": PLAIN,
    "365": PLAIN | {"days_in_year": "365", "days_in_month": "ACTUAL"},
    "360": PLAIN | {"days_in_month": "ACTUAL"},
    "actual": PLAIN | ACTUAL,
    "29 February": PLAIN | ACTUAL | {"days_in_year_custom": "FEB_29_PERIOD_ONLY"},
    "recalculated": RECALCULATED,
    "recalculated, interest first": RECALCULATED | {"payment_order_within_instalment": ["FEE", "INTEREST", "PRINCIPAL"]},
    "recalculated, 365": RECALCULATED | {"days_in_year": "365", "days_in_month": "ACTUAL"},
    "no interest past due": RECALCULATED | {"interest_on_past_due_principal": False},
}
INTERVALS = [("MONTHS", 1), ("MONTHS", 3), ("WEEKS", 1), ("WEEKS", 2)]
ODD_INTERVALS = [("MONTHS", 2), ("MONTHS", 6), ("WEEKS", 4), ("DAYS", 10), ("DAYS", 15)]
Paid = tuple[date, int]


@dataclass
class Row:
    principal: int
    interest: int
    principal_paid: int = 0
    interest_paid: int = 0
    late: int = 0
    paid_on: date | None = None

    def owed(self, part: str) -> int:
        return self.principal - self.principal_paid if part == "PRINCIPAL" else self.interest - self.interest_paid

    def pay(self, part: str, amount: int, on: date, due: date) -> int:
        amount = min(amount, self.owed(part))
        if part == "PRINCIPAL":
            self.principal_paid += amount
        else:
            self.interest_paid += amount
        if amount:
            self.paid_on = on
            self.late += amount if on > due else 0
        return amount


class Loan:
    """A loan of a product; percent a year, the rest as the terms of a case have it."""

    def __init__(
        self, product: dict[str, Any], principal: int, percent: str, start: date, count: int, unit: str, every: int
    ):
        self.product, self.principal, self.rate = product, principal, Fraction(percent) / 100
        self.unit, self.every = unit, every
        self.dates = [start, *(self._due(start, k) for k in range(1, count + 1))]
        self.factors = [self.part(k, *self.dates[k : k + 2]) for k in range(count)]
        self.level = self._level()

    def _due(self, start: date, k: int) -> date:
        if self.unit == "MONTHS":
            months = start.month - 1 + k * self.every
            return clipped(start.year + months // 12, months % 12 + 1, start.day)
        return start + timedelta(days=k * self.every * (7 if self.unit == "WEEKS" else 1))

    def part(self, k: int, first: date, last: date) -> Fraction:
        """The part of the balance that the days from `first` to `last` of the k-th period bear, one day at a time."""
        start, due = self.dates[k], self.dates[k + 1]
        count = (last - first).days
        if self.product["days_in_year"] != "ACTUAL":
            if self.unit == "MONTHS" and self.product["days_in_month"] == "30":
                return self.rate * 30 * self.every / 360 * count / (due - start).days
            return self.rate * count / int(self.product["days_in_year"])
        days = [first + timedelta(days=n) for n in range(count)]
        if "days_in_year_custom" in self.product and not any(
            (day + timedelta(1)).timetuple()[1:3] == (2, 29) for day in days
        ):
            return self.rate * count / 365
        return self.rate * sum(Fraction(1, 366 if isleap((day + timedelta(1)).year) else 365) for day in days)

    def _level(self) -> int:
        growth, annuity = Fraction(self.principal), Fraction(0)
        for factor in self.factors:
            growth, annuity = growth * (1 + factor), annuity * (1 + factor) + 1
        level, count = round(growth / annuity), len(self.factors)
        off = self._off(level)
        while abs(off) > count // 2:
            tried = level + round(Fraction(off, count))
            if abs(self._off(tried)) >= abs(off):
                break
            level, off = tried, self._off(tried)
        return level

    def _off(self, level: int) -> int:
        last = self._rest(0, self.principal, Fraction(0), level, self.dates[0])[-1]
        return last.principal + last.interest - level

    def _rest(self, k: int, balance: int, borne: Fraction, level: int, today: date) -> list[Row]:
        rows, last = [], len(self.factors) - 1
        for n in range(k, last + 1):
            factor = self.factors[n] if today <= self.dates[n] else self.part(n, today, self.dates[n + 1])
            interest = round(borne + balance * factor)
            principal = balance if n == last else min(balance, level - interest)
            rows.append(Row(principal, interest))
            balance, borne = balance - principal, Fraction(0)
        return rows

    def processed(self, paid: Sequence[Paid], today: date) -> list[Row]:
        """The rows when the loan is processed to `today`. What was paid is in order, and was due when it was paid."""
        rows: list[Row] = []
        borne, reached, waiting = Fraction(0), self.dates[0], list(paid)
        while True:
            while waiting and waiting[0][0] <= reached:
                self._pay(rows, *waiting.pop(0))
            k = len(rows)
            if reached >= today or k == len(self.factors):
                break
            until = min(self.dates[k + 1], today, *(day for day, _ in waiting[:1]))
            borne += self._bearing(rows) * self.part(k, reached, until)
            reached = until
            if until == self.dates[k + 1]:
                lent = self.principal - sum(row.principal for row in rows)
                interest = round(borne)
                rows.append(Row(lent if k + 1 == len(self.factors) else self.level - interest, interest))
                borne = Fraction(0)
        lent = self.principal - sum(row.principal for row in rows)
        return rows + self._rest(len(rows), lent, borne, self.level, reached)

    def _bearing(self, rows: Sequence[Row]) -> int:
        """The principal that bears interest: what is unpaid, or what is not due yet."""
        late_bears = self.product["interest_recalculation"] and self.product.get("interest_on_past_due_principal", True)
        return self.principal - sum(row.principal_paid if late_bears else row.principal for row in rows)

    def _pay(self, rows: Sequence[Row], on: date, amount: int) -> None:
        for row, due in zip(rows, self.dates[1:], strict=False):
            for part in self.product["payment_order_within_instalment"]:
                if part in ("PRINCIPAL", "INTEREST"):
                    amount -= row.pay(part, amount, on, due)

    def owed(self, paid: Sequence[Paid], on: date) -> int:
        rows = self.processed(paid, on)
        due = sum(day <= on for day in self.dates[1:])
        return sum(row.owed("PRINCIPAL") + row.owed("INTEREST") for row in rows[:due])

    def expect(self, paid: Sequence[Paid], today: date) -> dict[str, Any]:
        """An entry that checks every row."""
        balance, schedule = self.principal, []
        for n, row in enumerate(self.processed(paid, today), 1):
            balance -= row.principal
            due, settled = row.principal + row.interest, row.principal_paid + row.interest_paid
            figures = {"balance_after": balance, "principal": row.principal, "interest": row.interest, "fees": 0}
            figures |= {"penalties": 0, "due": due, "paid": settled, "paid_in_advance": 0, "paid_late": row.late}
            shown: dict[str, Any] = {
                name: cents(value) for name, value in (figures | {"outstanding": due - settled}).items()
            }
            shown |= {"n": n, "days": (self.dates[n] - self.dates[n - 1]).days, "due_date": self.dates[n].isoformat()}
            shown["paid_date"] = row.paid_on.isoformat() if row.paid_on and due == settled else None
            schedule.append(shown)
        return {"kind": "expect", "as_of": today.isoformat(), "schedule": schedule}


def serviced(seed: int) -> dict[str, Any]:
    """A case of the format of instalment_servicing.json, with its products in it."""
    chance = Random(seed)
    name = chance.choice(list(PRODUCTS))
    still = not PRODUCTS[name]["interest_recalculation"] or chance.random() < 0.2
    unit, every = chance.choice([*INTERVALS, ("MONTHS", 1), *(ODD_INTERVALS if still else [])])
    start = clipped(chance.randint(2019, 2029), chance.randint(1, 12), chance.choice([1, 15, 28, 29, 30, 31]))
    count = chance.choice([1, 2, 3, 6, 6, 12, chance.randint(1, 36)])
    principal, percent = chance.choice([100_00, chance.randint(80_00, 30_000_00)]), str(chance.randint(0, 3600) / 100)
    loan = Loan(PRODUCTS[name], principal, percent, start, count, unit, every)
    terms = {"principal": cents(principal), "nominal_annual_rate_percent": percent, "submitted_on": start.isoformat()}
    terms |= {"n_installments": count, "repay_every": every, "repay_unit": unit}  # type: ignore[dict-item]
    timeline = [on_day(start), {"kind": "disburse", "date": start.isoformat(), "amount": cents(principal)}]
    timeline.insert(chance.choice([1, 2]), loan.expect([], start))
    if not still:
        timeline += happening(chance, loan)
    return {"id": f"serviced{seed}", "product": name, "terms": terms, "timeline": timeline, "products": PRODUCTS}


def happening(chance: Random, loan: Loan) -> list[dict[str, Any]]:
    start, end = loan.dates[0], loan.dates[-1]
    paid: list[Paid] = []
    day = start
    for _ in range(chance.randint(0, 6)):
        day = chance.choice([day + timedelta(days=chance.randint(1, 60)), chance.choice(loan.dates[1:])])
        if (paid and day <= paid[-1][0]) or day > end or not (owed := loan.owed(paid, day)):
            continue
        paid.append((day, chance.choice([owed, owed, chance.randint(1, owed)])))
    today = min(end, (paid[-1][0] if paid else start) + timedelta(days=chance.randint(1, 90)))
    if chance.random() < 0.5:
        steps = []
        for n, (day, amount) in enumerate(paid, 1):
            steps += [on_day(day), {"kind": "payment", "date": day.isoformat(), "amount": cents(amount)}]
            steps.append(loan.expect(paid[:n], day))
        return [*steps, on_day(today), {"kind": "close_of_business"}, loan.expect(paid, today)]
    entered = [{"kind": "payment", "date": day.isoformat(), "amount": cents(amount)} for day, amount in paid]
    chance.shuffle(entered)
    wrong = start + timedelta(days=chance.randrange((today - start).days + 1))
    if wrong not in [day for day, _ in paid]:
        undone = {"kind": "payment", "date": wrong.isoformat(), "amount": cents(chance.randint(1, loan.principal))}
        entered.insert(chance.randint(0, len(entered)), undone)
        entered.append({"kind": "reverse_transaction", "which": 1, "type": "Repayment", "original_date": wrong.isoformat()})
    return [on_day(today), *entered, {"kind": "close_of_business"}, loan.expect(paid, today)]


def paid_ahead(seed: int) -> dict[str, Any]:
    """One with a payment within its first period, put to the next instalments or to the last one."""
    chance = Random(seed)
    last = chance.random() < 0.4
    loan, terms, name = recalculated(chance, chance.choice([4, 6, 12]))
    product = loan.product | {"in_advance_rule_default": "LAST_INSTALLMENT" if last else "NEXT_INSTALLMENT"}
    start, due = loan.dates[:2]
    today = start + timedelta(days=chance.randrange(1, (due - start).days))
    most = loan.level // 2 if last else 5 * loan.level // 2
    amount = chance.choice([min(loan.level, most), chance.randint(1, most)])
    rows = ahead(loan, today, amount, last=last)
    schedule, balance = [], loan.principal
    for n, row in enumerate(rows, 1):
        balance -= row.principal
        due_amount, paid = row.principal + row.interest, row.principal_paid + row.interest_paid
        figures = {"balance_after": balance, "principal": row.principal, "interest": row.interest, "due": due_amount}
        figures |= {"paid": paid, "paid_in_advance": paid, "paid_late": 0, "outstanding": due_amount - paid}
        schedule.append({"n": n} | {figure: cents(value) for figure, value in figures.items()})
    timeline = [on_day(start), {"kind": "disburse", "date": start.isoformat(), "amount": cents(loan.principal)}]
    timeline += [on_day(today), {"kind": "payment", "date": today.isoformat(), "amount": cents(amount)}]
    timeline.append({"kind": "expect", "as_of": today.isoformat(), "schedule": schedule})
    return {"id": f"ahead{seed}", "product": name, "terms": terms, "timeline": timeline, "products": {name: product}}


def ahead(loan: Loan, today: date, amount: int, *, last: bool) -> list[Row]:
    """The rows after a payment in the first period: of the current row it pays what has accrued and the rest as principal,
    of later ones their level payment as principal. Where principal paid leaves no room for the interest of the whole
    period, the row keeps what was paid and the rest of its interest goes to the next one."""
    borne, level, count = loan.principal * loan.part(0, loan.dates[0], today), loan.level, len(loan.factors)
    rows = [Row(0, 0) for _ in range(count)]
    left = amount
    for n in reversed(range(count)) if last else range(count):
        accrued = 0 if n else round(borne)
        parts = {"PRINCIPAL": level - accrued, "INTEREST": accrued}
        for part in loan.product["payment_order_within_instalment"]:
            taken = min(left, parts.get(part, 0))
            left -= taken
            rows[n].principal_paid += taken if part == "PRINCIPAL" else 0
            rows[n].interest_paid += taken if part == "INTEREST" else 0
    balance, carried = loan.principal, 0
    for n, row in enumerate(rows):
        bearing = balance - sum(later.principal_paid for later in rows[n:])
        factor = loan.factors[n] if n else loan.part(0, today, loan.dates[1])
        asked = round((0 if n else borne) + bearing * factor) + carried
        frozen = row.principal_paid > level - asked and n + 1 < count
        row.interest = row.interest_paid if frozen else asked
        row.principal = balance if n + 1 == count else level - row.interest
        carried, balance = asked - row.interest, balance - row.principal
    return rows


def paid_off(seed: int) -> dict[str, Any]:
    """One paid on time for a while, then paid off: principal, and what it bore since the due date before."""
    chance = Random(seed)
    loan, terms, name = recalculated(chance, chance.choice([1, 2, 4, 6, 12]))
    before = chance.randrange(len(loan.factors))
    paid: list[Paid] = []
    for day in loan.dates[1 : before + 1]:
        paid.append((day, loan.owed(paid, day)))
    start, due = loan.dates[before : before + 2]
    today = start + timedelta(days=chance.randrange(1, (due - start).days + 1))
    rows = loan.processed(paid, start)[:before]
    left = loan.principal - sum(row.principal for row in rows)
    split = [(day, row.principal, row.interest) for (day, _), row in zip(paid, rows, strict=True)]
    split.append((today, left, round(left * loan.part(before, start, today))))
    timeline = [on_day(loan.dates[0]), {"kind": "disburse", "date": terms["submitted_on"], "amount": terms["principal"]}]
    for day, amount in paid:
        timeline += [on_day(day), {"kind": "payment", "date": day.isoformat(), "amount": cents(amount)}]
    timeline += [on_day(today), {"kind": "payoff", "date": today.isoformat()}]
    made = [
        {"type": "Repayment", "date": day.isoformat(), "amount": cents(principal + interest), "fees": "0", "penalties": "0"}
        | {"principal": cents(principal), "interest": cents(interest)}
        for day, principal, interest in split
    ]
    expect = {"kind": "expect", "as_of": today.isoformat(), "transactions": made, "outstanding": "0.00", "overpaid": None}
    timeline.append(expect | {"status": "CLOSED_OBLIGATIONS_MET", "all_installments_met": True})
    return {"id": f"off{seed}", "product": name, "terms": terms, "timeline": timeline, "products": PRODUCTS}


def recalculated(chance: Random, count: int) -> tuple[Loan, dict[str, Any], str]:
    """A monthly loan whose interest follows its principal, its terms, and the name of its product."""
    name = chance.choice([name for name, product in PRODUCTS.items() if product["interest_recalculation"]])
    start = clipped(chance.randint(2019, 2029), chance.randint(1, 12), chance.choice([1, 15, 28, 31]))
    principal, percent = chance.randint(100_00, 30_000_00), str(chance.randint(0, 3600) / 100)
    terms = {"principal": cents(principal), "nominal_annual_rate_percent": percent, "submitted_on": start.isoformat()}
    terms |= {"n_installments": count, "repay_every": 1, "repay_unit": "MONTHS"}  # type: ignore[dict-item]
    return Loan(PRODUCTS[name], principal, percent, start, count, "MONTHS", 1), terms, name


def on_day(day: date) -> dict[str, Any]:
    return {"kind": "business_date", "date": day.isoformat()}
