"""What each event posts: the table of the books, as transfers. Accruals: domain.journal.accrual_corrections.

A balance that is memo (the loan is charged off, or its interest is not accrued) moves between 9100 or 9110 and 9900 only;
money for it is income when it is received.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from domain.chart import Account
from domain.events import Boarded
from domain.journal import Entry, EntryKind, Transfer
from domain.loan import Allocation, FeeKind, LoanStatus
from domain.working import OpenFee

FEE_ACCOUNTS: Final[dict[FeeKind, tuple[Account, Account]]] = {
    FeeKind.LATE: (Account.LATE_FEES, Account.LATE_FEE_INCOME),
    FeeKind.NSF: (Account.NSF_FEES, Account.NSF_FEE_INCOME),
    FeeKind.OTHER: (Account.OTHER_FEES, Account.OTHER_FEE_INCOME),
    FeeKind.INSTALMENT: (Account.OTHER_FEES, Account.OTHER_FEE_INCOME),
}
"""Where a fee is owed, and the income it is."""

Moves = list[tuple[Account, Account, int]]


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


def payment(allocation: Allocation, *, non_accrual: bool = False) -> Entry:
    """Money received: 1010 / 1120, 1125, 1126 fees, 1110 interest, 1100 principal, 1130 what it repays, 2000 the rest.

    Unearned interest that comes back at a payoff (negative interest) pays principal: 1110 / 1100. On non-accrual interest
    is income when received, 1010 / 4000, and no memo any more, 9900 / 9110. A recovery of a charged-off loan: 1010 / 1190
    principal, 4000 interest, 4010, 4020, 4025 fees, and 9900 / 9100 for all of it.
    """
    moves = _paid(Account.CLEARING, allocation, non_accrual=non_accrual)
    if allocation.unapplied:
        moves.append((Account.CLEARING, Account.UNAPPLIED, allocation.unapplied))
    kind = EntryKind.RECOVERY if allocation.recovery else EntryKind.PAYMENT
    key = f"payment:{allocation.payment_id}"
    return _entry(key, kind, allocation.effective_date, moves, payment_id=allocation.payment_id)


def unapplied_applied(allocation: Allocation, *, non_accrual: bool = False) -> Entry:
    """Unapplied funds applied: 2000 / what a payment pays. `allocation.payment_id` is the key of the application."""
    moves = _paid(Account.UNAPPLIED, allocation, non_accrual=non_accrual)
    return _entry(f"unapplied:{allocation.payment_id}", EntryKind.APPLICATION, allocation.effective_date, moves)


def settlement(payment_id: str, amount: int, on: date) -> Entry:
    """The bank settled a payment: 1000 / 1010."""
    moves = [(Account.CASH, Account.CLEARING, amount)]
    return _entry(f"settled:{payment_id}", EntryKind.SETTLEMENT, on, moves, payment_id=payment_id)


def fee(charged: OpenFee) -> Entry:
    """A fee was assessed or charged: 1120 / 4010 late, 1125 / 4020 NSF, 1126 / 4025 other and instalment fees."""
    owed, income = FEE_ACCOUNTS[charged.kind]
    return _entry(charged.key, EntryKind(charged.kind), charged.assessed_on, [(owed, income, charged.amount)])


def waiver(waiver_id: str, account: Account, amount: int, on: date) -> Entry:
    """Fee or interest given up: 5010 / the account it was owed in (1110, 1120, 1125, 1126); memo: 9900 / 9100, 9110."""
    memo = account in (Account.MEMO_CHARGED_OFF, Account.MEMO_NON_ACCRUAL_INTEREST)
    moves = [(Account.MEMO_CONTRA if memo else Account.WAIVERS, account, amount)]
    return _entry(f"waiver:{waiver_id}", EntryKind.WAIVER, on, moves)


def refund(refund_id: str, unapplied: int, shortfall: int, on: date) -> Entry:
    """A refund was approved: 2000 / 2010, and 1130 / 2010 for what was not unapplied any more."""
    moves = [
        (Account.UNAPPLIED, Account.REFUNDS_PAYABLE, unapplied),
        (Account.DUE_FROM_BORROWER, Account.REFUNDS_PAYABLE, shortfall),
    ]
    return _entry(f"refund:{refund_id}", EntryKind.REFUND, on, moves)


def reimbursement(reimbursement_id: str, amount: int, on: date) -> Entry:
    """The lender owes money of its own: 5020 / 2010."""
    moves = [(Account.GOODWILL, Account.REFUNDS_PAYABLE, amount)]
    return _entry(f"reimbursement:{reimbursement_id}", EntryKind.REIMBURSEMENT, on, moves)


def sent(key: str, amount: int, on: date) -> Entry:
    """A refund or reimbursement, named by the key of its entry, left the bank: 2010 / 1000."""
    return _entry(f"{key}:sent", EntryKind.REFUND_SENT, on, [(Account.REFUNDS_PAYABLE, Account.CASH, amount)])


def charge_off(principal: int, interest: int, fees: Iterable[OpenFee], on: date, *, non_accrual: bool) -> Entry:
    """All that is owed leaves the books and becomes memo.

    The allowance is topped up by what is missing, 5000 / 1190, and takes the principal, 1190 / 1100. Interest and fees are
    income no more: 4000 / 1110 (memo interest: 9900 / 9110), 4010, 4020, 4025 / 1120, 1125, 1126. All of it: 9100 / 9900.
    """
    moves: Moves = [
        (Account.PROVISION, Account.ALLOWANCE, principal),
        (Account.ALLOWANCE, Account.PRINCIPAL, principal),
        _interest_off_income(interest) if not non_accrual else _memo_interest(-interest),
    ]
    owed = principal + interest
    for each in fees:
        account, income = FEE_ACCOUNTS[each.kind]
        moves.append((income, account, each.amount - each.paid))
        owed += each.amount - each.paid
    moves.append((Account.MEMO_CHARGED_OFF, Account.MEMO_CONTRA, owed))
    return _entry("charged_off", EntryKind.CHARGE_OFF, on, moves)


def chargeback(chargeback_id: str, back: Allocation, source: Account, *, charged_off: bool, non_accrual: bool) -> Entry:
    """Money taken back from the lender: what a payment (or recovery) posts with its sides exchanged, and the account the
    money was in (1010 in transit, 1000 settled) in place of 1010. `back` is what is owed again.

    Where the loan was charged off after the payment, the allowance takes the principal and is topped up: 5000 / 1190.
    """
    paid = _paid(source, back, non_accrual=non_accrual, memo=charged_off)
    moves = [(credit, debit, amount) for debit, credit, amount in paid]
    moves.append((Account.UNAPPLIED, source, back.unapplied))
    if charged_off and not back.recovery:
        moves.append((Account.PROVISION, Account.ALLOWANCE, back.principal))
    key = f"chargeback:{chargeback_id}"
    return _entry(key, EntryKind.CHARGEBACK, back.effective_date, moves, payment_id=back.payment_id)


def non_accrual(interest: int, on: date, number: int) -> Entry:
    """Interest accrued and unpaid (minor units) is taken off income: 4000 / 1110, and is memo: 9110 / 9900. Negative: back
    to accrual, with the sides exchanged. `number`: of the day's changes, from 1."""
    key = f"non_accrual:{on.isoformat()}" + (f":{number}" if number > 1 else "")
    return _entry(key, EntryKind.NON_ACCRUAL, on, [_interest_off_income(interest), _memo_interest(interest)])


