"""How late a loan is: days past due and the bucket they fall in, now and in its history.

Fees alone make no delinquency: only principal and interest count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from domain.loan import LoanStatus
from domain.working import Book

BUCKETS: Final[tuple[tuple[int, str], ...]] = (
    (120, "dpd_120_plus"),
    (90, "dpd_90_119"),
    (60, "dpd_60_89"),
    (30, "dpd_30_59"),
    (1, "dpd_1_29"),
    (0, "current"),
)
"""Lowest days past due and name of each bucket, worst first."""

_ONE_DAY: Final = timedelta(days=1)


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


def oldest_unpaid_due_date(book: Book) -> date | None:
    """The due date, passed or to come, of the first instalment of an open loan of which more principal and interest is
    unpaid than the program tolerates; None when there is none."""
    tolerance = book.terms.program.delinquency_tolerance
    rows = book.rows
    for index in range(book.first_open, len(rows)):
        if rows[index].unpaid > tolerance:
            return rows[index].due_date
    return None


@dataclass(slots=True)
class DelinquencyHistory:
    """On which closes of day a loan was past due, up to and with `through`: counted from one change to the next, never day
    by day. `times`: how often it began."""

    through: date
    first: date | None = None
    times: int = 0
    days: int = 0
    last_current: date | None = None
    delinquent: bool = False

    def see(self, book: Book, through: date) -> None:
        """Count the closes up to `through`, as the book stands. A loan that is paid off is not past due; one that is charged
        off, or otherwise gone, is not counted."""
        if book.status is LoanStatus.ACTIVE:
            self.count(oldest_unpaid_due_date(book), through)
        elif book.status is LoanStatus.PAID_OFF:
            self.count(None, through)

    def count(self, oldest_due: date | None, through: date) -> None:
        """Count the closes after those counted up to `through`, in which `oldest_due` was the oldest unpaid due date."""
        counted = self.through
        if through <= counted:
            return
        self.through = through
        current = through if oldest_due is None else min(oldest_due, through)
        if current > counted:
            self.delinquent, self.last_current = False, current
        else:
            current = counted
        if current == through:
            return
        if not self.delinquent:
            self.times += 1
            self.first = self.first or current + _ONE_DAY
        self.delinquent = True
        self.days += (through - current).days
