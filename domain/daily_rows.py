"""The instalments of a loan whose interest accrues daily: what they pay, and how it splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from domain.allocation import Claim
from domain.daily_interest import NOTHING, Due, Ratio
from domain.program import Component
from domain.rounding import round_minor
from domain.working import Book, OpenRow


@dataclass(slots=True)
class Payments:
    """What instalments pay, by their numbers, in minor units. `paid_up`: what those took that were paid in full before
    their due date; `added`: what was charged back to them."""

    paid_up: dict[int, int] = field(default_factory=dict)
    added: dict[int, int] = field(default_factory=dict)

    def add(self, number: int, amount: int) -> None:
        """Charge `amount` back to an instalment."""
        self.added[number] = self.added.get(number, 0) + amount

    def note_paid_up(self, row: OpenRow) -> None:
        """Money has been paid to an instalment not due yet: is it paid in full?"""
        paid = row.principal_paid + row.interest_paid
        if paid and not row.unpaid:
            self.paid_up[row.number] = paid

    def unpaid(self, book: Book, row: OpenRow, interest: Ratio, owed: int) -> int:
        """What is unpaid of an instalment not due before: `interest` is accrued at its due date, of which `owed` is not
        older instalments'."""
        due = self.due(book, row.number, interest)
        paid = row.principal_paid + row.interest_paid
        return max(0, due.payment - paid) + (owed if due.plus_interest else 0)

    def due(self, book: Book, number: int, interest: Ratio, period: Ratio = NOTHING) -> Due:
        """What an instalment pays, whatever was paid of it; `interest`: see `unpaid`. `period`: what its days bear."""
        plan, added = book.plan, self.added.get(number, 0)
        day, interest_only = plan.due_dates[number - 1], False
        if number in self.paid_up:
            amount = self.paid_up[number]
        elif number <= plan.shape.interest_only and number not in plan.stated:
            amount, interest_only = 0, True
        else:
            amount = plan.payment(number)
            if number == 1 and plan.shape.deferred and number not in plan.stated:
                whole = Fraction(*interest)
                regular = whole * (1 - plan.shape.deferred)
                amount += round_minor(whole, book.terms.program.rounding) - round_minor(regular, book.terms.program.rounding)
        return Due(number, day, period, amount + added, interest_only)


def due_rows(book: Book) -> list[OpenRow]:
    """The instalments due that may not be paid."""
    return book.rows[min(book.first_open, book.current) : book.current]


def unpaid_principal(rows: list[OpenRow]) -> int:
    return sum(row.principal - row.principal_paid for row in rows)


def split(row: OpenRow, unpaid: int, interest: int) -> None:
    """Make what is unpaid of an instalment `unpaid` minor units, of which `interest` is interest."""
    row.interest = row.interest_paid + interest
    row.principal = row.principal_paid + unpaid - interest


def note_complete(book: Book, row: OpenRow) -> None:
    """An instalment can become complete without money, because less is left to pay, and be open again for the reverse."""
    if row.unpaid:
        row.paid_on = None
    elif row.principal_paid or row.interest_paid:
        row.paid_on = row.paid_on or book.last_payment_date


def all_claims(rows: Iterable[OpenRow]) -> Iterator[Claim]:
    """All that is unpaid of instalments, each one's interest first."""
    for row in rows:
        if row.interest > row.interest_paid:
            yield Component.INTEREST, row, row.interest - row.interest_paid
        if row.principal > row.principal_paid:
            yield Component.PRINCIPAL, row, row.principal - row.principal_paid
