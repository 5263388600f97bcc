"""Why a figure is what it is: the accruals, events and allocations behind it, which add up to it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from domain.events import Boarded, Event, PaymentReceived
from domain.instalment_payments import paid_by_instalment
from domain.loan import LoanState, PayoffQuote
from domain.payoff import payoff_quote
from domain.program import InterestMethod, PayoffInterest
from domain.replay import Replay, replay
from domain.rounding import round_minor
from domain.terms import LoanTerms
from domain.tracing import Accrual, Step, trace

DAYS_PER_YEAR: Final = 365


class Figure(StrEnum):
    """What can be explained."""

    PRINCIPAL_BALANCE = "principal_balance"
    ACCRUED_INTEREST = "accrued_interest"
    FEES_BALANCE = "fees_balance"
    PAYOFF = "payoff"
    DAYS_PAST_DUE = "days_past_due"
    UNAPPLIED = "unapplied"
    PAST_DUE_AMOUNT = "past_due_amount"


class LineKind(StrEnum):
    """`event`: what a source event added or took. `accrual`: interest earned by days. `earned`: interest an event earned at
    once (paid ahead of its days) or gave back. `fee`: a fee assessed. `derived`: what arose by itself on a day (unapplied
    funds that were applied). `instalment`: what an instalment asks for. `per_diem`: the days of a per-diem payoff.
    `unearned`: interest paid ahead of its days, which a payoff gives back. `days`: days past due."""

    EVENT = "event"
    ACCRUAL = "accrual"
    EARNED = "earned"
    FEE = "fee"
    DERIVED = "derived"
    INSTALMENT = "instalment"
    PER_DIEM = "per_diem"
    UNEARNED = "unearned"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Line:
    """A part of a figure: `amount` in its unit (minor units, or days). `on`: the day it counts from.

    Of an accrual: days from `since` to `on`, `principal` minor units at a yearly `rate`, `exact` minor units before
    rounding. `amount` is a difference of rounded sums, so rounding never adds up.
    """

    kind: LineKind
    on: date
    amount: int
    since: date | None = None
    days: int | None = None
    rate: Fraction | None = None
    principal: int | None = None
    exact: Fraction | None = None
    event: Event | None = None
    payment_id: str | None = None
    instalment_number: int | None = None
    fee_key: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A figure at the close of `as_of` and the lines that add up to it."""

    figure: Figure
    as_of: date
    amount: int
    lines: tuple[Line, ...]


def explain(terms: LoanTerms, events: Iterable[Event], as_of: date, figure: Figure) -> Explanation:
    """What is behind a figure of the loan at the close of `as_of`.

    Raises what a replay does, and WrongState for the payoff of a loan that is not active.
    """
    known = list(events)
    result = replay(terms, known, as_of)
    state = result.state
    match figure:
        case Figure.PRINCIPAL_BALANCE:
            amount, lines = state.principal_balance, _principal(trace(terms, known, as_of))
        case Figure.ACCRUED_INTEREST:
            amount, lines = state.accrued_interest, _interest(trace(terms, known, as_of))
        case Figure.FEES_BALANCE:
            amount, lines = state.fees_balance, _fees(trace(terms, known, as_of))
        case Figure.UNAPPLIED:
            amount, lines = state.unapplied, _unapplied(trace(terms, known, as_of))
        case Figure.PAST_DUE_AMOUNT:
            amount, lines = state.past_due_amount, _past_due(result, terms.program.delinquency_tolerance)
        case Figure.DAYS_PAST_DUE:
            amount, lines = state.days_past_due, _days(state)
        case Figure.PAYOFF:
            amount, lines = payoff_quote(state).total, _payoff(terms, result, list(trace(terms, known, as_of)))
    return Explanation(figure, as_of, amount, tuple(line for line in lines if line.amount or line.kind is LineKind.DAYS))


def _principal(steps: Iterable[Step]) -> Iterator[Line]:
    for step in steps:
        yield _change(step, step.after.principal - step.before.principal)


def _unapplied(steps: Iterable[Step]) -> Iterator[Line]:
    for step in steps:
        yield _change(step, step.after.unapplied - step.before.unapplied)


def _fees(steps: Iterable[Step]) -> Iterator[Line]:
    """A line for each fee that was assessed, and for each fee that something paid or waived."""
    for step in steps:
        for key in sorted(step.before.fees.keys() | step.after.fees.keys()):
            before, after = step.before.fees.get(key), step.after.fees.get(key)
            amount = (after[0] if after else 0) - (before[0] if before else 0)
            if before is None and after is not None and step.event is None:
                yield Line(LineKind.FEE, after[1], amount, fee_key=key)
            else:
                yield replace(_change(step, amount), fee_key=key)


