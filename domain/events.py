"""The source events of a loan: what people or the outside world did. Data only; what they do is in domain/replay.py.

Amounts are `int` minor units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from domain.errors import InvalidInput
from domain.loan import LoanStatus
from domain.money import format_amount, parse_amount


class EventKind(StrEnum):
    DISBURSED = "disbursed"
    BOARDED = "boarded"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_SETTLED = "payment_settled"


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
