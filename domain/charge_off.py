"""Charge-off, and money that is taken back from the lender: chargebacks. Recoveries: domain/recovery.py."""

from __future__ import annotations

from datetime import date

from domain import posting
from domain.accrual import earned
from domain.allocation import allocated
from domain.charges import check_positive
from domain.chart import Account
from domain.errors import InvalidInput, WrongState
from domain.events import Chargeback, ChargedOff
from domain.fees import skip_fees
from domain.fold import Fold
from domain.loan import Allocation, AllocationLine, LoanStatus
from domain.money import format_amount
from domain.program import Component
from domain.recovery import bear
from domain.working import Book, ChargeOff


def charged_off(fold: Fold, body: ChargedOff, on: date) -> None:
    """The loan is charged off at the close of what has happened on `on`: what is owed becomes memo.

    Raises WrongState unless the loan is active.
    """
    fold.pass_to(on)
    book = fold.book
    if book.status is not LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {book.status} on {on}: only an active loan is charged off.",
            state=str(book.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    fold.accruals.settle(book, on)
    total = earned(book, on)
    interest = total - book.interest_paid
    entry = posting.charge_off(book.principal_balance, interest, book.open_fees, on, non_accrual=book.non_accrual)
    fold.entries.append(entry)
    book.method.charge_off(book, on)
    book.charge_off = ChargeOff(on, book.principal_balance, total, bearing_from=on)
    book.status, book.non_accrual = LoanStatus.CHARGED_OFF, False


def chargeback(fold: Fold, body: Chargeback, on: date) -> None:
    """What a payment paid is owed again, in the program's chargeback order and no more of each component than it paid;
    what is left comes from unapplied funds as far as the payment left some there, and then is principal.

    Fees are owed again as they were, principal and interest with the current instalment. A loan that was paid off is
    active again, or charged off again. Raises InvalidInput for no such payment by then, a chargeback id twice, an amount
    that is not positive or more than is left of the payment.
    """
    fold.pass_to(on)
    check_positive(body.amount)
    if body.payment_id not in fold.allocations:
        raise InvalidInput.at("/payment_id", f"{body.payment_id} is no payment of this loan received by {on}")
    if body.chargeback_id in fold.chargebacks:
        raise InvalidInput.at("/chargeback_id", f"{body.chargeback_id} is a chargeback already")
    paid = fold.allocations[body.payment_id]
    before = [back for back in fold.chargebacks.values() if back.payment_id == body.payment_id]
    left = paid.amount - sum(back.amount for back in before)
    if body.amount > left:
        raise InvalidInput.at("/amount", f"must be at most {format_amount(left)}, what is left of the payment")
    book = fold.book
    fold.accruals.settle(book, on)
    back = _what_comes_back(book, paid, before, body.amount, on)
    fold.chargebacks[body.chargeback_id] = back
    source = Account.CASH if body.payment_id in fold.settled else Account.CLEARING
    charged = book.charge_off is not None
    entry = posting.chargeback(body.chargeback_id, back, source, charged_off=charged, non_accrual=book.non_accrual)
    fold.entries.append(entry)
    _owe_again(fold, back, on)


def _what_comes_back(book: Book, paid: Allocation, before: list[Allocation], amount: int, on: date) -> Allocation:
    """The parts of a payment that a chargeback of `amount` minor units takes back; `before`: what earlier ones took."""
    lines: list[AllocationLine] = []
    rest = amount

    def take(component: Component, most: int, fee_line: AllocationLine | None = None) -> None:
        nonlocal rest
        part = min(rest, max(0, most))
        rest -= part
        if part:
            number, key = (fee_line.instalment_number, fee_line.fee_key) if fee_line else (None, None)
            lines.append(AllocationLine(component, part, number, key))

    for component in book.terms.program.chargeback_order:
        match component:
            case Component.INTEREST:
                take(component, paid.interest - sum(back.interest for back in before))
            case Component.PRINCIPAL:
                take(component, paid.principal - sum(back.principal for back in before))
            case _:
                for line in paid.lines:
                    if line.component is component:
                        taken = [each.amount for back in before for each in back.lines if each.fee_key == line.fee_key]
                        take(component, line.amount - sum(taken), line)
    due = min(rest, paid.due_from_borrower - sum(back.due_from_borrower for back in before))
    rest -= due
    unapplied = max(0, min(rest, paid.unapplied - sum(back.unapplied for back in before), book.unapplied))
    rest -= unapplied
    take(Component.PRINCIPAL, rest)
    return allocated(paid.payment_id, on, unapplied, lines, due, paid.recovery)


def _owe_again(fold: Fold, back: Allocation, on: date) -> None:
    book = fold.book
    book.unapplied -= back.unapplied
    book.due_from_borrower += back.due_from_borrower
    if not back.lines:
        return
    for line in back.lines:
        if line.fee_key is not None:
            book.reopen_fee(next(fee for fee in book.fees if fee.key == line.fee_key), line.amount)
    charge_off = book.charge_off
    book.paid_off_on = None
    fold.accruals.brought_back(back.interest)
    if charge_off is None:
        if book.status is LoanStatus.PAID_OFF:
            skip_fees(book, on)
        book.method.chargeback(book, back.principal, back.interest, on)
        book.status = LoanStatus.ACTIVE
        return
    bear(book, on)
    book.status = LoanStatus.CHARGED_OFF
    book.principal_balance += back.principal
    charge_off.earned += back.interest
    if back.recovery:
        charge_off.recovered -= back.principal + back.interest + back.fees
