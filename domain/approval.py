"""The second person: above a lender's limit, what one asks for another decides."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from domain.errors import Forbidden


class ApprovalKind(StrEnum):
    """What may wait for a second person."""

    REVERSAL = "reversal"
    REFUND = "refund"
    REIMBURSEMENT = "reimbursement"


def needs_second_person(amount: int, limit: int | None) -> bool:
    """Whether `amount` is above the lender's `limit`; both in minor units, no limit is None."""
    return limit is not None and amount > limit


def may_decide(asked_by: UUID | None, decides: UUID | None) -> bool:
    """Whether somebody is the second person: not whoever asked, and not nobody in particular."""
    return decides is not None and decides != asked_by


def check_second_person(asked_by: UUID | None, decides: UUID | None) -> None:
    """Raises Forbidden for a decision by whoever asked, or by nobody in particular."""
    if not may_decide(asked_by, decides):
        raise Forbidden(
            "Above the approval limit a second person decides, a loan officer or above: not the one who asked for it.",
            code="second_person_needed",
        )