def _paid(source: Account, allocation: Allocation, *, non_accrual: bool, memo: bool = False) -> Moves:
    """What the parts of an allocation move, but for what stays unapplied."""
    memo = memo or allocation.recovery
    moves: Moves = []
    if allocation.fees:
        for kind, amount in (
            (FeeKind.LATE, allocation.late_fees),
            (FeeKind.NSF, allocation.nsf_fees),
            (FeeKind.OTHER, allocation.other_fees),
        ):
            moves.append((source, FEE_ACCOUNTS[kind][memo], amount))
    if memo:
        recovered = allocation.principal + allocation.interest + allocation.fees
        moves.append((source, Account.INTEREST_INCOME, allocation.interest))
        moves.append((source, Account.ALLOWANCE, allocation.principal))
        moves.append((Account.MEMO_CONTRA, Account.MEMO_CHARGED_OFF, recovered))
    else:
        interest, paid = Account.INTEREST_INCOME if non_accrual else Account.ACCRUED_INTEREST, allocation.principal
        if allocation.interest >= 0:
            moves.append((source, interest, allocation.interest))
        else:
            moves.append((interest, Account.PRINCIPAL, -allocation.interest))
            paid += allocation.interest
        moves.append((source, Account.PRINCIPAL, paid))
        if non_accrual:
            moves.append(_memo_interest(-allocation.interest))
    if allocation.due_from_borrower:
        moves.append((source, Account.DUE_FROM_BORROWER, allocation.due_from_borrower))
    return moves


def _interest_off_income(amount: int) -> tuple[Account, Account, int]:
    sides = (Account.INTEREST_INCOME, Account.ACCRUED_INTEREST)
    return (*sides, amount) if amount > 0 else (*sides[::-1], -amount)


def _memo_interest(amount: int) -> tuple[Account, Account, int]:
    sides = (Account.MEMO_NON_ACCRUAL_INTEREST, Account.MEMO_CONTRA)
    return (*sides, amount) if amount > 0 else (*sides[::-1], -amount)


def _entry(key: str, kind: EntryKind, on: date, moves: Moves, *, payment_id: str | None = None) -> Entry:
    transfers = tuple([Transfer(debit, credit, amount) for debit, credit, amount in moves if amount])
    return Entry(key, kind, on, payment_id, transfers)
