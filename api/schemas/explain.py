"""Explanations at the edge."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Money, RateString, Schema
from domain.events import Event
from domain.explain import Figure, Line, LineKind
from domain.money import format_amount
from domain.program import DayCount, InterestMethod
from domain.rounding import round_minor
from services.explain import Explained

_EXACT_DECIMALS = 6


class ExplainedEvent(Schema):
    """A source event; GET /loans/{id}/events has all of it."""

    number: int = Field(description="in the loan's history")
    kind: str = Field(examples=["payment_received"])
    effective_date: Date


class ExplainedLine(Schema):
    """A part of the figure. An accrual says over how many days which principal bore which rate."""

    kind: LineKind
    date: Date = Field(description="the day it counts from; of an accrual its last day")
    amount: str = Field(description="in the figure's unit", examples=["36.99"])
    since: Date | None = Field(description="the day before the first day of an accrual, or the due date that is past")
    days: int | None
    rate: RateString | None = Field(description="a year, of one")
    principal: Money | None = Field(description="the balance that bore the interest")
    exact: str | None = Field(description="before rounding", examples=["36.986301"])
    event: ExplainedEvent | None
    payment_id: UUID | None
    instalment_number: int | None
    fee_key: str | None


class Explanation(Schema):
    """A figure, and the lines that add up to it exactly."""

    loan_id: UUID
    figure: Figure
    as_of: Date
    unit: str = Field(description="the currency of an amount, or days", examples=["USD"])
    amount: str = Field(examples=["74.83"])
    program_id: UUID
    program_version: int
    interest_method: InterestMethod
    day_count: DayCount
    lines: list[ExplainedLine]


def explanation_of(explained: Explained) -> Explanation:
    """An explanation as the API answers it."""
    found, program = explained.explanation, explained.program
    in_days = found.figure is Figure.DAYS_PAST_DUE
    return Explanation(
        loan_id=explained.loan_id,
        figure=found.figure,
        as_of=found.as_of,
        unit="days" if in_days else program.currency,
        amount=_amount(found.amount, in_days),
        program_id=explained.program_id,
        program_version=explained.program_version,
        interest_method=program.interest_method,
        day_count=program.day_count,
        lines=[_line(line, in_days, explained.numbers) for line in found.lines],
    )


def _line(line: Line, in_days: bool, numbers: dict[int, int]) -> ExplainedLine:
    return ExplainedLine(
        kind=line.kind,
        date=line.on,
        amount=_amount(line.amount, in_days),
        since=line.since,
        days=line.days,
        rate=line.rate,
        principal=line.principal,
        exact=None if line.exact is None else _exact(line.exact),
        event=None if line.event is None else _event(line.event, line.event.effective_date, numbers),
        payment_id=None if line.payment_id is None else UUID(line.payment_id),
        instalment_number=line.instalment_number,
        fee_key=line.fee_key,
    )


def _event(event: Event, on: date, numbers: dict[int, int]) -> ExplainedEvent:
    return ExplainedEvent(number=numbers[event.sequence], kind=str(event.kind), effective_date=on)


def _amount(value: int, in_days: bool) -> str:
    return str(value) if in_days else format_amount(value)


def _exact(minor: Fraction) -> str:
    """Minor units as a decimal string of the major unit with 6 decimals."""
    scaled = round_minor(minor * 10**_EXACT_DECIMALS / 100)
    whole, rest = divmod(abs(scaled), 10**_EXACT_DECIMALS)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{_EXACT_DECIMALS}d}"
