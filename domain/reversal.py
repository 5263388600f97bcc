"""The reversal of a payment as a process: the order of its steps, and what each of them may come to.

What a reversal does to the loan is a replay without the payment (domain/history.py); here is only how it is asked for,
decided and followed up.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.errors import WrongState


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


_WAITS_FOR: Final = {ReversalStep.APPROVAL: "a second person", ReversalStep.DONE: "nobody"}


def waiting_on(step: ReversalStep) -> str:
    """Who must do something next."""
    return _WAITS_FOR.get(step, "a worker")


def check_decidable(status: ReversalStatus) -> None:
    """Raises WrongState, naming the status, unless the reversal waits for a decision."""
    if status is not ReversalStatus.PENDING_APPROVAL:
        raise WrongState(
            f"The reversal is {status}: only one that waits for a second person is approved or rejected.",
            state=str(status),
            allowed=[str(ReversalStatus.PENDING_APPROVAL)],
            code="reversal_decided",
        )
