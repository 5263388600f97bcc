"""The source events of a loan: what people or the outside world did. Data only; what they do is in domain/replay.py.

Amounts are `int` minor units, rates exact fractions of one a year. In JSON they are decimal strings, dates ISO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple

from domain.changes import (
    Deferred,
    DueDateChanged,
    Extended,
    Forborne,
    Modification,
    RateChanged,
    ReAged,
    ReAmortized,
)
from domain.errors import InvalidInput
from domain.event_fields import COUNT, DAY, FLAG, MONEY, RATE, TEXT, Field, one_of, optional
from domain.loan import LoanStatus
from domain.program import AdvanceOrder, ExtraMoney


class EventKind(StrEnum):
    DISBURSED = "disbursed"
    BOARDED = "boarded"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_SETTLED = "payment_settled"
    FEE_CHARGED = "fee_charged"
    WAIVED = "waived"
    UNAPPLIED_APPLIED = "unapplied_applied"
    REFUNDED = "refunded"
    REFUND_SENT = "refund_sent"
    REIMBURSED = "reimbursed"
    REIMBURSEMENT_SENT = "reimbursement_sent"
    CHARGED_OFF = "charged_off"
    CHARGEBACK = "chargeback"
    NON_ACCRUAL_SET = "non_accrual_set"
    RATE_CHANGED = "rate_changed"
    DEFERRED = "deferred"
    FORBORNE = "forborne"
    EXTENDED = "extended"
    DUE_DATE_CHANGED = "due_date_changed"
    RE_AGED = "re_aged"
    RE_AMORTIZED = "re_amortized"


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
    """`advance` says which open instalment money in advance fills first, `extra` what becomes of money beyond what is due
    and the current instalment; None means as the program says. `withheld`: the part of `amount` that does not go through
    the waterfall, because it is refunded; it is unapplied."""

    amount: int
    payment_id: str
    advance: AdvanceOrder | None = None
    withheld: int | None = None
    extra: ExtraMoney | None = None


@dataclass(frozen=True, slots=True)
class PaymentSettled:
    payment_id: str


class ChargedFee(StrEnum):
    """The kinds of fee that are charged; the others are derived (domain.loan.FeeKind)."""

    NSF = "nsf_fee"
    OTHER = "other_fee"


@dataclass(frozen=True, slots=True)
class FeeCharged:
    """A fee. `fee_id` is the caller's: a payment's id for the NSF fee of its return makes it one per return. It stands at
    the opening of its day, so money of that day meets it whichever was recorded first."""

    fee_id: str
    kind: ChargedFee
    amount: int


class WaiverTarget(StrEnum):
    FEE = "fee"
    INTEREST = "interest"


@dataclass(frozen=True, slots=True)
class Waived:
    """The lender gives up a fee (`fee_key` names it) or interest earned and unpaid. `amount` None: all that is unpaid.

    A waiver of what does not arise any more, or is paid, waives nothing.
    """

    waiver_id: str
    target: WaiverTarget
    fee_key: str | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class UnappliedApplied:
    """Unapplied funds go through the waterfall."""

    application_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund of unapplied funds was approved. `shortfall`: the part of `amount` that was not unapplied any more, because
    a bank returned the money after it was refunded; the borrower owes it."""

    refund_id: str
    amount: int
    shortfall: int | None = None


@dataclass(frozen=True, slots=True)
class RefundSent:
    refund_id: str


@dataclass(frozen=True, slots=True)
class Reimbursed:
    """The lender owes the borrower money of its own (goodwill); it touches no balance of the loan."""

    reimbursement_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class ReimbursementSent:
    reimbursement_id: str


