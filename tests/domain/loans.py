"""Loans and small helpers the engine's tests are written with. Amounts in cents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from fractions import Fraction

from domain.chart import Account
from domain.events import Boarded, Disbursed, Event, EventBody, PaymentReceived
from domain.journal import Entry
from domain.loan import LoanState, LoanStatus
from domain.program import FirstPeriod, LateFee, LateFeeKind, Program
from domain.replay import Replay, replay
from domain.terms import LoanTerms

EXAMPLE_PROGRAM = Program(first_period=FirstPeriod.ACTUAL_365, grace_days=10, late_fee=LateFee(LateFeeKind.FLAT, flat=3000))
EXAMPLE = LoanTerms(EXAMPLE_PROGRAM, 1_000_000, Fraction(45, 1000), 36, date(2020, 9, 9), date(2020, 10, 9))
"""The example loan: 10,000.00 at 4.5 % over 36 months, level payment 297.47."""
LEVEL = 29747


def under(**program: object) -> LoanTerms:
    """The example loan under a program that differs in the given fields."""
    return replace(EXAMPLE, program=replace(EXAMPLE_PROGRAM, **program))  # type: ignore[arg-type]


def disbursed(terms: LoanTerms = EXAMPLE) -> Event:
    return Event(1, terms.contract_date, Disbursed(terms.principal))


def events(*payments: tuple[date, int], terms: LoanTerms = EXAMPLE, first: Event | None = None) -> list[Event]:
    """The loan's beginning and payments (date, amount) with the ids "p1", "p2", ..."""
    received: list[EventBody] = [PaymentReceived(amount, f"p{n}") for n, (_, amount) in enumerate(payments, 1)]
    bodies = enumerate(zip(payments, received, strict=True), 2)
    return [first or disbursed(terms), *(Event(n, day, body) for n, ((day, _), body) in bodies)]


def history(*happened: tuple[date, EventBody], terms: LoanTerms = EXAMPLE) -> list[Event]:
    """The loan disbursed, then what happened (date, body) in the order of recording."""
    return [disbursed(terms), *(Event(number, day, body) for number, (day, body) in enumerate(happened, 2))]


def boarded(
    *,
    principal: int = 0,
    interest: int = 0,
    late_fees: int = 0,
    oldest: date | None = None,
    level: int | None = None,
    status: LoanStatus = LoanStatus.ACTIVE,
) -> Boarded:
    return Boarded(status, principal, interest, late_fees, oldest, level)


def run(as_of: date, *payments: tuple[date, int], terms: LoanTerms = EXAMPLE, first: Event | None = None) -> Replay:
    return replay(terms, events(*payments, terms=terms, first=first), as_of)


def state(as_of: date, *payments: tuple[date, int], terms: LoanTerms = EXAMPLE) -> LoanState:
    return run(as_of, *payments, terms=terms).state


def gl(entries: Iterable[Entry], accruals: dict[date, int] | None = None) -> Counter[Account]:
    """Net debit of every account after the entries and monthly accruals."""
    net: Counter[Account] = Counter()
    for entry in entries:
        for moved in entry.transfers:
            net[moved.debit] += moved.amount
            net[moved.credit] -= moved.amount
    earned = sum((accruals or {}).values())
    net[Account.ACCRUED_INTEREST] += earned
    net[Account.INTEREST_INCOME] -= earned
    return net


def moves(entry: Entry) -> list[tuple[int, int, int]]:
    """What an entry moves: debit, credit, amount."""
    return [(int(moved.debit), int(moved.credit), moved.amount) for moved in entry.transfers]


def assert_books_agree(result: Replay) -> None:
    """The control accounts are the loan's balances, own and memo, and everything sums to zero."""
    net, loan = gl(result.entries, result.accruals), result.state
    for months, memo in (
        (result.memo_accruals, Account.MEMO_NON_ACCRUAL_INTEREST),
        (result.charged_off_accruals, Account.MEMO_CHARGED_OFF),
    ):
        net[memo] += sum(months.values())
        net[Account.MEMO_CONTRA] -= sum(months.values())
    assert net.total() == 0
    memo_total = net[Account.MEMO_CHARGED_OFF] + net[Account.MEMO_NON_ACCRUAL_INTEREST]
    assert net[Account.MEMO_CONTRA] == -memo_total
    own = loan.status is not LoanStatus.CHARGED_OFF
    owed = loan.principal_balance + loan.accrued_interest + loan.fees_balance
    assert loan.fees_balance == loan.late_fees + loan.nsf_fees + loan.other_fees
    assert loan.charged_off_balance == (0 if own else owed)
    assert {account: net[account] for account in _CONTROLS} == {
        Account.PRINCIPAL: loan.principal_balance if own else 0,
        Account.ACCRUED_INTEREST: loan.accrued_interest - loan.non_accrual_interest if own else 0,
        Account.LATE_FEES: loan.late_fees if own else 0,
        Account.NSF_FEES: loan.nsf_fees if own else 0,
        Account.OTHER_FEES: loan.other_fees if own else 0,
        Account.DUE_FROM_BORROWER: loan.due_from_borrower,
        Account.UNAPPLIED: -loan.unapplied,
        Account.MEMO_CHARGED_OFF: loan.charged_off_balance,
        Account.MEMO_NON_ACCRUAL_INTEREST: loan.non_accrual_interest,
    }


_CONTROLS = (
    Account.PRINCIPAL,
    Account.ACCRUED_INTEREST,
    Account.LATE_FEES,
    Account.NSF_FEES,
    Account.OTHER_FEES,
    Account.DUE_FROM_BORROWER,
    Account.UNAPPLIED,
    Account.MEMO_CHARGED_OFF,
    Account.MEMO_NON_ACCRUAL_INTEREST,
)
