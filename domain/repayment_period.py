"""One repayment period of a loan whose interest follows the actual principal: its instalment, and the spans of days in it
that bear interest on one balance. The periods of a loan together are in domain/repayment_periods.py.

Days are proleptic ordinals, money is `int` minor units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from domain.rounding import Rounding, round_ratio


class Payable(NamedTuple):
    """What an instalment can take on a day, paid and unpaid together."""

    principal: int
    interest: int


class PastDue(NamedTuple):
    """Principal past due that bears interest from `day` on (or, negative, no longer), within the period due on `due`."""

    day: int
    amount: int
    due: int


@dataclass(slots=True)
class Span:
    """Days of a period (after `start`, to `end`) with one balance. `weight`: interest of a minor unit a day; `change`: by
    what the balance changes at the end. `cut`: it only begins there because past-due interest ended, or began, then."""

    start: int
    end: int
    weight: tuple[int, int]
    change: int = 0
    balance: int = 0
    cut: bool = False


@dataclass(slots=True)
class Period:
    """`level`: the instalment as planned, `instalment`: as it is to be paid now, both without what was charged back
    (`credited_*`) and without `deferred`, the interest of later periods that are paid already; those are `passed_on` and
    bear none. `brought`: interest of boarding that the instalment has beyond (or short of) its spans'.

    Derived: `principal` and `interest` due (paid or not), `unplaced` interest, which found no room in the instalment and
    goes to the next (whose `carried` it is). `accrued`: the spans' interest, rounded.
    """

    start: int
    due: int
    level: int
    instalment: int
    spans: list[Span]
    principal_paid: int = 0
    interest_paid: int = 0
    credited_principal: int = 0
    credited_interest: int = 0
    deferred: int = 0
    passed_on: bool = False
    brought: int = 0
    accrued: int = 0
    carried: int = 0
    principal: int = 0
    interest: int = 0
    unplaced: int = 0

    @property
    def credited(self) -> int:
        return self.credited_principal + self.credited_interest

    @property
    def payment(self) -> int:
        return self.instalment + self.credited_principal + self.credited_interest + self.deferred

    @property
    def paid(self) -> int:
        return self.principal_paid + self.interest_paid

    @property
    def open(self) -> bool:
        return self.payment != self.principal_paid + self.interest_paid

    @property
    def principal_owed(self) -> int:
        return self.principal - self.principal_paid

    def copy(self) -> Period:
        """A copy of its own, field by field: dataclasses.replace would take several times as long."""
        spans = [Span(span.start, span.end, span.weight, span.change, span.balance, span.cut) for span in self.spans]
        return Period(
            self.start,
            self.due,
            self.level,
            self.instalment,
            spans,
            self.principal_paid,
            self.interest_paid,
            self.credited_principal,
            self.credited_interest,
            self.deferred,
            self.passed_on,
            self.brought,
            self.accrued,
            self.carried,
            self.principal,
            self.interest,
            self.unplaced,
        )

    def change(self, day: int, amount: int, weight: Callable[[], tuple[int, int]], *, past_due: bool) -> None:
        """The balance changes by `amount` at the end of `day`, or from the start on for days before it. `weight`: of a span
        that begins there. `past_due`: because past-due interest begins or ends; where both meet, the spans are one again."""
        spans = self.spans
        if day <= spans[0].start:
            spans[0].balance = max(0, spans[0].balance + amount)
            return
        at = next(i for i, span in enumerate(spans) if day <= span.end)
        span = spans[at]
        if day < span.end:
            spans.insert(at + 1, Span(day, span.end, weight(), span.change, cut=past_due))
            span.end, span.change = day, 0
        span.change += amount
        if past_due and not span.change and at + 1 < len(spans) and spans[at + 1].cut:
            after = spans.pop(at + 1)
            span.end, span.change = after.end, after.change

    def borne(self, until: int | None, rounding: Rounding) -> int:
        """Interest of the spans to the day `until`, rounded once."""
        numerator, denominator = 0, 1
        for span in self.spans:
            days = (span.end if until is None or span.end < until else until) - span.start
            if days > 0 and span.balance:
                top, base = span.weight
                top *= span.balance * days
                if base == denominator:
                    numerator += top
                else:
                    numerator, denominator = numerator * base + top * denominator, denominator * base
        return round_ratio(numerator, denominator, rounding)

    def due_of(self, borne: int, carried: int) -> int:
        """Interest the period asks for, whether or not the instalment has room for it, given what its spans bore and what
        is carried here from the one before."""
        own = 0 if self.passed_on else borne
        return max(0, own + carried + self.deferred + self.credited_interest + self.brought)

    def shares(self, borne: int, carried: int, payment: int) -> tuple[int, int, int]:
        """Principal, interest and unplaced interest of `payment`; see `due_of`."""
        asked = self.due_of(borne, carried)
        if self.principal_paid > max(0, payment - asked):
            interest = self.interest_paid
        else:
            interest = max(min(asked, payment), self.interest_paid)
        return max(payment - interest, self.principal_paid), interest, max(0, asked - interest)
