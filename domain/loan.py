"""What a loan is: its terms, its source events, and the state that replaying them gives. Data only; no rules.

Amounts are `int` minor units, rates exact fractions of one a year.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final, Literal

from domain.program import Component


class LoanStatus(StrEnum):
    """Life of a loan; which change is allowed is in domain/status.py."""

    BOARDING = "boarding"
    ACTIVE = "active"
    PAID_OFF = "paid_off"
    CHARGED_OFF = "charged_off"
    TRANSFERRED = "transferred"
    CANCELLED = "cancelled"


class InstalmentStatus(StrEnum):
    """`due` on its due date, `past_due` from the day after, `partial` when some of it is paid before that."""

    SCHEDULED = "scheduled"
    DUE = "due"
    PARTIAL = "partial"
    PAID = "paid"
    PAST_DUE = "past_due"


@dataclass(frozen=True, slots=True)
class Instalment:
    """One row of the schedule as it stands; payment = principal + interest.

    `prior_interest` is only set on a boarded loan: the part of the period's interest that was paid to the prior
    servicer, so it is not in `interest` (negative: older unpaid interest brought along, which is in `interest`).
    """

    number: int
    due_date: date
    period_start: date
    payment: int
    principal: int
    interest: int
    principal_paid: int
    interest_paid: int
    status: InstalmentStatus
    paid_on: date | None
    prior_interest: int = 0


@dataclass(frozen=True, slots=True)
class Fee:
    """A derived fee. `key` is its business key ("late_fee:2020-10-09"), which a waiver will name."""

    key: str
    kind: Literal["late_fee"]
    instalment_number: int
    due_date: date
    assessed_on: date
    amount: int
    paid: int


@dataclass(frozen=True, slots=True)
class AllocationLine:
    """Where a part of a payment went. Principal with no instalment number is a curtailment."""

    component: Component
    amount: int
    instalment_number: int | None = None
    fee_key: str | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one payment paid: fees + interest + principal + unapplied == its amount; `lines` hold the first three."""

    payment_id: str
    effective_date: date
    fees: int
    interest: int
    principal: int
    unapplied: int
    lines: tuple[AllocationLine, ...]

    @property
    def amount(self) -> int:
        return self.fees + self.interest + self.principal + self.unapplied


@dataclass(frozen=True, slots=True)
class LoanState:
    """The loan at the close of `as_of`: the result of a replay, never stored as the truth.

    accrued_interest: earned to `as_of` and not paid. past_due_amount: principal and interest of instalments due before
    `as_of`. oldest_unpaid_due_date: oldest due date up to `as_of` not fully paid. next_due_date: due date (from `as_of`
    on) of the first instalment not fully paid; None when there is none. next_due_amount: what a draft on that date must
    take to bring the loan current through it: all past due, that instalment's rest, and the assessed fees which the
    program's waterfall takes on the way. total_paid: all money received. per_diem: minor units, unrounded, by which
    the payoff grows a day. opened_on: effective date of disbursement or boarding.
    """

    as_of: date
    status: LoanStatus
    principal_balance: int
    accrued_interest: int
    fees_balance: int
    unapplied: int
    instalments: tuple[Instalment, ...]
    fees: tuple[Fee, ...]
    past_due_amount: int
    oldest_unpaid_due_date: date | None
    days_past_due: int
    delinquency_bucket: str
    next_due_date: date | None
    next_due_amount: int
    paid_off_on: date | None
    last_payment_date: date | None
    last_payment_amount: int | None
    total_paid: int
    per_diem: Fraction
    opened_on: date | None = None


def state_hash(state: LoanState) -> str:
    """Fingerprint of everything the state says: sha256 (hex) over its canonical JSON.

    A state holds no id and no recording time, so two loans with the same surviving events have the same hash.
    """
    text = json.dumps(_canonical(state), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_PLAIN: Final = frozenset({int, str, bool, type(None)})
_FIELDS: Final = {kind: tuple(f.name for f in fields(kind)) for kind in (LoanState, Instalment, Fee)}


def _canonical(value: object) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in _FIELDS:
        return {name: _canonical(getattr(value, name)) for name in _FIELDS[kind]}
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return value
