"""Fees that are derived: late fees, one per instalment and never pyramided, and the program's instalment fees.

Those that are charged are in domain/charges.py.
"""

from __future__ import annotations

from datetime import date, timedelta

from domain.loan import PENALTIES, FeeKind, LoanStatus
from domain.program import Component, LateFeeKind, Program
from domain.rounding import round_minor
from domain.working import Book, OpenFee, OpenRow


def component_of(program: Program, kind: FeeKind) -> Component:
    """What a fee counts as in the program's waterfall: late and NSF fees are penalties where it names these."""
    return Component.PENALTIES if kind in PENALTIES and Component.PENALTIES in program.allocation_order else Component.FEES


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


def assess_late_fees(book: Book, through: date) -> None:
    """Assess the late fees that arise at the opening of any day up to `through`, to which the rows are brought. The fold
    opens the day of every instalment that may be unpaid: only of those that are paid it goes past it.

    An instalment not fully paid (principal and interest) when its grace has run out bears one at the opening of
    due date + grace days + 1. One whose grace ran out before boarding is the prior servicer's matter.
    """
    program, rows, wait = book.terms.program, book.rows, book.late_fee_wait
    if wait is None or book.opened_on is None or book.status is not LoanStatus.ACTIVE:
        return
    while book.fee_row < len(rows):
        row = rows[book.fee_row]
        day = row.due_date + wait
        if day > through:
            break
        excused = day < book.opened_on or _is_excused(book, book.fee_row, day)
        book.fee_row += 1
        amount = 0 if excused else late_fee_amount(program, row.principal + row.interest)
        if amount:
            book.add_fee(OpenFee(f"late_fee:{row.due_date.isoformat()}", row.number, row.due_date, day, amount))


def next_late_fee_day(book: Book) -> date | None:
    """The day at whose opening the next instalment that may be unpaid bears a late fee; None when none can."""
    index = max(book.fee_row, book.first_open)
    if book.late_fee_wait is None or index >= len(book.rows):
        return None
    return book.rows[index].due_date + book.late_fee_wait


def skip_fees(book: Book, through: date) -> None:
    """Nothing was owed while fees could have arisen up to `through`: none of those arises later."""
    wait = timedelta(days=book.terms.program.grace_days + 1)
    while book.fee_row < len(book.rows) and book.rows[book.fee_row].due_date + wait <= through:
        book.fee_row += 1
    book.own_fee_numbers.update(row.number for row in book.rows if row.due_date <= through)


def assess_instalment_fees(book: Book, through: date) -> None:
    """Assess the fees of the instalments due up to `through` that were not paid earlier, each at the opening of its due
    date. Instalments due before the loan was boarded bore theirs to the prior servicer."""
    if not book.terms.program.instalment_fee or book.status is not LoanStatus.ACTIVE or book.opened_on is None:
        return
    for row in book.rows[book.first_open :]:
        if row.due_date > through:
            break
        if row.due_date >= book.opened_on and has_own_fee(book, row):
            assess_instalment_fee(book, row, row.due_date)


def assess_instalment_fee(book: Book, row: OpenRow, on: date) -> OpenFee:
    """Assess the program's fee of an instalment that has not borne it yet, and return it."""
    book.own_fee_numbers.add(row.number)
    amount = book.terms.program.instalment_fee
    key = f"{FeeKind.INSTALMENT}:{row.due_date.isoformat()}"
    fee = OpenFee(key, row.number, row.due_date, on, amount, kind=FeeKind.INSTALMENT)
    book.add_fee(fee)
    return fee


def has_own_fee(book: Book, row: OpenRow) -> bool:
    """Whether an instalment bears a fee of the program that is not assessed yet. One that was deferred bears none."""
    return book.terms.program.instalment_fee > 0 and not row.deferred and row.number not in book.own_fee_numbers


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
