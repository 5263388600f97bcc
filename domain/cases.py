"""Cases: things that people have to look at, and the states one may be in."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.errors import WrongState

LONG_IN_TRANSIT: Final = 5
"""Banking days after which a draft that neither settled nor came back is looked into."""


class CaseKind(StrEnum):
    """`draft_in_transit`: money that has been on its way for longer than expected. `return_to_review`: a bank's answer
    about a draft that cannot be acted on without a person. `late_return`: a draft that was taken back after the network's
    deadline, which the lender may have its bank dishonor."""

    DRAFT_IN_TRANSIT = "draft_in_transit"
    RETURN_TO_REVIEW = "return_to_review"
    LATE_RETURN = "late_return"


class CaseStatus(StrEnum):
    """`resolved`: by a person. `closed`: by itself, what it was about is over."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    WAITING_ON_BORROWER = "waiting_on_borrower"
    RESOLVED = "resolved"
    CLOSED = "closed"


OPEN: Final = (CaseStatus.OPEN, CaseStatus.IN_PROGRESS, CaseStatus.WAITING_ON_BORROWER)


def check_resolvable(status: CaseStatus) -> None:
    """Raises WrongState for a case that has ended."""
    if status not in OPEN:
        raise WrongState(
            f"The case is {status}: only one that is open can be resolved.",
            state=str(status),
            allowed=[str(state) for state in OPEN],
            code="case_ended",
        )
