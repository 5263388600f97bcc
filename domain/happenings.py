"""What happened to a loan, as other systems are told of it: derived from what was recorded and from what it changed.

Ids, amounts, dates and states; never a name, a reason somebody wrote, or anything else of a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.changes import MODIFICATIONS
from domain.events import Boarded, Chargeback, Disbursed, EventBody, PaymentReceived, PaymentSettled
from domain.history import Record
from domain.loan import Allocation, LoanState, LoanStatus
from domain.money import format_amount
from domain.replay import Replay
from domain.webhooks import WebhookType


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing to tell of a loan: its type, the payment it is about (if any), and its data (JSON values)."""

    type: WebhookType
    data: dict[str, Any]
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known to others of a loan: its status and its delinquency bucket."""

    status: str
    bucket: str


def happenings(before: Seen, records: Sequence[Record], first_new: int, result: Replay) -> list[Happening]:
    """What the records from the number `first_new` on say, then what has changed in the loan's state, in this order.

    `records`: the loan's whole history; `before`: the state that was told last; `result`: the replay with all of them.
    """
    found = [item for record in records[_index(records, first_new) :] for item in _of_record(record, records, result)]
    return [*found, *_of_state(before, result.state)]


def _index(records: Sequence[Record], number: int) -> int:
    """Where the record of a number is, or would be; they are numbered on, and what is new is at the end."""
    at = len(records)
    while at and records[at - 1].number >= number:
        at -= 1
    return at


def _of_record(record: Record, records: Sequence[Record], result: Replay) -> Iterator[Happening]:
    old = None if record.supersedes is None else next(r for r in records if r.number == record.supersedes)
    body = record.body
    match body, old.body if old else None:
        case PaymentReceived(), PaymentReceived():
            assert old is not None
            paid = _paid(result, body)
            was = {"previous_effective_date": old.effective_date.isoformat()}
            yield Happening(WebhookType.PAYMENT_BACKDATED, {**paid, **was, **_on(record)}, body.payment_id)
        case PaymentReceived(), None:
            yield Happening(WebhookType.PAYMENT_RECORDED, {**_paid(result, body), **_on(record)}, body.payment_id)
        case None, PaymentReceived(amount=amount, payment_id=payment_id):
            data = {"amount": format_amount(amount), **_on(record)}
            yield Happening(WebhookType.PAYMENT_REVERSED, data, payment_id)
        case PaymentSettled(payment_id), None:
            yield Happening(WebhookType.PAYMENT_SETTLED, {"settled_on": record.effective_date.isoformat()}, payment_id)
        case Chargeback(payment_id=payment_id, amount=amount), None:
            data = {"amount": format_amount(amount), **_on(record)}
            yield Happening(WebhookType.PAYMENT_CHARGED_BACK, data, payment_id)
        case Disbursed(amount), None:
            yield Happening(WebhookType.LOAN_DISBURSED, {"amount": format_amount(amount), **_on(record)})
        case Boarded(status=status, principal=principal), None:
            data = {"status": str(status), "principal_balance": format_amount(principal), **_on(record)}
            yield Happening(WebhookType.LOAN_BOARDED, data)
        case _:
            yield from _modified(record, old, body)


def _modified(record: Record, old: Record | None, body: EventBody | None) -> Iterator[Happening]:
    """A modification that was made, or taken back."""
    if isinstance(body, MODIFICATIONS):
        yield Happening(WebhookType.LOAN_MODIFIED, {"kind": record.kind, "voided": False, **_on(record)})
    elif body is None and old is not None and isinstance(old.body, MODIFICATIONS):
        yield Happening(WebhookType.LOAN_MODIFIED, {"kind": old.kind, "voided": True, **_on(record)})


def _on(record: Record) -> dict[str, str]:
    return {"effective_date": record.effective_date.isoformat()}


def _paid(result: Replay, body: PaymentReceived) -> dict[str, str]:
    """A payment and where its money went, by the names of the API."""
    paid: Allocation = result.allocations[body.payment_id]
    parts = {
        "amount": body.amount,
        "principal_applied": paid.principal,
        "interest_applied": paid.interest,
        "fees_applied": paid.fees,
        "overpayment": paid.unapplied,
        "due_from_borrower_applied": paid.due_from_borrower,
        "principal_balance": result.state.principal_balance,
    }
    return {name: format_amount(amount) for name, amount in parts.items()}


_BY_STATUS: Final = {
    LoanStatus.PAID_OFF: WebhookType.LOAN_PAID_OFF,
    LoanStatus.CHARGED_OFF: WebhookType.LOAN_CHARGED_OFF,
    LoanStatus.ACTIVE: WebhookType.LOAN_REOPENED,
}


def _of_state(before: Seen, state: LoanState) -> Iterator[Happening]:
    """How a loan that had begun has changed. How it began is told by its first record."""
    if before.status == LoanStatus.BOARDING:
        return
    if state.status != before.status and state.status in _BY_STATUS:
        data = {"previous_status": before.status, "principal_balance": format_amount(state.principal_balance)}
        yield Happening(_BY_STATUS[state.status], data)
    if state.delinquency_bucket != before.bucket and state.status is LoanStatus.ACTIVE:  # others are in no bucket
        data = {
            "bucket": state.delinquency_bucket,
            "previous_bucket": before.bucket,
            "past_due_amount": format_amount(state.past_due_amount),
        }
        yield Happening(WebhookType.LOAN_BUCKET_CHANGED, {**data, "days_past_due": state.days_past_due})
