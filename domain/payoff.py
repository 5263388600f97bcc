"""What pays a loan off on a day.

Payoff = unpaid principal + unpaid interest of the instalments due + interest of the current period + fees, less interest
that was paid ahead of its days. Sources: the
`payoff` and `perdiem` formulas of the example loan; the program says which interest the current period bears.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final, Protocol

from domain.errors import InvalidInput, WrongState
from domain.loan import LoanState, LoanStatus
from domain.program import PayoffInterest
from domain.rounding import Rounding, round_minor, round_ratio
from domain.terms import LoanTerms

DAYS_PER_YEAR: Final = 365


class Period(Protocol):
    """What interest of an instalment needs; an Instalment is one, and so is a row of the engine's working state."""

    @property
    def due_date(self) -> date: ...
    @property
    def period_start(self) -> date: ...
    @property
    def interest(self) -> int: ...
    @property
    def interest_paid(self) -> int: ...
    @property
    def principal_paid(self) -> int: ...
    @property
    def prior_interest(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PayoffQuote:
    """Minor units; `interest` is negative where more was paid ahead than is earned and owed (never more than the
    principal). `per_diem` unrounded: the interest a further day adds within the current period."""

    principal: int
    interest: int
    fees: int
    total: int
    per_diem: Fraction


def payoff_quote(terms: LoanTerms, state: LoanState, on: date) -> PayoffQuote:
    """What pays the loan off on `on`, all amounts in minor units.

    `on` may lie after `state.as_of` (a quote good through a date): instalments which fall due until then count as due,
    but the fees are those of the state. A late fee that would be assessed by then is in the quote only of a state
    replayed to that date.

    Raises WrongState unless the loan is active, InvalidInput ("/on") when `on` is before the state.
    """
    if state.status is not LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {state.status}: there is nothing to pay off.",
            state=str(state.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    if on < state.as_of:
        raise InvalidInput.at("/on", f"must not be before {state.as_of}")
    return payoff_on(terms, state.instalments, state.principal_balance, state.fees_balance, on)


def payoff_on(terms: LoanTerms, periods: Sequence[Period], principal: int, fees: int, on: date) -> PayoffQuote:
    """The payoff of an active loan from its parts: `periods` in order, at least from the oldest unpaid or the current
    one on; `principal` and `fees` what is unpaid of them (minor units)."""
    interest = 0
    per_diem = Fraction(0)
    current = next((index for index, period in enumerate(periods) if period.due_date > on), len(periods))
    for period in periods[:current]:
        interest += period.interest - period.interest_paid
    for period in periods[current : current + 1]:
        interest += current_interest(terms, period, principal, on)
        per_diem = per_diem_of(terms, period, principal, on)
    interest = max(interest - paid_ahead(periods[current + 1 :]), -principal)
    return PayoffQuote(principal, interest, fees, principal + interest + fees, per_diem)


def current_interest(terms: LoanTerms, period: Period, principal: int, on: date) -> int:
    """Interest (minor units) that a payoff on `on` takes for the current period, beyond what was paid of it; negative
    when more was paid ahead than is earned, for unearned interest comes back at a payoff (15 USC 1615(a)(1)).

    `accrued`: the period's interest by elapsed days. `per_diem`: `principal` (all that is unpaid, past due or not; with
    what `_bearing_principal` adds) x rate / 365 a day since the period began, rounded once; today is a day of its own
    where the program counts it. After the last due date there is no current period, hence no interest: in this method
    being late costs none.
    """
    rounding = terms.program.rounding
    if terms.program.payoff_interest is PayoffInterest.ACCRUED:
        accrued = accrued_in_period(period, on, rounding)
    else:
        days = max(0, (on - period.period_start).days) + terms.program.payoff_counts_today
        bearing = _bearing_principal(period, principal)
        accrued = round_minor(bearing * terms.annual_rate * days / DAYS_PER_YEAR, rounding) - period.prior_interest
    return accrued - period.interest_paid


def paid_ahead(later: Iterable[Period]) -> int:
    """Interest (minor units) paid of the periods after the current one. They are paid one after the other, so the first
    of which nothing was paid ends it; one that bears no interest does not."""
    paid = 0
    for period in later:
        if not (period.interest_paid or period.principal_paid):
            break
        paid += period.interest_paid
    return paid


def accrued_in_period(period: Period, on: date, rounding: Rounding) -> int:
    """The period's interest earned at the close of `on` by elapsed days of its actual days, rounded cumulatively.

    Nothing before the period begins, all of it from its due date on. What a prior servicer collected of it is not ours.
    """
    if on >= period.due_date:
        return period.interest
    start = period.period_start
    elapsed = (on - start).days
    if elapsed <= 0:
        return max(0, -period.prior_interest)
    whole = period.interest + period.prior_interest
    return round_ratio(whole * elapsed, (period.due_date - start).days, rounding) - period.prior_interest


def per_diem_of(terms: LoanTerms, period: Period, principal: int, on: date) -> Fraction:
    """Minor units by which a day within the current period raises the payoff, exact."""
    if terms.program.payoff_interest is PayoffInterest.PER_DIEM:
        return _bearing_principal(period, principal) * terms.annual_rate / DAYS_PER_YEAR
    if on < period.period_start:
        return Fraction(0)
    whole = period.interest + period.prior_interest
    return Fraction(whole, (period.due_date - period.period_start).days)


def _bearing_principal(period: Period, principal: int) -> int:
    """The principal by which the current period bears its interest by the day: all that is unpaid, and what was paid of
    the instalment's own before its interest. A program may order principal first; the days' interest stays owed then,
    or a payment of a cent less than the payoff would leave nothing to pay."""
    return principal + (period.principal_paid if period.interest_paid < period.interest else 0)
