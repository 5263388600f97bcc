"""Interest earned, in closed form: never a loop over days.

A period earns its interest by elapsed days of its actual days, and never less than was paid of it, so accrued interest
(1110) is never negative. What is posted are differences of the rounded cumulative, so nothing drifts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from domain.calendars import last_of_month
from domain.loan import LoanStatus
from domain.payoff import accrued_in_period, paid_ahead
from domain.working import Book


def earned(book: Book, on: date) -> int:
    """Interest (minor units) earned at the close of `on` since the loan began, as the book stands.

    Includes what was earned before boarding and brought in unpaid. A loan that is paid off has earned what it was
    paid; a charged-off one earns nothing more. `on` must not be before the day the book has reached.
    """
    match book.status:
        case LoanStatus.ACTIVE:
            pass
        case LoanStatus.PAID_OFF:
            return book.interest_paid
        case _:
            return book.brought_interest
    book.reach(on)
    total = book.closed_interest
    if book.current < len(book.rows):
        row = book.rows[book.current]
        total += max(accrued_in_period(row, on, book.terms.program.rounding), row.interest_paid)
        total += paid_ahead(book.rows[book.current + 1 :])
    return total


@dataclass(slots=True)
class MonthlyAccruals:
    """Collects the interest earned month by month while a replay goes forward."""

    months: dict[date, int] = field(default_factory=dict)
    _month: date | None = None
    _through: int = 0

    def open(self, book: Book, on: date) -> None:
        """Start counting on the day the loan begins; what was earned before boarding is not ours."""
        self._month = on.replace(day=1)
        self._through = book.brought_interest

    def pass_months(self, book: Book, day: date) -> None:
        """Close every month that ends before `day`, before anything of `day` happens to the book."""
        month = self._month
        while month is not None and (month.year, month.month) < (day.year, day.month):
            last = last_of_month(month)
            self._close(book, month, last)
            # nothing is earned any more once the loan is not active: no need to visit every month after it
            month = last + timedelta(days=1) if book.status is LoanStatus.ACTIVE else day.replace(day=1)
        self._month = month

    def finish(self, book: Book, as_of: date) -> None:
        """Close the last, partial month at `as_of`."""
        self.pass_months(book, as_of)
        if self._month is not None:
            self._close(book, self._month, as_of)

    def _close(self, book: Book, month: date, on: date) -> None:
        total = earned(book, on)
        if total != self._through:
            self.months[month] = self.months.get(month, 0) + total - self._through
            self._through = total
