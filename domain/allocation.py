"""Where the money of a payment goes: the waterfall, extra money, payoff.

Money pays what is due in the program's order, then the rest of the current instalment, and only then is extra. A part
of the working state is paid by a claim; the same code serves payments, previews and payoffs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from domain.loan import Allocation, AllocationLine, LoanStatus
from domain.payoff import PayoffQuote, payoff_on
from domain.program import AllocationScope, Component, ExtraMoney
from domain.working import Book, OpenFee, OpenRow, curtail


class Claim(NamedTuple):
    """Something money can pay: a component of an instalment, or a fee."""

    component: Component
    target: OpenRow | OpenFee
    amount: int


def pay(book: Book, payment_id: str, amount: int, on: date) -> Allocation:
    """Apply `amount` minor units received on `on` to the book and say where they went.

    At least the payoff amount pays the loan off; less goes down the waterfall, then where the program sends extra
    money. What is left is unapplied, as is everything when the loan is not active.
    """
    book.total_paid += amount
    book.last_payment_date, book.last_payment_amount = on, amount
    lines: list[AllocationLine] = []
    rest = amount
    if book.status is LoanStatus.ACTIVE:
        book.reach(on)
        quote = _payoff(book, on)
        if amount >= quote.total:
            rest = _pay_off(book, quote, rest, on, lines)
        else:
            rest = _pay_claims(book, _due(book, book.rows[book.first_open : book.current]), rest, on, lines)
            if rest and book.current < len(book.rows):
                rest = _pay_claims(book, _by_instalment(book, [book.rows[book.current]], []), rest, on, lines)
                rest = _extra(book, rest, on, lines)
            if not book.principal_balance and not _payoff(book, on).total:
                _close(book, on)
    book.unapplied += rest
    return _allocation(payment_id, on, rest, lines)


def _payoff(book: Book, on: date) -> PayoffQuote:
    periods = book.rows[min(book.first_open, book.current) :]
    return payoff_on(book.terms, periods, book.principal_balance, book.fees_balance, on)


def _pay_off(book: Book, quote: PayoffQuote, rest: int, on: date, lines: list[AllocationLine]) -> int:
    """Everything is paid. Interest not yet earned is cut from the open instalments; what was paid of it comes back and
    pays principal. The rest of the instalments is due today."""
    due_interest = sum(row.interest - row.interest_paid for row in book.rows[book.first_open : book.current])
    current, later = book.rows[book.current : book.current + 1], book.rows[book.current + 1 :]
    owed = quote.interest - due_interest
    for row in later:
        owed += row.interest_paid
        rest += _give_back(book, row, row.interest_paid, lines)
    for row in current:
        rest += _give_back(book, row, max(0, -owed), lines)
        row.interest = row.interest_paid + max(0, owed)
    rest = _pay_claims(book, _due(book, book.rows[book.first_open :]), rest, on, lines)
    _close(book, on)
    return rest


def _give_back(book: Book, row: OpenRow, amount: int, lines: list[AllocationLine]) -> int:
    """Take unearned interest back from an instalment; returns it."""
    if amount:
        book.interest_paid -= amount
        row.interest_paid -= amount
        lines.append(AllocationLine(Component.INTEREST, -amount, row.number))
    row.interest = row.interest_paid
    return amount


def _close(book: Book, on: date) -> None:
    # all rows: cutting its interest can complete one before anything is paid of it
    for row in book.rows:
        row.interest = row.interest_paid
        row.paid_on = row.paid_on or on
    book.status, book.paid_off_on = LoanStatus.PAID_OFF, on


def _extra(book: Book, rest: int, on: date, lines: list[AllocationLine]) -> int:
    """Money beyond what is due and the current instalment, as the program says; returns what stays unapplied.

    advance_due pays the following instalments, each with its interest before the next one is begun; the last one
    reached may be paid in part.
    """
    later = book.rows[book.current + 1 :]
    if not rest or not later:
        return rest
    match book.terms.program.extra_money:
        case ExtraMoney.PRINCIPAL_ONLY:
            amount = min(rest, sum(row.principal - row.principal_paid for row in later))
            curtail(book, amount)
            lines.append(AllocationLine(Component.PRINCIPAL, amount))
            return rest - amount
        case ExtraMoney.ADVANCE_DUE:
            return _pay_claims(book, _by_instalment(book, later, []), rest, on, lines)


def _due(book: Book, rows: list[OpenRow]) -> Iterator[Claim]:
    """Claims of the instalments in `rows` (oldest first) and of all unpaid fees, in the program's order and scope."""
    fees = [fee for fee in book.fees if fee.paid < fee.amount] if book.fees_balance else []
    if book.terms.program.allocation_scope is AllocationScope.INSTALMENT:
        yield from _by_instalment(book, rows, fees)
        return
    for component in book.terms.program.allocation_order:
        yield from _claims(component, rows, fees)


def _by_instalment(book: Book, rows: list[OpenRow], fees: list[OpenFee]) -> Iterator[Claim]:
    """Each instalment's components in order, oldest first. A fee belongs to the instalment that caused it, also when
    that is paid."""
    by_number: dict[int, tuple[list[OpenRow], list[OpenFee]]] = {}
    for row in rows:
        by_number.setdefault(row.number, ([], []))[0].append(row)
    for fee in fees:
        by_number.setdefault(fee.instalment_number, ([], []))[1].append(fee)
    for _, (own_rows, own_fees) in sorted(by_number.items()):
        for component in book.terms.program.allocation_order:
            yield from _claims(component, own_rows, own_fees)


def _claims(component: Component, rows: list[OpenRow], fees: list[OpenFee]) -> Iterator[Claim]:
    match component:
        case Component.FEES:
            for fee in fees:
                yield Claim(component, fee, fee.amount - fee.paid)
        case Component.INTEREST:
            for row in rows:
                yield Claim(component, row, row.interest - row.interest_paid)
        case Component.PRINCIPAL:
            for row in rows:
                yield Claim(component, row, row.principal - row.principal_paid)


def _pay_claims(book: Book, claims: Iterator[Claim], rest: int, on: date, lines: list[AllocationLine]) -> int:
    """Pay the claims in their order as far as `rest` goes; returns what is left."""
    for component, target, wanted in claims:
        if not rest:
            break
        amount = min(rest, wanted)
        if not amount:
            continue
        rest -= amount
        if isinstance(target, OpenFee):
            target.paid += amount
            book.fees_balance -= amount
            book.fee_money.append((on, amount))
            lines.append(AllocationLine(component, amount, target.instalment_number, target.key))
            continue
        if component is Component.INTEREST:
            target.interest_paid += amount
            book.interest_paid += amount
        else:
            target.principal_paid += amount
            book.principal_balance -= amount
        if not target.unpaid:
            target.paid_on = on
        lines.append(AllocationLine(component, amount, target.number))
    rows = book.rows
    while book.first_open < len(rows) and not rows[book.first_open].unpaid:
        book.first_open += 1
    return rest


def _allocation(payment_id: str, on: date, unapplied: int, lines: list[AllocationLine]) -> Allocation:
    totals = dict.fromkeys(Component, 0)
    for line in lines:
        totals[line.component] += line.amount
    return Allocation(
        payment_id=payment_id,
        effective_date=on,
        fees=totals[Component.FEES],
        interest=totals[Component.INTEREST],
        principal=totals[Component.PRINCIPAL],
        unapplied=unapplied,
        lines=tuple(lines),
    )
