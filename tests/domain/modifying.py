"""The loan that the tests of modifications modify, interest method `scheduled`.

12,000.00 at 12 % over 12 months from 1 January 2024, due on the 1st, level payment 1,066.19
(12,000.00 x 0.01 / (1 - 1.01 ** -12) = 1,066.185...). After two payments 10,098.16 are owed. Amounts in cents.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

from domain.events import Disbursed, Event, EventBody, PaymentReceived
from domain.loan import LoanState
from domain.program import Program
from domain.replay import Replay, replay
from domain.terms import LoanTerms
from tests.domain.loans import assert_books_agree

TERMS = LoanTerms(Program(), 1_200_000, Fraction(12, 100), 12, date(2024, 1, 1), date(2024, 2, 1))
LEVEL, LEFT = 106_619, 1_009_816
ON = date(2024, 3, 10)
SIX = Fraction(6, 100)


def day(month: int, of_month: int = 1, year: int = 2024) -> date:
    return date(year, month, of_month)


PAID = ((day(2), LEVEL), (day(3), LEVEL))


def run(
    *made: tuple[date, EventBody],
    paid: tuple[tuple[date, int], ...] = PAID,
    on: date = ON,
    terms: LoanTerms = TERMS,
) -> Replay:
    """The loan at the close of `on`, recorded in this order: its beginning, the payments, then what was made of it."""
    bodies: list[tuple[date, EventBody]] = [(terms.contract_date, Disbursed(terms.principal))]
    bodies += [(when, PaymentReceived(amount, f"p{n}")) for n, (when, amount) in enumerate(paid, 1)]
    events = [Event(n, when, body) for n, (when, body) in enumerate([*bodies, *made], 1)]
    result = replay(terms, events, on)
    assert_books_agree(result)
    assert result.state.principal_balance == sum(i.principal - i.principal_paid for i in result.state.instalments)
    return result


def state(*made: tuple[date, EventBody], **more: Any) -> LoanState:
    return run(*made, **more).state


def table(loan: LoanState, first: int, last: int) -> list[tuple[int, date, int, int]]:
    """Number, due date, principal and interest of the instalments `first` to `last`."""
    rows = [row for row in loan.instalments if first <= row.number <= last]
    return [(row.number, row.due_date, row.principal, row.interest) for row in rows]


def payments(loan: LoanState, first: int = 3) -> list[int]:
    return [row.payment for row in loan.instalments if row.number >= first]
