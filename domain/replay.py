"""The loan engine: a loan is its events, and its state is their replay.

Events are folded in the order effective date, rank of the kind, sequence; derived late fees arise at the opening of
their day, before its payments. Interest method `scheduled`: each period bears its interest on its opening contractual
balance, so paying late adds none, and paying early saves none except through curtailment and payoff.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from domain import posting
from domain.accrual import MonthlyAccruals
from domain.allocation import pay
from domain.errors import InvalidInput, WrongState
from domain.events import Boarded, Disbursed, Event, EventKind, PaymentReceived, PaymentSettled
from domain.fees import assess_late_fees
from domain.journal import Entry
from domain.loan import Allocation, LoanState, LoanStatus
from domain.snapshot import state_of
from domain.status import check_transition
from domain.terms import LoanTerms
from domain.working import Book, open_boarded, open_disbursed

_RANK: Final = {
    EventKind.DISBURSED: 0,
    EventKind.BOARDED: 0,
    EventKind.PAYMENT_RECEIVED: 2,
    EventKind.PAYMENT_SETTLED: 3,
}
"""Order within a day; 1 is the opening of the day, when derived late fees arise."""

_PREVIEWED: Final = "preview"


@dataclass(frozen=True, slots=True)
class Replay:
    """`allocations` by payment id; `entries` all but accruals, in the order they arose; `accruals` by the first day of
    each month the interest earned in it up to the state's date (minor units; months that earned none are left out)."""

    state: LoanState
    allocations: dict[str, Allocation]
    entries: tuple[Entry, ...]
    accruals: dict[date, int]


class Preview(NamedTuple):
    """`allocation` of the payment (its payment_id is "preview") and the loan's `state` after it."""

    allocation: Allocation
    state: LoanState


def replay(terms: LoanTerms, events: Iterable[Event], as_of: date) -> Replay:
    """The loan at the close of `as_of`; events effective later are ignored.

    The order in which events are given does not matter. Without any the loan is `boarding`. Money received while the
    loan is not active, also after it was paid off, is unapplied. A payment's settlement posts the payment's amount.

    Raises InvalidTerms when the terms have no schedule; InvalidInput for events that cannot be (a disbursement of
    another amount than the principal, what `check_boarding` refuses, a payment id twice, a settlement of no payment,
    an amount that is not positive); WrongState for a second disbursement or boarding.
    """
    until = [event for event in events if event.effective_date <= as_of]
    until.sort(key=lambda event: (event.effective_date, _RANK[event.kind], event.sequence))
    fold = _Fold(Book(terms), _payment_amounts(until))
    for event in until:
        fold.apply(event)
    fold.pass_to(as_of)
    fold.accruals.finish(fold.book, as_of)
    accruals = {month: amount for month, amount in fold.accruals.months.items() if amount}
    return Replay(state_of(fold.book, as_of), fold.allocations, tuple(fold.entries), accruals)


def check_payment(state: LoanState, amount: int, effective_date: date, business_date: date) -> None:
    """Refuse a payment a person wants to record but which cannot be. Returns nothing when it can.

    `amount` minor units; `state` the loan as it stands; `business_date` the tenant's. Raises WrongState when the loan is
    not active (code `loan_paid_off`, with the day, when it is paid off), InvalidInput at "/amount" when it is not
    positive, at "/effective_date" when that is after the business date or before disbursement or boarding.
    """
    if state.status is LoanStatus.PAID_OFF:
        raise WrongState(
            f"The loan was paid off on {state.paid_off_on}: it takes no more payments.",
            state=str(state.status),
            allowed=[str(LoanStatus.ACTIVE)],
            code="loan_paid_off",
        )
    if state.status is not LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {state.status}: only an active loan takes payments.",
            state=str(state.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    if amount <= 0:
        raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")
    if effective_date > business_date:
        message = f"must not be after the business date, {business_date}"
        raise InvalidInput.at("/effective_date", message, code="date_in_future")
    if state.opened_on is not None and effective_date < state.opened_on:
        message = f"must not be before {state.opened_on}, when the loan was disbursed or boarded"
        raise InvalidInput.at("/effective_date", message, code="date_before_loan")


def preview(terms: LoanTerms, events: Iterable[Event], amount: int, effective_date: date, as_of: date) -> Preview:
    """Where a payment of `amount` minor units on `effective_date` would go, and the state at `as_of` after it.

    Records nothing, and equals what recording the payment next would do: it is the same replay. Raises what `replay`
    does, and InvalidInput ("/effective_date") when that is after `as_of`.
    """
    if effective_date > as_of:
        raise InvalidInput.at("/effective_date", f"must not be after {as_of}")
    known = list(events)
    sequence = max((event.sequence for event in known), default=0) + 1
    known.append(Event(sequence, effective_date, PaymentReceived(amount, _PREVIEWED)))
    result = replay(terms, known, as_of)
    return Preview(result.allocations[_PREVIEWED], result.state)


@dataclass(slots=True)
class _Fold:
    """The replay in progress: the working state and what it has brought forth so far."""

    book: Book
    payments: dict[str, int]
    allocations: dict[str, Allocation] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    accruals: MonthlyAccruals = field(default_factory=MonthlyAccruals)

    def apply(self, event: Event) -> None:
        day, body = event.effective_date, event.body
        match body:
            case Disbursed():
                check_transition(self.book.status, LoanStatus.ACTIVE)
                open_disbursed(self.book, body.amount, day)
                self.entries.append(posting.disbursement(body.amount, day))
                self.accruals.open(self.book, day)
            case Boarded():
                check_transition(self.book.status, body.status)
                open_boarded(self.book, body, day)
                entry = posting.boarding(body, day)
                if entry is not None:
                    self.entries.append(entry)
                self.accruals.open(self.book, day)
            case PaymentReceived():
                self.pass_to(day)
                allocation = pay(self.book, body.payment_id, body.amount, day)
                self.allocations[body.payment_id] = allocation
                self.entries.append(posting.payment(allocation))
            case PaymentSettled():
                amount = self.payments[body.payment_id]
                self.pass_to(day)
                self.entries.append(posting.settlement(body.payment_id, amount, day))

    def pass_to(self, day: date) -> None:
        """Bring the loan to the opening of `day`: months that have ended are earned, fees of its opening assessed."""
        self.accruals.pass_months(self.book, day)
        for fee in assess_late_fees(self.book, day):
            self.entries.append(posting.late_fee(fee.key, fee.amount, fee.assessed_on))


def _payment_amounts(events: list[Event]) -> dict[str, int]:
    """Amounts by payment id. Raises InvalidInput for an id twice, an amount not positive, a settlement of no payment."""
    amounts: dict[str, int] = {}
    for event in events:
        if isinstance(event.body, PaymentReceived):
            if event.body.amount <= 0:
                raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")
            if event.body.payment_id in amounts:
                raise InvalidInput.at("/payment_id", f"{event.body.payment_id} is a payment already")
            amounts[event.body.payment_id] = event.body.amount
    for event in events:
        if isinstance(event.body, PaymentSettled) and event.body.payment_id not in amounts:
            raise InvalidInput.at("/payment_id", f"{event.body.payment_id} is no payment of this loan")
    return amounts
