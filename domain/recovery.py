"""A loan after its charge-off: all that is owed is memo, interest stops or goes on, and money received is recovered."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from domain.daycount import year_fraction
from domain.fees import component_of
from domain.loan import AllocationLine, LoanStatus
from domain.program import ChargeOffInterest, Component
from domain.rounding import round_minor
from domain.working import Book, ChargeOff


def earned_since_begin(book: Book, on: date) -> int:
    """Interest (minor units) a charged-off loan has earned by the close of `on`: what it had earned at its charge-off, and
    where the program lets interest go on, what its principal has borne since by the program's day count."""
    charge_off = _of(book)
    return charge_off.earned + round_minor(charge_off.borne + _borne(book, charge_off, on), book.terms.program.rounding)


def recover(book: Book, amount: int, on: date, lines: list[AllocationLine]) -> int:
    """Money received for a charged-off loan pays the principal, then the interest, then the fees, oldest first.

    `lines` get where it went. When nothing is owed any more the loan is paid off. Returns what is left over.
    """
    charge_off = _of(book)
    bear(book, on)
    rest = amount
    principal = min(rest, book.principal_balance)
    if principal:
        book.principal_balance -= principal
        lines.append(AllocationLine(Component.PRINCIPAL, principal))
    rest -= principal
    interest = min(rest, earned_since_begin(book, on) - book.interest_paid)
    if interest:
        book.interest_paid += interest
        lines.append(AllocationLine(Component.INTEREST, interest))
    rest -= interest
    for fee in list(book.open_fees):
        if not rest:
            break
        part = min(rest, fee.amount - fee.paid)
        book.settle_fee(fee, part, on)
        rest -= part
        lines.append(AllocationLine(component_of(book.terms.program, fee.kind), part, fee.instalment_number, fee.key))
    charge_off.recovered += amount - rest
    close_if_settled(book, on)
    return rest


def bear(book: Book, on: date) -> None:
    """Fix the interest borne by the close of `on`, because the principal changes that day."""
    charge_off = _of(book)
    charge_off.borne += _borne(book, charge_off, on)
    charge_off.bearing_from = max(charge_off.bearing_from, on)


def close_if_settled(book: Book, on: date) -> None:
    """A charged-off loan of which nothing is owed any more is paid off."""
    if not (book.principal_balance or book.fees_balance or earned_since_begin(book, on) > book.interest_paid):
        book.status, book.paid_off_on = LoanStatus.PAID_OFF, on


def _borne(book: Book, charge_off: ChargeOff, on: date) -> Fraction:
    program = book.terms.program
    total = Fraction(0)
    if program.charge_off_interest is ChargeOffInterest.CONTINUE:
        for start, end, rate in book.rates.segments(charge_off.bearing_from, on):
            total += book.principal_balance * rate * year_fraction(program.day_count, start, end)
    return total


def _of(book: Book) -> ChargeOff:
    if book.charge_off is None:
        raise ValueError("the loan is not charged off")
    return book.charge_off
