"""The reversal of a payment as a process: the order of its steps, and what each of them may come to.

What a reversal does to the loan is a replay without the payment (domain/history.py); here is only how it is asked for,
decided and followed up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.errors import WrongState
from domain.money import format_amount
from domain.payments import PaymentStatus


class ReversalStatus(StrEnum):
    """`applied`: the payment is reversed, what follows from it is under way. `completed`: that is done too."""

    PENDING_APPROVAL = "pending_approval"
    APPLIED = "applied"
    COMPLETED = "completed"
    REJECTED = "rejected"


class ReversalStep(StrEnum):
    """What is being done, or waited for."""

    APPROVAL = "approval"
    AUTOPAY = "autopay"
    SNAPSHOTS = "snapshots"
    NOTICE = "notice"
    DONE = "done"


class AutopayOutcome(StrEnum):
    """What a reversal meant for the loan's autopay. `none`: there is no open one. `told`: it looked again and its next date
    stays. `replanned`: an earlier date is to be drafted again. `ended`: it had ended with the loan, and people must decide
    whether there is to be a new one."""

    NONE = "none"
    TOLD = "told"
    REPLANNED = "replanned"
    ENDED = "ended"


class NoticeOutcome(StrEnum):
    """What became of the letter to the borrower. `failed`: it could not be sent; staff must tell the borrower."""

    SENT = "sent"
    NO_ADDRESS = "no_address"
    FAILED = "failed"


REVERSIBLE: Final = PaymentStatus.COMPLETED
"""The one state in which people reverse a payment."""
_WAITS_FOR: Final = {ReversalStep.APPROVAL: "a second person", ReversalStep.DONE: "nobody"}


def waiting_on(step: ReversalStep) -> str:
    """Who must do something next."""
    return _WAITS_FOR.get(step, "a worker")


@dataclass(frozen=True, slots=True)
class GivenBack:
    """An approved refund of a payment: `amount` in minor units; `taken`: the rail has it, so it is cancelled no more."""

    id: UUID
    amount: int
    taken: bool


def check_reversible(status: str, refunds: Sequence[GivenBack]) -> None:
    """Refuse (WrongState) the reversal of a payment that is not completed, or (code `payment_refunded`) of which `refunds`
    gave a part back.

    A reversal takes the whole payment back as if it had never come. With a refund of it more would go out than came in, out
    of what other payments left unapplied; who means it cancels the refund. What a bank takes back all the same is there to
    be owed again (a chargeback), or is a return, which nobody is asked about.
    """
    if status != REVERSIBLE:
        detail = f"The payment is {status}: only a completed payment is reversed."
        raise WrongState(detail, state=status, allowed=[REVERSIBLE])
    if not refunds:
        return
    given = ", ".join(f"refund {each.id} of {format_amount(each.amount)}" for each in refunds)
    allowed, how = "cancel the refund", "Cancel what was refunded before the rail has it"
    if any(each.taken for each in refunds):
        allowed, how = "chargeback", "What its bank takes back nevertheless is recorded as a chargeback, which is owed again"
    raise WrongState(
        f"A part of the payment was given back ({given}), so taking back all of it would take more than came in. {how}.",
        state=status,
        allowed=[allowed],
        code="payment_refunded",
    )


def check_decidable(status: ReversalStatus) -> None:
    """Raises WrongState, naming the status, unless the reversal waits for a decision."""
    if status is not ReversalStatus.PENDING_APPROVAL:
        raise WrongState(
            f"The reversal is {status}: only one that waits for a second person is approved or rejected.",
            state=str(status),
            allowed=[str(ReversalStatus.PENDING_APPROVAL)],
            code="reversal_decided",
        )
