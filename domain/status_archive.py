"""What a loan is on one day, figure by figure: the row of its status archive.

Every figure is defined in docs/glossary.md. It is computed from a replay, so a row written at a close and one computed
later from what was known at that close are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from domain.loan import LoanState, LoanStatus
from domain.replay import Replay
from domain.rounding import Rounding, round_minor, round_ratio
from domain.terms import LoanTerms

_LATE_30: Final = 30
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Status:
    """The figures of a loan at the close of `as_of`: amounts in minor units, `delinquency_percent` in hundredths of a
    percent, the rest dates and numbers of days. docs/glossary.md defines each."""

    as_of: date
    status: LoanStatus
    principal_balance: int
    accrued_interest: int
    interest_accrued_today: int
    per_diem: int
    fees_balance: int
    unapplied_balance: int
    due_interest: int
    due_principal: int
    due_principal_and_interest: int
    due_fees: int
    amount_due: int
    past_due_amount: int
    past_due_30_amount: int
    days_past_due: int
    delinquency_bucket: str
    delinquency_bucket_balance: int | None
    last_current_date: date | None
    last_current_30_date: date | None
    first_delinquency_date: date | None
    delinquency_count: int
    delinquent_days: int
    delinquency_percent: int
    next_payment_date: date | None
    next_payment_amount: int
    last_payment_date: date | None
    last_payment_amount: int | None
    total_paid: int
    payoff_amount: int | None
    payoff_fees: int | None
    period_start: date | None
    period_end: date | None
    periods_remaining: int
    final_payment_date: date | None
    final_payment_amount: int
    loan_age: int
    loan_recency: int | None
    net_charge_off: int
    last_human_activity_date: date | None


def status_of(terms: LoanTerms, result: Replay, last_activity: date | None = None) -> Status:
    """The status of a loan at the date of `result`, its replay.

    `last_activity`: the last business date up to then on which a person recorded something for the loan.
    Sources: the formulas of the example loan's status object, the definitions of docs/glossary.md.
    """
    state = result.state
    due = [row for row in state.instalments if row.due_date <= state.as_of]
    open_due = due if state.status is LoanStatus.ACTIVE else []
    due_interest = sum(row.interest_unpaid for row in open_due)
    due_principal = sum(row.principal - row.principal_paid for row in open_due)
    age = (state.as_of - terms.contract_date).days
    last = state.instalments[-1] if state.instalments else None
    return Status(
        as_of=state.as_of,
        status=state.status,
        principal_balance=state.principal_balance,
        accrued_interest=state.accrued_interest,
        interest_accrued_today=result.accrued_today,
        per_diem=round_minor(state.per_diem),
        fees_balance=state.fees_balance,
        unapplied_balance=state.unapplied,
        due_interest=due_interest,
        due_principal=due_principal,
        due_principal_and_interest=due_interest + due_principal,
        due_fees=state.fees_balance,
        amount_due=due_interest + due_principal + state.fees_balance,
        past_due_amount=state.past_due_amount,
        past_due_30_amount=_past_due(state, _LATE_30, terms.program.delinquency_tolerance),
        days_past_due=state.days_past_due,
        delinquency_bucket=state.delinquency_bucket,
        delinquency_bucket_balance=state.principal_balance if state.days_past_due else None,
        last_current_date=state.last_current_date,
        last_current_30_date=_last_current_30(state),
        first_delinquency_date=state.first_delinquency_date,
        delinquency_count=state.times_delinquent,
        delinquent_days=state.delinquent_days,
        delinquency_percent=delinquency_percent(state.delinquent_days, age),
        next_payment_date=state.next_due_date,
        next_payment_amount=state.next_due_amount,
        last_payment_date=state.last_payment_date,
        last_payment_amount=state.last_payment_amount,
        total_paid=state.total_paid,
        payoff_amount=None if state.payoff is None else state.payoff.total,
        payoff_fees=None if state.payoff is None else state.payoff.fees,
        period_start=_period_start(terms, state),
        period_end=_period_end(state),
        periods_remaining=_periods_remaining(state),
        final_payment_date=None if last is None else last.due_date,
        final_payment_amount=last.unpaid if last is not None and state.status is LoanStatus.ACTIVE else 0,
        loan_age=age,
        loan_recency=None if state.last_payment_date is None else (state.as_of - state.last_payment_date).days,
        net_charge_off=max(0, state.charged_off_principal - state.recovered),
        last_human_activity_date=last_activity,
    )


def delinquency_percent(delinquent_days: int, loan_age: int) -> int:
    """The part of the loan's days (contract date and today both counted) on which it was late: hundredths of a percent.

    Source: `delinquencyPercent` of the example loan, 100 * delinquentDays / (loanAge + 1) with 2 decimals.
    """
    return round_ratio(100 * 100 * delinquent_days, loan_age + 1, Rounding.HALF_UP)


def _past_due(state: LoanState, days: int, tolerance: int) -> int:
    """Principal and interest of instalments at least `days` days past due."""
    if state.status is not LoanStatus.ACTIVE:
        return 0
    latest = state.as_of - timedelta(days=days)
    return sum(row.unpaid for row in state.instalments if row.due_date <= latest and row.unpaid > tolerance)


def _period_start(terms: LoanTerms, state: LoanState) -> date | None:
    """The period the day lies in begins on the due date before it; the first one on the contract date. After the last
    due date there is no period."""
    current = next((row for row in state.instalments if row.due_date > state.as_of), None)
    if current is None or state.status is not LoanStatus.ACTIVE:
        return None
    return max(current.period_start, terms.contract_date)


def _period_end(state: LoanState) -> date | None:
    if state.status is not LoanStatus.ACTIVE:
        return None
    following = next((row.due_date for row in state.instalments if row.due_date > state.as_of), None)
    return None if following is None else following - _ONE_DAY


def _periods_remaining(state: LoanState) -> int:
    """Due dates from the next payment date to the final one, both counted."""
    if state.next_due_date is None or state.status is not LoanStatus.ACTIVE:
        return 0
    return sum(row.due_date >= state.next_due_date for row in state.instalments)


def _last_current_30(state: LoanState) -> date | None:
    """The last day on which the loan was less than 30 days past due; None unless it is 30 or more now.

    The instalments that were 30 days late one after the other, without a day between, make the run of days that lasts.
    """
    if state.days_past_due < _LATE_30 or state.oldest_unpaid_due_date is None:
        return None
    start = state.oldest_unpaid_due_date + timedelta(days=_LATE_30)
    for row in reversed(state.instalments):
        late = row.due_date + timedelta(days=_LATE_30)
        if late < start and row.paid_on is not None and row.paid_on >= start:
            start = late
    return start - _ONE_DAY
