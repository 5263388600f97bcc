"""Money kept for the borrower: unapplied funds that are applied or refunded, and the lender's reimbursements."""

from __future__ import annotations

from datetime import date

from domain import posting
from domain.charges import check_positive
from domain.errors import InvalidInput, WrongState
from domain.events import Refunded, RefundSent, Reimbursed, ReimbursementSent, UnappliedApplied
from domain.fold import Fold
from domain.journal import Entry
from domain.money import format_amount


class NotUnapplied(WrongState):
    """`body` was to take more from unapplied funds than there was: `missing` minor units more."""

    def __init__(self, body: Refunded | UnappliedApplied, on: date, amount: int, unapplied: int) -> None:
        what = f"The refund {body.refund_id}" if isinstance(body, Refunded) else f"The application {body.application_id}"
        super().__init__(
            f"{what} of {format_amount(amount)} on {on} takes more than the {format_amount(unapplied)} that is unapplied.",
            state=f"unapplied {format_amount(unapplied)}",
            allowed=[f"up to {format_amount(unapplied)}"],
            code="not_unapplied",
        )
        self.body = body
        self.missing = amount - unapplied


def unapplied_applied(fold: Fold, body: UnappliedApplied, on: date) -> None:
    """Unapplied funds go through the waterfall; what that leaves over stays unapplied.

    Raises NotUnapplied, and InvalidInput for an amount that is not positive or an application id twice.
    """
    fold.pass_to(on)
    check_positive(body.amount)
    if body.application_id in fold.applications:
        raise InvalidInput.at("/application_id", f"{body.application_id} is an application already")
    if body.amount > fold.book.unapplied:
        raise NotUnapplied(body, on, body.amount, fold.book.unapplied)
    fold.apply_unapplied(body.application_id, body.amount, on)


def refunded(fold: Fold, body: Refunded, on: date) -> None:
    """Unapplied funds become payable to the borrower; what was not the borrower's any more is due from them.

    Raises NotUnapplied, and InvalidInput for an amount that is not positive, a shortfall that is more, a refund id twice.
    """
    fold.pass_to(on)
    check_positive(body.amount)
    shortfall = body.shortfall or 0
    if not 0 <= shortfall <= body.amount:
        raise InvalidInput.at("/shortfall", f"must be from 0.00 to {format_amount(body.amount)}")
    own, book = body.amount - shortfall, fold.book
    if own > book.unapplied:
        raise NotUnapplied(body, on, own, book.unapplied)
    book.unapplied -= own
    book.set_aside = min(book.set_aside, book.unapplied)
    book.due_from_borrower += shortfall
    _owe(fold, posting.refund(body.refund_id, own, shortfall, on), body.amount, "/refund_id")


def refund_sent(fold: Fold, body: RefundSent, on: date) -> None:
    """A refund left the bank. Raises InvalidInput when it was not approved by then, or was sent already."""
    _send(fold, f"refund:{body.refund_id}", on, "/refund_id")


def reimbursed(fold: Fold, body: Reimbursed, on: date) -> None:
    """The lender owes the borrower money of its own. Raises InvalidInput for an amount that is not positive, an id twice."""
    fold.pass_to(on)
    check_positive(body.amount)
    _owe(fold, posting.reimbursement(body.reimbursement_id, body.amount, on), body.amount, "/reimbursement_id")


def reimbursement_sent(fold: Fold, body: ReimbursementSent, on: date) -> None:
    """A reimbursement left the bank. Raises InvalidInput when it was not approved by then, or was sent already."""
    _send(fold, f"reimbursement:{body.reimbursement_id}", on, "/reimbursement_id")


def _owe(fold: Fold, entry: Entry, amount: int, pointer: str) -> None:
    if entry.key in fold.payables:
        raise InvalidInput.at(pointer, f"{entry.key.partition(':')[2]} was approved already")
    fold.payables[entry.key] = amount
    fold.entries.append(entry)


def _send(fold: Fold, key: str, on: date, pointer: str) -> None:
    fold.pass_to(on)
    name = key.partition(":")[2]
    if key not in fold.payables:
        raise InvalidInput.at(pointer, f"{name} was not approved by {on}")
    if key in fold.sent:
        raise InvalidInput.at(pointer, f"{name} was sent already")
    fold.sent.add(key)
    fold.entries.append(posting.sent(key, fold.payables[key], on))
