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


def assert_books_agree(result: Replay) -> None:
    """The control accounts are the loan's balances, and everything sums to zero."""
    net, loan = gl(result.entries, result.accruals), result.state
    assert net.total() == 0
    assert net[Account.UNAPPLIED] == -loan.unapplied
    if loan.status is LoanStatus.CHARGED_OFF:
        owed = loan.principal_balance + loan.accrued_interest + loan.fees_balance
        assert net[Account.MEMO_CHARGED_OFF] == owed
        assert net[Account.PRINCIPAL] == net[Account.ACCRUED_INTEREST] == net[Account.LATE_FEES] == 0
        return
    assert net[Account.PRINCIPAL] == loan.principal_balance
    assert net[Account.ACCRUED_INTEREST] == loan.accrued_interest
    assert net[Account.LATE_FEES] == loan.fees_balance
