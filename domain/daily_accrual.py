"""The interest a loan accrues day by day between payments: exact, and rounded where money takes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from domain.daily_interest import NOTHING, Ratio, accrued, borne
from domain.daily_rows import due_rows, unpaid_principal
from domain.rounding import round_ratio
from domain.working import Book


@dataclass(slots=True)
class Accrual:
    """`accrued`: interest (minor units, exact) borne up to `through` since all of it was last taken; `settled`: the
    rounded interest until then."""

    accrued: Ratio = NOTHING
    settled: int = 0
    through: date = date.min

    def on(self, book: Book, day: date) -> Ratio:
        """`accrued` as it will be at the close of `day` when nothing is paid and nothing falls due until then."""
        if day <= self.through:
            return self.accrued
        return accrued(self.accrued, bearing(book), bears(book, self.through, day))

    def reach(self, book: Book, day: date) -> None:
        """Go forward to `day`: what follows changes the principal, or the interest owed."""
        if day > self.through:
            self.accrued, self.through = self.on(book, day), day

    def earned(self, book: Book, interest: Ratio) -> int:
        """Interest earned since the loan began, `interest` being what is accrued."""
        return self.settled + round_ratio(*interest, book.terms.program.rounding)

    def owed(self, book: Book, interest: Ratio) -> int:
        """Interest earned and unpaid, `interest` being what is accrued."""
        return self.earned(book, interest) - book.interest_paid

    def drop_remainder(self, book: Book) -> None:
        """The rounding point: a new count begins with the rounded interest of this one."""
        self.settled, self.accrued = self.earned(book, self.accrued), NOTHING


def bearing(book: Book) -> int:
    """The principal that bears interest: all that is unpaid, or where the program says so, less what is past due of it."""
    if book.terms.program.past_due_interest:
        return book.principal_balance
    return book.principal_balance - unpaid_principal(due_rows(book))


def bears(book: Book, start: date, end: date) -> Ratio:
    """The part of a principal that the days from `start` to `end` bear."""
    return borne(book.terms.program.day_count, book.rates, book.plan, start, end)


def per_diem(book: Book, on: date) -> Fraction:
    """Minor units, unrounded, that the day after `on` bears."""
    part, whole = bears(book, on, on + timedelta(days=1))
    return Fraction(bearing(book) * part, whole)
