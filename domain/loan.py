"""What a loan is: its terms, its source events, and the state that replaying them gives. Data only; no rules.

Amounts are `int` minor units, rates exact fractions of one a year.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Literal

from domain.errors import InvalidInput
from domain.money import format_amount, parse_amount
from domain.program import Component, Program


class LoanStatus(StrEnum):
    """Life of a loan; which change is allowed is in domain/status.py."""

    BOARDING = "boarding"
    ACTIVE = "active"
    PAID_OFF = "paid_off"
    CHARGED_OFF = "charged_off"
    TRANSFERRED = "transferred"
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    DISBURSED = "disbursed"
    BOARDED = "boarded"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_SETTLED = "payment_settled"


class InstalmentStatus(StrEnum):
    """`due` on its due date, `past_due` from the day after, `partial` when some of it is paid before that."""

    SCHEDULED = "scheduled"
    DUE = "due"
    PARTIAL = "partial"
    PAID = "paid"
    PAST_DUE = "past_due"


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """The contract. `principal` in minor units, `annual_rate` of one, `contract_date` = origination date."""

    program: Program
    principal: int
    annual_rate: Fraction
    periods: int
    contract_date: date
    first_due_date: date


@dataclass(frozen=True, slots=True)
class Disbursed:
    """The lender paid the principal out."""

    amount: int


@dataclass(frozen=True, slots=True)
class Boarded:
    """The loan was taken over from a prior servicer; amounts are what was owed on the effective date.

    `status` is active, paid_off or charged_off. `interest` is earned before boarding and unpaid. `level_payment` None
    means the one the original terms give.
    """

    status: LoanStatus
    principal: int
    interest: int
    late_fees: int
    oldest_unpaid_due_date: date | None
    level_payment: int | None


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    amount: int
    payment_id: str


@dataclass(frozen=True, slots=True)
class PaymentSettled:
    payment_id: str


EventBody = Disbursed | Boarded | PaymentReceived | PaymentSettled

_KINDS: Final[dict[type, EventKind]] = {
    Disbursed: EventKind.DISBURSED,
    Boarded: EventKind.BOARDED,
    PaymentReceived: EventKind.PAYMENT_RECEIVED,
    PaymentSettled: EventKind.PAYMENT_SETTLED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """A source event: what people or the outside world did. `sequence` is the order of recording within the loan."""

    sequence: int
    effective_date: date
    body: EventBody

    @property
    def kind(self) -> EventKind:
        return _KINDS[type(self.body)]


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


def event_to_dict(body: EventBody) -> dict[str, Any]:
    """The JSON form of an event's body: money as decimal strings, dates ISO. Inverse of `event_from_dict`."""
    match body:
        case Disbursed():
            return {"amount": format_amount(body.amount)}
        case PaymentReceived():
            return {"amount": format_amount(body.amount), "payment_id": body.payment_id}
        case PaymentSettled():
            return {"payment_id": body.payment_id}
        case Boarded():
            oldest, level = body.oldest_unpaid_due_date, body.level_payment
            return {
                "status": str(body.status),
                "principal": format_amount(body.principal),
                "interest": format_amount(body.interest),
                "late_fees": format_amount(body.late_fees),
                "oldest_unpaid_due_date": None if oldest is None else oldest.isoformat(),
                "level_payment": None if level is None else format_amount(level),
            }


def event_from_dict(kind: EventKind | str, data: Mapping[str, Any]) -> EventBody:
    """Read an event's body from its JSON form.

    Raises InvalidInput naming the field that is absent or not of the documented form, or `/kind`.
    """
    if kind not in list(EventKind):
        raise InvalidInput.at("/kind", f"must be one of {', '.join(EventKind)}")
    match EventKind(kind):
        case EventKind.DISBURSED:
            return Disbursed(_amount(data, "amount"))
        case EventKind.PAYMENT_RECEIVED:
            return PaymentReceived(_amount(data, "amount"), _text(data, "payment_id"))
        case EventKind.PAYMENT_SETTLED:
            return PaymentSettled(_text(data, "payment_id"))
        case EventKind.BOARDED:
            status = _text(data, "status")
            if status not in list(LoanStatus):
                raise InvalidInput.at("/status", f"must be one of {', '.join(LoanStatus)}")
            return Boarded(
                status=LoanStatus(status),
                principal=_amount(data, "principal"),
                interest=_amount(data, "interest"),
                late_fees=_amount(data, "late_fees"),
                oldest_unpaid_due_date=_date(data, "oldest_unpaid_due_date"),
                level_payment=None if data.get("level_payment") is None else _amount(data, "level_payment"),
            )


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


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput.at(f"/{name}", "must be a text that is not empty")
    return value


def _amount(data: Mapping[str, Any], name: str) -> int:
    return parse_amount(_text(data, name), f"/{name}")


def _date(data: Mapping[str, Any], name: str) -> date | None:
    if data.get(name) is None:
        return None
    try:
        return date.fromisoformat(_text(data, name))
    except ValueError:
        raise InvalidInput.at(f"/{name}", "must be a date such as 2020-10-09") from None