@dataclass(frozen=True, slots=True)
class ChargedOff:
    reason: str


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A payment, or a part of it, was taken back from the lender (a card dispute): what it paid is owed again now."""

    chargeback_id: str
    payment_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class NonAccrualSet:
    """A person put the loan on non-accrual, where it stays until a person takes it off; or took it off, also when it had
    got there by its days past due."""

    non_accrual: bool
    reason: str


EventBody = (
    Disbursed
    | Boarded
    | PaymentReceived
    | PaymentSettled
    | FeeCharged
    | Waived
    | UnappliedApplied
    | Refunded
    | RefundSent
    | Reimbursed
    | ReimbursementSent
    | ChargedOff
    | Chargeback
    | NonAccrualSet
    | Modification
)


@dataclass(frozen=True, slots=True)
class Event:
    """A source event: what people or the outside world did. `sequence` is the order of recording within the loan."""

    sequence: int
    effective_date: date
    body: EventBody

    @property
    def kind(self) -> EventKind:
        return FORMS_BY_BODY[type(self.body)].kind

    @property
    def place(self) -> tuple[date, int, int]:
        """Where the event stands among those of its loan: effective date, rank of its kind, sequence."""
        return self.effective_date, FORMS_BY_BODY[type(self.body)].rank, self.sequence


class Form(NamedTuple):
    """The JSON form of one kind of event, and its rank: the order within a day. Rank 1 is the opening of the day, when
    what is derived arises; the close of the day is last."""

    kind: EventKind
    body: type
    rank: int
    fields: Mapping[str, Field]


def event_to_dict(body: EventBody) -> dict[str, Any]:
    """The JSON form of an event's body. Inverse of `event_from_dict`. Optional fields that are None and did not exist in
    the first form of their kind are left out, so what is stored stays what it was."""
    form = FORMS_BY_BODY[type(body)]
    values = {name: getattr(body, name) for name in form.fields}
    return {
        name: None if value is None else form.fields[name].write(value)
        for name, value in values.items()
        if value is not None or name not in _LATER_FIELDS
    }


def event_from_dict(kind: EventKind | str, data: Mapping[str, Any]) -> EventBody:
    """Read an event's body from its JSON form.

    Raises InvalidInput naming the field that is absent or not of the documented form, or `/kind`.
    """
    form = _FORMS_BY_NAME.get(kind)
    if form is None:
        raise InvalidInput.at("/kind", f"must be one of {', '.join(EventKind)}")
    values = {
        name: None if field.optional and data.get(name) is None else field.read(data, name)
        for name, field in form.fields.items()
    }
    body: EventBody = form.body(**values)
    return body


_LATER_FIELDS: Final = frozenset({"advance", "shortfall", "withheld", "extra"})

FORMS: Final[dict[EventKind, Form]] = {
    form.kind: form
    for form in (
        Form(EventKind.DISBURSED, Disbursed, 0, {"amount": MONEY}),
        Form(
            EventKind.BOARDED,
            Boarded,
            0,
            {
                "status": one_of(LoanStatus),
                "principal": MONEY,
                "interest": MONEY,
                "late_fees": MONEY,
                "oldest_unpaid_due_date": optional(DAY),
                "level_payment": optional(MONEY),
            },
        ),
        Form(
            EventKind.PAYMENT_RECEIVED,
            PaymentReceived,
            2,
            {
                "amount": MONEY,
                "payment_id": TEXT,
                "advance": optional(one_of(AdvanceOrder)),
                "withheld": optional(MONEY),
                "extra": optional(one_of(ExtraMoney)),
            },
        ),
        Form(EventKind.PAYMENT_SETTLED, PaymentSettled, 3, {"payment_id": TEXT}),
        Form(EventKind.FEE_CHARGED, FeeCharged, 1, {"fee_id": TEXT, "kind": one_of(ChargedFee), "amount": MONEY}),
        Form(
            EventKind.WAIVED,
            Waived,
            2,
            {
                "waiver_id": TEXT,
                "target": one_of(WaiverTarget),
                "fee_key": optional(TEXT),
                "amount": optional(MONEY),
            },
        ),
        Form(EventKind.UNAPPLIED_APPLIED, UnappliedApplied, 2, {"application_id": TEXT, "amount": MONEY}),
        Form(EventKind.REFUNDED, Refunded, 2, {"refund_id": TEXT, "amount": MONEY, "shortfall": optional(MONEY)}),
        Form(EventKind.REFUND_SENT, RefundSent, 3, {"refund_id": TEXT}),
        Form(EventKind.REIMBURSED, Reimbursed, 2, {"reimbursement_id": TEXT, "amount": MONEY}),
        Form(EventKind.REIMBURSEMENT_SENT, ReimbursementSent, 3, {"reimbursement_id": TEXT}),
        Form(EventKind.CHARGED_OFF, ChargedOff, 2, {"reason": TEXT}),
        Form(EventKind.CHARGEBACK, Chargeback, 2, {"chargeback_id": TEXT, "payment_id": TEXT, "amount": MONEY}),
        Form(EventKind.NON_ACCRUAL_SET, NonAccrualSet, 2, {"non_accrual": FLAG, "reason": TEXT}),
        Form(
            EventKind.RATE_CHANGED,
            RateChanged,
            2,
            {
                "rate": RATE,
                "until": optional(DAY),
                "keep_payment": FLAG,
                "reason": optional(TEXT),
                "cap": optional(FLAG),
            },
        ),
        Form(EventKind.DEFERRED, Deferred, 2, {"instalments": COUNT, "accrue": FLAG, "to_end": FLAG}),
        Form(EventKind.FORBORNE, Forborne, 2, {"until": DAY, "accrue": FLAG, "payment": optional(MONEY)}),
        Form(EventKind.EXTENDED, Extended, 2, {"periods": COUNT, "reamortize": FLAG}),
        Form(EventKind.DUE_DATE_CHANGED, DueDateChanged, 2, {"new_first_due": DAY}),
        Form(EventKind.RE_AGED, ReAged, 2, {}),
        Form(EventKind.RE_AMORTIZED, ReAmortized, 2, {"periods": optional(COUNT)}),
    )
}

_FORMS_BY_NAME: Final[dict[str, Form]] = {str(kind): form for kind, form in FORMS.items()}
FORMS_BY_BODY: Final[dict[type, Form]] = {form.body: form for form in FORMS.values()}
