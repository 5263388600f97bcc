"""Payouts: money that goes to a borrower, a refund of a payment or a reimbursement of the lender's own.

What of a payment may be refunded, and which states a payout takes. What it does to the loan and the
books is in domain/unapplied.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from domain.errors import Conflict, InvalidInput, WrongState
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.payments import PaymentStatus


class PayoutKind(StrEnum):
    """`refund`: money of a payment goes back. `reimbursement`: goodwill of the lender."""

    REFUND = "refund"
    REIMBURSEMENT = "reimbursement"


class PayoutStatus(StrEnum):
    """`pending_approval`: nothing is posted yet. `approved`: owed to the borrower (2010), and on its way. `cancelled`:
    it was approved, and taken back before the rail had it."""

    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    SENT = "sent"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class PayoutAction(StrEnum):
    """What people (approve, reject, cancel) or the process (send) do to a payout."""

    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    SEND = "send"


_TRANSITIONS: Final[dict[PayoutAction, tuple[PayoutStatus, PayoutStatus]]] = {
    PayoutAction.APPROVE: (PayoutStatus.PENDING_APPROVAL, PayoutStatus.APPROVED),
    PayoutAction.REJECT: (PayoutStatus.PENDING_APPROVAL, PayoutStatus.REJECTED),
    PayoutAction.CANCEL: (PayoutStatus.APPROVED, PayoutStatus.CANCELLED),
    PayoutAction.SEND: (PayoutStatus.APPROVED, PayoutStatus.SENT),
}

_REFUNDABLE: Final = PaymentStatus.COMPLETED
"""The one state in which the money of a payment is here and counts."""

_PAYS_OUT: Final = (LoanStatus.ACTIVE, LoanStatus.PAID_OFF, LoanStatus.CHARGED_OFF)


def after(status: PayoutStatus, action: PayoutAction, goes_out_on: date | None = None) -> PayoutStatus:
    """The status `action` leads to. `goes_out_on`: the banking day on which the rail sends it, None while the rail has not
    taken it; from then on it cannot be cancelled. Raises WrongState, naming what people may still do."""
    source, target = _TRANSITIONS[action]
    taken = goes_out_on is not None
    if status is source and not (taken and action is PayoutAction.CANCEL):
        return target
    where = f", and the rail has taken it to send it on {goes_out_on}" if taken and status is PayoutStatus.APPROVED else ""
    not_people = (PayoutAction.SEND, PayoutAction.CANCEL) if taken else (PayoutAction.SEND,)
    allowed = [str(other) for other, (start, _) in _TRANSITIONS.items() if start is status and other not in not_people]
    can = f"it can be: {', '.join(allowed)}" if allowed else "nothing further can be done with it"
    raise WrongState(
        f"The payout is {status}{where}, so {action} is refused; {can}.",
        state=str(status),
        allowed=allowed,
        code="payout_wrong_state",
    )


def check_pays_out(status: LoanStatus) -> None:
    """Refuse (WrongState) a payout of a loan that is not serviced by the lender: not begun, cancelled, or transferred."""
    if status not in _PAYS_OUT:
        raise WrongState(
            f"The loan is {status}: no money is paid out for it.",
            state=str(status),
            allowed=_PAYS_OUT,
            code="loan_wrong_state",
        )


@dataclass(frozen=True, slots=True)
class Refundable:
    """What may be refunded of a payment, in minor units.

    paid: its amount. refunded: of it, also what is not sent yet. charged_back: taken back by a chargeback. asked: what
    refunds of it ask for that wait for approval. unapplied: of its loan. promised: the part of that which refunds of the
    loan that wait for approval would take.
    """

    status: str
    paid: int
    refunded: int
    charged_back: int
    asked: int
    unapplied: int
    promised: int

    @property
    def left(self) -> int:
        """What of the payment is neither given back nor asked for."""
        return max(0, self.paid - self.refunded - self.charged_back - self.asked)

    @property
    def free(self) -> int:
        """Unapplied funds that are promised to nobody."""
        return max(0, self.unapplied - self.promised)


def goes_beyond_unapplied(of: Refundable, amount: int, *, override: bool) -> bool:
    """Whether a refund takes money that the payment has paid something with, which only `override` allows.

    Raises WrongState naming the payment's state unless it is completed, and (code `not_unapplied`) for more than is
    unapplied and promised to nobody, without `override`; InvalidInput at /amount when it is not positive or more than is
    left of the payment.
    """
    if of.status != _REFUNDABLE:
        raise WrongState(
            f"The payment is {of.status}: only a completed payment is refunded.",
            state=of.status,
            allowed=[_REFUNDABLE],
            code="payment_wrong_state",
        )
    if amount <= 0:
        raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")
    if amount > of.left:
        raise InvalidInput.at("/amount", f"must be at most {_what_is_left(of)}", code="more_than_is_left")
    if amount <= of.free:
        return False
    if override:
        return True
    promised = f" ({format_amount(of.promised)} more is promised to refunds that wait for approval)" if of.promised else ""
    raise WrongState(
        f"Only {format_amount(of.free)} of the loan's money is unapplied{promised}; the rest of the payment has paid what "
        'was due. With "override": true the refund takes it from there.',
        state=f"unapplied {format_amount(of.free)}",
        allowed=[f"up to {format_amount(of.free)}", "override"],
        code="not_unapplied",
    )


def _what_is_left(of: Refundable) -> str:
    gone = {"refunded": of.refunded, "charged back": of.charged_back, "waiting for approval": of.asked}
    parts = "".join(f", less {format_amount(amount)} {what}" for what, amount in gone.items() if amount)
    return f"{format_amount(of.left)}, what is left of the payment: {format_amount(of.paid)} paid{parts}"


def check_promise(unapplied: int, promised: int) -> None:
    """Refuse (Conflict) what would leave less `unapplied` than is `promised` to refunds that wait for approval (minor
    units)."""
    if unapplied < promised:
        raise Conflict(
            f"{format_amount(promised)} of unapplied funds is promised to refunds that wait for approval, and "
            f"{format_amount(unapplied)} would be left: approve or reject them first.",
            code="unapplied_promised",
        )


@dataclass(frozen=True, slots=True)
class PayoutPlan:
    """What a payout waits for. `goes_out_on`: the banking day on which the rail sends it (None: not handed over yet).
    `due`: that day has come."""

    status: PayoutStatus
    business_date: date
    goes_out_on: date | None

    @property
    def due(self) -> bool:
        on = self.goes_out_on
        return self.status is PayoutStatus.APPROVED and on is not None and on <= self.business_date

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.status in (PayoutStatus.SENT, PayoutStatus.REJECTED, PayoutStatus.CANCELLED)


def progress(status: PayoutStatus, goes_out_on: date | None) -> tuple[str, str]:
    """Where a payout is, for people: its step, and who or what must do something next."""
    match status:
        case PayoutStatus.PENDING_APPROVAL:
            return "waiting for approval", "a loan officer other than the one who asked"
        case PayoutStatus.APPROVED if goes_out_on is None:
            return "handing over", "the rail"
        case PayoutStatus.APPROVED:
            return "on the rail", f"the business date {goes_out_on}"
        case _:
            return str(status), "nobody"
