"""A replay watched: what each event, and the time between them, did to each balance of a loan.

It is the same fold as every replay. Only explanations watch it; they cost more than a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from domain.accrual import earned
from domain.daycount import year_fraction
from domain.events import Boarded, Disbursed, Event
from domain.fold import Fold
from domain.loan import LoanStatus
from domain.program import InterestMethod
from domain.replay import begin, in_order, take
from domain.terms import LoanTerms
from domain.working import Book


@dataclass(frozen=True, slots=True)
class Balances:
    """Minor units. `fees`: by its key, what is unpaid of each fee and the day it was assessed."""

    principal: int
    earned: int
    interest_paid: int
    unapplied: int
    fees: dict[str, tuple[int, date]]


class Accrual(NamedTuple):
    """How interest was borne from `since` (not counted) to `until` (counted): `principal` minor units at a yearly `rate`,
    `exact` minor units before rounding."""

    since: date
    until: date
    principal: int
    rate: Fraction
    exact: Fraction


class Step(NamedTuple):
    """What changed on `on`: by `event`, or (None) while time passed, in which case `accrual` says how interest was borne."""

    on: date
    event: Event | None
    before: Balances
    after: Balances
    accrual: Accrual | None = None


def trace(terms: LoanTerms, events: Iterable[Event], as_of: date) -> Iterator[Step]:
    """Every change of the loan's balances up to the close of `as_of`, in order. Raises what a replay does."""
    until = in_order(event for event in events if event.effective_date <= as_of)
    fold = begin(terms, until)
    day = as_of
    for event in until:
        if not isinstance(event.body, Disbursed | Boarded):
            yield from _pass(fold, day, event.effective_date)
        before = _balances(fold.book, event.effective_date)
        take(fold, event)
        day = event.effective_date
        yield Step(day, event, before, _balances(fold.book, day))
    yield from _pass(fold, day, as_of)


def _pass(fold: Fold, since: date, until: date) -> Iterator[Step]:
    """Let time pass to the opening of `until` (so that its own interest is earned), stopping at each due date and each day
    on which the rate changes. What arises by itself on the way belongs to the stretch that ends with its day."""
    if fold.book.opened_on is None:
        return
    before = _balances(fold.book, since)
    for segment in fold.book.rates.segments(since, until):
        start = segment.start
        while start < segment.end:
            end = min(_next_due(fold.book, start) or segment.end, segment.end)
            accrual = _accrual(fold.book, start, end, segment.rate)
            fold.pass_to(end)
            after = _balances(fold.book, end)
            yield Step(end, None, before, after, accrual)
            before, start = after, end
    fold.pass_to(until)
    after = _balances(fold.book, until)
    if after != before:
        yield Step(until, None, before, after)


def _next_due(book: Book, after: date) -> date | None:
    return next((row.due_date for row in book.rows[book.current :] if row.due_date > after), None)


def _balances(book: Book, on: date) -> Balances:
    return Balances(
        principal=book.principal_balance,
        earned=earned(book, on) if book.opened_on is not None else 0,
        interest_paid=book.interest_paid,
        unapplied=book.unapplied,
        fees={fee.key: (fee.amount - fee.paid, fee.assessed_on) for fee in book.fees if fee.amount != fee.paid},
    )


def _accrual(book: Book, since: date, until: date, rate: Fraction) -> Accrual | None:
    """How interest is borne from `since` to `until`, in which no due date and no change of the rate lies."""
    program = book.terms.program
    if book.status is LoanStatus.ACTIVE and program.interest_method is InterestMethod.SCHEDULED:
        row = next((row for row in book.rows if row.due_date > since), None)
        if row is None or since < row.period_start:
            return None
        days, whole = (until - since).days, (row.due_date - row.period_start).days
        exact = row.opening * book.plan.parts[row.number - 1] * rate * days / whole
        return Accrual(since, until, row.opening, rate, exact)
    if book.status not in (LoanStatus.ACTIVE, LoanStatus.CHARGED_OFF):
        return None
    exact = book.principal_balance * rate * year_fraction(program.day_count, since, until)
    return Accrual(since, until, book.principal_balance, rate, exact)
