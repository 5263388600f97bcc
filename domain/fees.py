"""Late fees: derived, one per instalment, never pyramided."""

from __future__ import annotations

from datetime import date, timedelta

from domain.loan import LoanStatus
from domain.program import LateFeeKind, Program
from domain.rounding import round_minor
from domain.working import Book, OpenFee


def late_fee_amount(program: Program, payment: int) -> int:
    """The late fee in minor units for an instalment whose scheduled payment is `payment`.

    Flat, percent of the payment (rounded), or the greater or lesser of the two; at most the cap.
    """
    fee = program.late_fee
    percent = round_minor(payment * fee.percent, program.rounding)
    match fee.kind:
        case LateFeeKind.NONE:
            return 0
        case LateFeeKind.FLAT:
            amount = fee.flat
        case LateFeeKind.PERCENT:
            amount = percent
        case LateFeeKind.GREATER:
            amount = max(fee.flat, percent)
        case LateFeeKind.LESSER:
            amount = min(fee.flat, percent)
    return amount if fee.cap is None else min(amount, fee.cap)


def assess_late_fees(book: Book, through: date) -> list[OpenFee]:
    """Assess the fees that arise at the opening of any day up to `through`, and return them.

    An instalment not fully paid (principal and interest) when its grace has run out bears one at the opening of
    due date + grace days + 1. One whose grace ran out before boarding is the prior servicer's matter.
    """
    new: list[OpenFee] = []
    program = book.terms.program
    if program.late_fee.kind is LateFeeKind.NONE or book.opened_on is None:
        return new
    wait = timedelta(days=program.grace_days + 1)
    while book.status is LoanStatus.ACTIVE and book.fee_row < len(book.rows):
        row = book.rows[book.fee_row]
        day = row.due_date + wait
        if day > through:
            break
        excused = day < book.opened_on or _is_excused(book, book.fee_row, day)
        book.fee_row += 1
        amount = late_fee_amount(program, row.principal + row.interest)
        if excused or not amount:
            continue
        fee = OpenFee(f"late_fee:{row.due_date.isoformat()}", row.number, row.due_date, day, amount)
        book.fees.append(fee)
        book.fees_balance += amount
        new.append(fee)
    return new


def _is_excused(book: Book, index: int, day: date) -> bool:
    """Whether the instalment bears no fee: it is paid, or short only because earlier late fees took the money.

    Source: 16 CFR 444.4 (no fee on a payment otherwise in full where the only delinquency is an earlier late fee). Two
    ways to be excused: what is unpaid of it is no more than what payments since its period began spent on earlier
    fees; or all that is unpaid up to it is no more than the shortage so excused on the instalment before plus what has
    been spent on fees since. Without the second the shortage would bear its fee one month later.
    """
    row = book.rows[index]
    carried, checked_on = book.excused, book.fee_checked_on
    book.excused, book.fee_checked_on = 0, day
    if row.unpaid == 0:
        return True
    unpaid_through = sum(row.unpaid for row in book.rows[book.first_open : index + 1])
    in_period = _fee_money_since(book, row.period_start)
    carried += _fee_money_since(book, checked_on)
    if row.unpaid > in_period and unpaid_through > carried:
        return False
    book.excused = min(unpaid_through, max(in_period, carried))
    return True


def _fee_money_since(book: Book, day: date) -> int:
    total = 0
    for when, amount in reversed(book.fee_money):
        if when < day:
            break
        total += amount
    return total
