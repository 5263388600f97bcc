"""Interest earned month by month, in closed form: never a loop over days.

What is posted are differences of the rounded cumulative, so nothing drifts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from domain.loan import LoanStatus
from domain.program import ChargeOffInterest
from domain.recovery import earned_since_begin
from domain.working import Book

_ONE_DAY: Final = timedelta(days=1)


def earned(book: Book, on: date) -> int:
    """Interest (minor units) earned at the close of `on` since the loan began, as the book stands.

    Includes what was earned before boarding and brought in unpaid. A loan that is paid off has earned what was settled of
    it; a charged-off one what it had earned then, and where the program lets interest go on, what it has borne since.
    `on` must not be before the day the book has reached.
    """
    match book.status:
        case LoanStatus.ACTIVE:
            return book.method.earned(book, on)
        case LoanStatus.PAID_OFF:
            return book.interest_paid
        case LoanStatus.CHARGED_OFF:
            return earned_since_begin(book, on)
        case _:
            return book.brought_interest


@dataclass(slots=True)
class MonthlyAccruals:
    """Collects the interest earned month by month while a replay goes forward.

    `months`: own, 1110 / 4000. `memo`: while the loan is on non-accrual, 9110 / 9900. `charged_off`: while it is charged
    off, 9100 / 9900. By the first day of the month, in minor units.
    """

    months: dict[date, int] = field(default_factory=dict)
    memo: dict[date, int] = field(default_factory=dict)
    charged_off: dict[date, int] = field(default_factory=dict)
    _month: date | None = None
    _following: date = date.max
    _through: int = 0

    def open(self, book: Book, on: date) -> None:
        """Start counting on the day the loan begins; what was earned before boarding is not ours."""
        self._begin(on)
        self._through = book.brought_interest

    def pass_months(self, book: Book, day: date) -> None:
        """Close every month that ends before `day`, before anything of `day` happens to the book."""
        while self._month is not None and day >= self._following:
            self._close(book, self._month, self._following - _ONE_DAY)
            self._begin(self._following if _earns(book) else day)

    def settle(self, book: Book, on: date) -> None:
        """Close the month up to the close of `on`: what is earned from then on may be of another kind."""
        self.pass_months(book, on)
        if self._month is not None:
            self._close(book, self._month, on)

    def brought_back(self, interest: int) -> None:
        """`interest` minor units count as earned from now on that were earned, and paid, before."""
        self._through += interest

    def _begin(self, day: date) -> None:
        """The month of `day` is the one that is open."""
        year, month = day.year, day.month
        self._month = date(year, month, 1)
        self._following = date(year + month // 12, month % 12 + 1, 1)

    def _close(self, book: Book, month: date, on: date) -> None:
        total = earned(book, on)
        if total != self._through:
            kind = self._kind(book)
            kind[month] = kind.get(month, 0) + total - self._through
            self._through = total

    def _kind(self, book: Book) -> dict[date, int]:
        if book.status is LoanStatus.CHARGED_OFF:
            return self.charged_off
        return self.memo if book.non_accrual else self.months


def _earns(book: Book) -> bool:
    """Whether months to come may earn something: otherwise there is no need to visit every one of them."""
    if book.status is LoanStatus.ACTIVE:
        return True
    return book.status is LoanStatus.CHARGED_OFF and book.terms.program.charge_off_interest is ChargeOffInterest.CONTINUE
