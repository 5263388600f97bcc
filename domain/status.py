"""Which change of a loan's status is allowed."""

from __future__ import annotations

from typing import Final

from domain.errors import WrongState
from domain.loan import LoanStatus

ALLOWED: Final[dict[LoanStatus, tuple[LoanStatus, ...]]] = {
    LoanStatus.BOARDING: (LoanStatus.ACTIVE, LoanStatus.PAID_OFF, LoanStatus.CHARGED_OFF),
    LoanStatus.ACTIVE: (LoanStatus.PAID_OFF, LoanStatus.CHARGED_OFF, LoanStatus.TRANSFERRED, LoanStatus.CANCELLED),
    LoanStatus.PAID_OFF: (LoanStatus.ACTIVE,),
    LoanStatus.CHARGED_OFF: (LoanStatus.ACTIVE, LoanStatus.PAID_OFF),
    LoanStatus.TRANSFERRED: (),
    LoanStatus.CANCELLED: (),
}


def check_transition(current: LoanStatus, target: LoanStatus) -> None:
    """Raises WrongState, naming the current status and what it may become, when `target` may not follow `current`."""
    allowed = ALLOWED[current]
    if target not in allowed:
        choices = ", ".join(allowed) or "nothing else"
        raise WrongState(
            f"A loan that is {current} cannot become {target}; it can become {choices}.",
            state=str(current),
            allowed=[str(status) for status in allowed],
        )
