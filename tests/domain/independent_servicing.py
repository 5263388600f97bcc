"""Serviced instalment loans made anew from a seed, by a plain program that shares no code with the engine.

It follows the conventions printed in the README key of instalment_servicing.json: any interval and day count as long as
nothing happens; then money that is due or past due, late, in parts, entered in any order, one payment perhaps reversed.
Money in advance is left to the published cases.
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
    """`product` and the contract; `rows` after `processed`."""

    def __init__(
        self, product: dict[str, Any], principal: int, percent: str, start: date, count: int, unit: str, every: int
    ):
        self.product, self.principal, self.rate = product, principal, Fraction(percent) / 100
        self.unit, self.every = unit, every
        self.dates = [start, *(self._due(start, k) for k in range(1, count + 1))]
        self.factors = [self._part(k, *self.dates[k : k + 2]) for k in range(count)]
        self.level = self._level()

    def _due(self, start: date, k: int) -> date:
        if self.unit == "MONTHS":
            months = start.month - 1 + k * self.every
            return clipped(start.year + months // 12, months % 12 + 1, start.day)
        return start + timedelta(days=k * self.every * (7 if self.unit == "WEEKS" else 1))

    def _part(self, k: int, first: date, last: date) -> Fraction:
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
            factor = self.factors[n] if today <= self.dates[n] else self._part(n, today, self.dates[n + 1])
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
            borne += self._bearing(rows) * self._part(k, reached, until)
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
    """A case of the format of instalment_servicing.json, under PRODUCTS."""
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
    return {"id": f"serviced{seed}", "product": name, "terms": terms, "timeline": timeline}


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


def on_day(day: date) -> dict[str, Any]:
    return {"kind": "business_date", "date": day.isoformat()}
