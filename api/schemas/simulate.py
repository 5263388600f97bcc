"""Simulations at the edge: what is planned for a loan, and what becomes of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.actions import Action, ActionRequest
from api.schemas.base import Amount, Bucket, Count, Date, Flag, Money, Schema
from domain.loan import Allocation, Fee, LoanStatus
from domain.program import Frequency
from domain.simulation import (
    MAX_PAYMENTS,
    MAX_PLANS,
    Act,
    Day,
    Outcome,
    PayAsDue,
    PayOff,
    PayOnce,
    PayRegularly,
    Plan,
    Simulation,
    Skip,
)


class PayAsDuePlan(Schema):
    """Pay on each due date: all that is due then, or (`catch_up` false) that instalment alone."""

    kind: Literal["pay_as_due"]
    from_: Date | None = Field(None, alias="from", description="default: the first due date")
    until: Date | None = Field(None, description="default: the last due date")
    catch_up: Flag = True

    def plan(self) -> Plan:
        return PayAsDue(self.from_, self.until, self.catch_up)


class SkipPlan(Schema):
    """Leave out the next due dates of `pay_as_due`."""

    kind: Literal["skip"]
    count: Count = Field(ge=1, le=MAX_PAYMENTS, examples=[2])
    from_: Date | None = Field(None, alias="from", description="default: the first due date")

    def plan(self) -> Plan:
        return Skip(self.count, self.from_)


class PayRegularlyPlan(Schema):
    """Pay an amount again and again: `count` times, until a day, or until the loan is paid off."""

    kind: Literal["pay_regularly"]
    amount: Amount = Field(gt=0, examples=["350.00"])
    from_: Date = Field(alias="from", description="the first payment")
    frequency: Frequency = Frequency.MONTHLY
    count: Count | None = Field(None, ge=1, le=MAX_PAYMENTS)
    until: Date | None = None

    def plan(self) -> Plan:
        return PayRegularly(self.amount, self.from_, self.frequency, self.count, self.until)


class PaymentPlan(Schema):
    """Pay an amount once, besides what else is paid."""

    kind: Literal["payment"]
    amount: Amount = Field(gt=0, examples=["500.00"])
    date: Date

    def plan(self) -> Plan:
        return PayOnce(self.amount, self.date)


class PayOffPlan(Schema):
    """Pay what pays the loan off."""

    kind: Literal["pay_off"]
    date: Date

    def plan(self) -> Plan:
        return PayOff(self.date)


PlannedEvent = Annotated[
    PayAsDuePlan | SkipPlan | PayRegularlyPlan | PaymentPlan | PayOffPlan | Action, Field(discriminator="kind")
]
"""A payment plan, or an action with the body POST /loans/{id}/actions takes."""


class SimulationRequest(Schema):
    """What is planned, in the order in which it happens on one day. `until`: where to stop; default: when the loan is paid
    off, or nothing planned is left and the last instalment is due."""

    events: list[PlannedEvent] = Field(max_length=MAX_PLANS, examples=[[{"kind": "pay_as_due"}]])
    until: Date | None = None

    def plans(self, today: date) -> list[Plan]:
        return [_plan(event, index, today) for index, event in enumerate(self.events)]


class SimulatedPayment(Schema):
    amount: Money
    principal_applied: Money
    interest_applied: Money
    fees_applied: Money
    overpayment: Money = Field(description="kept unapplied")


class SimulatedFee(Schema):
    key: str
    assessed_on: Date
    amount: Money


class SimulatedDay(Schema):
    """A due date or a day on which something happens, at its close. `fees` and `interest_earned`: since the row before."""

    date: Date
    due_amount: Money = Field(description="the instalment due that day; 0.00 when none is")
    payments: list[SimulatedPayment]
    events: list[str] = Field(description="kinds of the other events")
    fees: list[SimulatedFee]
    interest_earned: Money
    status: LoanStatus
    principal_balance: Money
    accrued_interest: Money
    fees_balance: Money
    unapplied_balance: Money
    past_due_amount: Money
    days_past_due: int
    delinquency_bucket: Bucket
    next_payment_date: Date | None
    next_payment_amount: Money
    payoff: Money | None


class SimulatedOutcome(Schema):
    """What it comes to, counted from the business date on."""

    through: Date
    status: LoanStatus
    paid_off_on: Date | None = Field(description="null when the loan is not paid off by `through`")
    payments: int
    total_paid: Money
    principal_paid: Money
    interest_paid: Money
    fees_paid: Money
    principal_balance: Money


class LoanSimulation(Schema):
    """Recording the same on the same days gives these very rows. `baseline`: all that is due is paid on each due date."""

    loan_id: UUID
    as_of: Date = Field(description="the business date, from whose close it runs")
    rows: list[SimulatedDay]
    outcome: SimulatedOutcome
    baseline: SimulatedOutcome
    interest_saved: Money = Field(description="against the baseline; negative: more is paid")


def simulation_of(loan_id: UUID, today: date, found: Simulation) -> LoanSimulation:
    """A simulation as the API answers it."""
    return LoanSimulation(
        loan_id=loan_id,
        as_of=today,
        rows=[_row(day) for day in found.days],
        outcome=_outcome(found.outcome),
        baseline=_outcome(found.baseline),
        interest_saved=found.baseline.interest_paid - found.outcome.interest_paid,
    )


def _plan(event: PlannedEvent, index: int, today: date) -> Plan:
    if isinstance(event, ActionRequest):
        return Act(event.body(f"simulated:{index + 1}"), event.effective_date or today)
    return event.plan()


def _row(day: Day) -> SimulatedDay:
    state = day.state
    return SimulatedDay(
        date=day.on,
        due_amount=day.due,
        payments=[_payment(paid) for paid in day.payments],
        events=[str(kind) for kind in day.events],
        fees=[_fee(fee) for fee in day.fees],
        interest_earned=day.interest_earned,
        status=state.status,
        principal_balance=state.principal_balance,
        accrued_interest=state.accrued_interest,
        fees_balance=state.fees_balance,
        unapplied_balance=state.unapplied,
        past_due_amount=state.past_due_amount,
        days_past_due=state.days_past_due,
        delinquency_bucket=state.delinquency_bucket,
        next_payment_date=state.next_due_date,
        next_payment_amount=state.next_due_amount,
        payoff=None if state.payoff is None else state.payoff.total,
    )


def _payment(paid: Allocation) -> SimulatedPayment:
    return SimulatedPayment(
        amount=paid.amount,
        principal_applied=paid.principal,
        interest_applied=paid.interest,
        fees_applied=paid.fees,
        overpayment=paid.unapplied,
    )


def _fee(fee: Fee) -> SimulatedFee:
    return SimulatedFee(key=fee.key, assessed_on=fee.assessed_on, amount=fee.amount)


def _outcome(found: Outcome) -> SimulatedOutcome:
    return SimulatedOutcome(
        through=found.through,
        status=found.status,
        paid_off_on=found.paid_off_on,
        payments=found.payments,
        total_paid=found.total_paid,
        principal_paid=found.principal_paid,
        interest_paid=found.interest_paid,
        fees_paid=found.fees_paid,
        principal_balance=found.principal_balance,
    )
