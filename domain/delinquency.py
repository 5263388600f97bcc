"""How late a loan is: days past due and the bucket they fall in.

Fees alone make no delinquency: only principal and interest count.
"""

from __future__ import annotations

from datetime import date
from typing import Final

BUCKETS: Final[tuple[tuple[int, str], ...]] = (
    (120, "dpd_120_plus"),
    (90, "dpd_90_119"),
    (60, "dpd_60_89"),
    (30, "dpd_30_59"),
    (1, "dpd_1_29"),
    (0, "current"),
)
"""Lowest days past due and name of each bucket, worst first."""


def dpd(as_of: date, oldest_unpaid_due_date: date | None) -> int:
    """Days past due at the close of `as_of`: 0 on the due date itself, 1 the day after; 0 when nothing is unpaid."""
    if oldest_unpaid_due_date is None:
        return 0
    return max(0, (as_of - oldest_unpaid_due_date).days)


def bucket(days_past_due: int) -> str:
    """The delinquency bucket of a number of days past due. Raises ValueError for a negative number."""
    for lowest, name in BUCKETS:
        if days_past_due >= lowest:
            return name
    raise ValueError(f"days past due cannot be {days_past_due}")
