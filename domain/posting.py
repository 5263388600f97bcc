"""What each event posts: the table of the books, as transfers. Accruals: domain.journal.accrual_corrections."""

from __future__ import annotations

from datetime import date

from domain.chart import Account
from domain.events import Boarded
from domain.journal import Entry, EntryKind, Transfer
from domain.loan import Allocation, LoanStatus


def disbursement(amount: int, on: date) -> Entry:
    """Principal paid out: 1100 / 1000."""
    return _entry("disbursed", EntryKind.DISBURSEMENT, on, [(Account.PRINCIPAL, Account.CASH, amount)])


def boarding(body: Boarded, on: date) -> Entry | None:
    """What was taken over: 1100, 1110, 1120 / 1990. Charged off: all that is owed is memo, 9100 / 9900.

    None when nothing was owed.
    """
    if body.status is LoanStatus.CHARGED_OFF:
        owed = body.principal + body.interest + body.late_fees
        moves = [(Account.MEMO_CHARGED_OFF, Account.MEMO_CONTRA, owed)]
    else:
        moves = [
            (Account.PRINCIPAL, Account.BOARDING_CLEARING, body.principal),
            (Account.ACCRUED_INTEREST, Account.BOARDING_CLEARING, body.interest),
            (Account.LATE_FEES, Account.BOARDING_CLEARING, body.late_fees),
        ]
    entry = _entry("boarded", EntryKind.BOARDING, on, moves)
    return entry if entry.transfers else None


def payment(allocation: Allocation) -> Entry:
    """Money received: 1010 / 1120 fees, 1110 interest, 1100 principal, 2000 what stays unapplied.

    Unearned interest that comes back at a payoff (negative interest) pays principal: 1110 / 1100.
    """
    returned = max(0, -allocation.interest)
    moves = [
        (Account.CLEARING, Account.LATE_FEES, allocation.fees),
        (Account.CLEARING, Account.ACCRUED_INTEREST, max(0, allocation.interest)),
        (Account.ACCRUED_INTEREST, Account.PRINCIPAL, returned),
        (Account.CLEARING, Account.PRINCIPAL, allocation.principal - returned),
        (Account.CLEARING, Account.UNAPPLIED, allocation.unapplied),
    ]
    key = f"payment:{allocation.payment_id}"
    return _entry(key, EntryKind.PAYMENT, allocation.effective_date, moves, payment_id=allocation.payment_id)


def settlement(payment_id: str, amount: int, on: date) -> Entry:
    """The bank settled a payment: 1000 / 1010."""
    moves = [(Account.CASH, Account.CLEARING, amount)]
    return _entry(f"settled:{payment_id}", EntryKind.SETTLEMENT, on, moves, payment_id=payment_id)


def late_fee(key: str, amount: int, on: date) -> Entry:
    """A late fee was assessed: 1120 / 4010. `key` is the fee's."""
    return _entry(key, EntryKind.LATE_FEE, on, [(Account.LATE_FEES, Account.LATE_FEE_INCOME, amount)])


def _entry(
    key: str,
    kind: EntryKind,
    on: date,
    moves: list[tuple[Account, Account, int]],
    *,
    payment_id: str | None = None,
) -> Entry:
    transfers = tuple(Transfer(debit, credit, amount) for debit, credit, amount in moves if amount)
    return Entry(key, kind, on, payment_id, transfers)
