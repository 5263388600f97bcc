"""Fees that are charged, and what is waived of fees and interest."""

from __future__ import annotations

from datetime import date

from domain import posting
from domain.accrual import earned
from domain.chart import Account
from domain.errors import InvalidInput, WrongState
from domain.events import FeeCharged, Waived, WaiverTarget
from domain.fold import Fold
from domain.loan import FeeKind, LoanStatus
from domain.recovery import close_if_settled
from domain.working import Book, OpenFee


def fee_charged(fold: Fold, body: FeeCharged, on: date) -> None:
    """A fee is owed from the opening of `on`, with the instalment whose period holds that day.

    Raises WrongState unless the loan is active, InvalidInput for an amount that is not positive or a `fee_id` twice.
    """
    fold.pass_to(on)
    book = fold.book
    check_positive(body.amount)
    if book.status is not LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {book.status} on {on}: only an active loan is charged fees.",
            state=str(book.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    key = f"{body.kind}:{body.fee_id}"
    if any(fee.key == key for fee in book.fees):
        raise InvalidInput.at("/fee_id", f"{body.fee_id} is a fee already")
    row = next((row for row in book.rows if row.due_date >= on), book.rows[-1])
    book.add_fee(OpenFee(key, row.number, row.due_date, on, body.amount, kind=FeeKind(body.kind)))
    fold.post_fees()


def waived(fold: Fold, body: Waived, on: date) -> None:
    """The lender gives up what the waiver names, as far as it is unpaid; what is waived is in the fold's `waivers`.

    What a waiver leaves of a loan that owes no principal may be nothing: it is paid off then.
    Raises InvalidInput for an amount that is not positive, a waiver id twice, a fee waiver that names no fee, one
    of interest that names one.
    """
    fold.pass_to(on)
    if body.amount is not None:
        check_positive(body.amount)
    if body.waiver_id in fold.waivers:
        raise InvalidInput.at("/waiver_id", f"{body.waiver_id} is a waiver already")
    book = fold.book
    fold.accruals.settle(book, on)
    if body.target is WaiverTarget.FEE:
        amount, account = _waive_fee(book, body, on)
    elif body.fee_key is not None:
        raise InvalidInput.at("/fee_key", "names a fee, and interest is waived: leave it out")
    else:
        amount, account = _waive_interest(book, body.amount, on)
    fold.waivers[body.waiver_id] = amount
    if not amount:
        return
    if book.status is LoanStatus.CHARGED_OFF:
        account = Account.MEMO_CHARGED_OFF
        close_if_settled(book, on)
    elif not book.principal_balance and not book.method.payoff(book, on).total:
        book.method.pay(book, 0, on, [], book.terms.program.advance_order)
    fold.entries.append(posting.waiver(body.waiver_id, account, amount, on))
    fold.resume_accrual(on)


def check_positive(amount: int) -> None:
    """Raises InvalidInput at "/amount" for minor units that are not above 0."""
    if amount <= 0:
        raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")


def _waive_fee(book: Book, body: Waived, on: date) -> tuple[int, Account]:
    if body.fee_key is None:
        raise InvalidInput.at("/fee_key", "is needed: which fee is waived")
    fee = next((fee for fee in book.open_fees if fee.key == body.fee_key), None)
    if fee is None:
        return 0, Account.OTHER_FEES
    unpaid = fee.amount - fee.paid
    amount = unpaid if body.amount is None else min(body.amount, unpaid)
    fee.waived += amount
    book.settle_fee(fee, amount, on)
    return amount, posting.FEE_ACCOUNTS[fee.kind][0]


def _waive_interest(book: Book, wanted: int | None, on: date) -> tuple[int, Account]:
    unpaid = earned(book, on) - book.interest_paid
    amount = unpaid if wanted is None else min(wanted, unpaid)
    account = Account.MEMO_NON_ACCRUAL_INTEREST if book.non_accrual else Account.ACCRUED_INTEREST
    if not amount:
        return 0, account
    if book.status is LoanStatus.ACTIVE:
        return book.method.waive_interest(book, amount, on), account
    book.interest_paid += amount
    return amount, account