def _interest(steps: Iterable[Step]) -> Iterator[Line]:
    for step in steps:
        gained = step.after.earned - step.before.earned
        if step.event is None:
            yield _accrued(step, gained)
        elif isinstance(step.event.body, Boarded):
            yield _change(step, gained)
        else:
            yield Line(LineKind.EARNED, step.on, gained, event=step.event, payment_id=_payment_of(step))
        yield _change(step, step.before.interest_paid - step.after.interest_paid)


def _accrued(step: Step, amount: int) -> Line:
    if step.accrual is None:
        return Line(LineKind.ACCRUAL, step.on, amount)
    return _accrual_line(LineKind.ACCRUAL, step.accrual, amount)


def _accrual_line(kind: LineKind, accrual: Accrual, amount: int) -> Line:
    return Line(
        kind,
        accrual.until,
        amount,
        since=accrual.since,
        days=(accrual.until - accrual.since).days,
        rate=accrual.rate,
        principal=accrual.principal,
        exact=accrual.exact,
    )


def _change(step: Step, amount: int) -> Line:
    kind = LineKind.DERIVED if step.event is None else LineKind.EVENT
    return Line(kind, step.on, amount, event=step.event, payment_id=_payment_of(step))


def _payment_of(step: Step) -> str | None:
    return step.event.body.payment_id if step.event is not None and isinstance(step.event.body, PaymentReceived) else None


def _past_due(result: Replay, tolerance: int) -> Iterator[Line]:
    """Each instalment that is past due, and each payment of a part of it."""
    state = result.state
    if not state.past_due_amount:
        return
    paid = paid_by_instalment(result)
    for row in state.instalments:
        if row.due_date >= state.as_of or row.unpaid <= tolerance:
            continue
        payments = paid.get(row.number, [])
        taken = sum(payment.principal + payment.interest for payment in payments)
        yield Line(LineKind.INSTALMENT, row.due_date, row.unpaid + taken, instalment_number=row.number)
        for payment in payments:
            yield Line(
                LineKind.EVENT if payment.payment_id else LineKind.DERIVED,
                payment.effective_date,
                -payment.principal - payment.interest,
                payment_id=payment.payment_id,
                instalment_number=row.number,
            )


def _days(state: LoanState) -> Iterator[Line]:
    """The days since the oldest due date that is not paid."""
    oldest = next((row for row in state.instalments if row.due_date == state.oldest_unpaid_due_date), None)
    if oldest is not None and state.days_past_due:
        days = state.days_past_due
        yield Line(LineKind.DAYS, state.as_of, days, since=oldest.due_date, days=days, instalment_number=oldest.number)


def _payoff(terms: LoanTerms, result: Replay, steps: list[Step]) -> Iterator[Line]:
    """Principal and fees as they stand, and the interest a payoff takes: by the program's per diem since the last due
    date, or what has accrued."""
    yield from _principal(steps)
    yield from _fees(steps)
    program, quote = terms.program, payoff_quote(result.state)
    if program.interest_method is InterestMethod.SCHEDULED and program.payoff_interest is PayoffInterest.PER_DIEM:
        rate = next((step.accrual.rate for step in reversed(steps) if step.accrual), terms.annual_rate)
        yield from _per_diem(terms, result.state, quote, rate)
        return
    accrued = list(_interest(steps))
    yield from accrued
    yield Line(LineKind.UNEARNED, result.state.as_of, quote.interest - sum(line.amount for line in accrued))


def _per_diem(terms: LoanTerms, state: LoanState, quote: PayoffQuote, rate: Fraction) -> Iterator[Line]:
    """Unpaid interest of the instalments due, the days of the current period, less what was paid of its interest."""
    rest = quote.interest
    for row in state.instalments:
        if row.due_date <= state.as_of and row.interest_unpaid:
            rest -= row.interest_unpaid
            yield Line(LineKind.INSTALMENT, row.due_date, row.interest_unpaid, instalment_number=row.number)
    current = next((row for row in state.instalments if row.due_date > state.as_of), None)
    if current is None:
        yield Line(LineKind.UNEARNED, state.as_of, rest)
        return
    ahead = sum(row.interest_paid + row.interest_waived for row in state.instalments if row.due_date > state.as_of)
    days = max(0, (state.as_of - current.period_start).days) + terms.program.payoff_counts_today
    yield Line(
        LineKind.PER_DIEM,
        state.as_of,
        rest + ahead,
        since=current.period_start,
        days=days,
        rate=rate,
        principal=round_minor(quote.per_diem * DAYS_PER_YEAR / rate) if rate else state.principal_balance,
        exact=quote.per_diem * days,
    )
    yield Line(LineKind.UNEARNED, state.as_of, -ahead)
