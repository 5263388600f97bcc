"""The second person: above a lender's limit, what one asks for another decides."""

from __future__ import annotations

from uuid import UUID

from domain.errors import Forbidden


def needs_second_person(amount: int, limit: int | None) -> bool:
    """Whether `amount` is above the lender's `limit`; both in minor units, no limit is None."""
    return limit is not None and amount > limit


def check_second_person(asked_by: UUID | None, decides: UUID | None) -> None:
    """Raises Forbidden for a decision by whoever asked, or by nobody in particular."""
    if decides is None or decides == asked_by:
        raise Forbidden(
            "Above the approval limit a second person decides, a loan officer or above: not the one who asked for it.",
            code="second_person_needed",
        )
