"""The loan engine: a loan is its events, and its state is their replay.

Events are folded in the order effective date, rank of the kind, sequence; derived late fees arise at the opening of
their day, before its payments.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from domain import posting
from domain.accrual import earned
from domain.allocation import pay
from domain.changes import MODIFICATIONS, Modification
from domain.charge_off import chargeback, charged_off
from domain.charges import fee_charged, waived
from domain.errors import InvalidInput, WrongState
from domain.events import (
    Boarded,
    Chargeback,
    ChargedOff,
    Disbursed,
    Event,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    PaymentReceived,
    PaymentSettled,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
    Waived,
)
from domain.fold import Fold
from domain.journal import Entry
from domain.loan import Allocation, LoanState, LoanStatus
from domain.method import method_of
from domain.modifications import modify
from domain.money import format_amount
from domain.opening import open_boarded, open_disbursed
from domain.plan import contract
from domain.rates import Rates
from domain.snapshot import seen, state_of
from domain.terms import LoanTerms
from domain.unapplied import refund_sent, refunded, reimbursed, reimbursement_sent, unapplied_applied
from domain.working import Book

_PREVIEWED: Final = "preview"
_TAKES_PAYMENTS: Final = (LoanStatus.ACTIVE, LoanStatus.CHARGED_OFF)
_WHY_NO_PAYMENTS: Final = {
    LoanStatus.BOARDING: " and nothing has been paid out or taken over yet",
    LoanStatus.TRANSFERRED: " and money for it belongs to its new owner",
}


@dataclass(frozen=True, slots=True)
class Replay:
    """`allocations` by payment id; `entries` all but accruals, in the order they arose; `accruals` by the first day of
    each month the interest earned in it up to the state's date (minor units; months that earned none are left out);
    `accrued_today` is what the state's own date earned.

    Interest earned while it is memo is not in `accruals` but, by month likewise, in `memo_accruals` (on non-accrual: 9110 /
    9900) and `charged_off_accruals` (9100 / 9900). `applications`: where unapplied funds went, by the application's id, or
    the due date on which they were applied by themselves. `waivers`: what each waiver waived, by its id (0: nothing).
    `chargebacks`: what each took back of its payment, by its id.
    """

    state: LoanState
    allocations: dict[str, Allocation]
    entries: tuple[Entry, ...]
    accruals: dict[date, int]
    accrued_today: int
    memo_accruals: dict[date, int] = field(default_factory=dict)
    charged_off_accruals: dict[date, int] = field(default_factory=dict)
    applications: dict[str, Allocation] = field(default_factory=dict)
    waivers: dict[str, int] = field(default_factory=dict)
    chargebacks: dict[str, Allocation] = field(default_factory=dict)


class Preview(NamedTuple):
    """`allocation` of the payment (its payment_id is "preview") and the loan's `state` after it."""

    allocation: Allocation
    state: LoanState


def replay(terms: LoanTerms, events: Iterable[Event], as_of: date) -> Replay:
    """The loan at the close of `as_of`; events effective later are ignored.

    The order in which events are given does not matter. Without any the loan is `boarding`. Money received while the
    loan is not active, also after it was paid off, is unapplied. A payment's settlement posts the payment's amount.

    Raises InvalidTerms when the terms have no schedule; InvalidInput for events that cannot be (a disbursement of
    another amount than the principal, what `check_boarding` refuses, a payment id twice, an amount that is not positive,
    a settlement of no payment received by then, or a second one); WrongState for a second disbursement or boarding.
    """
    until = in_order(event for event in events if event.effective_date <= as_of)
    fold = begin(terms, until)
    opening = bisect_left(until, as_of, key=lambda event: event.effective_date)
    for event in until[:opening]:
        take(fold, event)
    before = earned_before(fold, as_of)
    for event in until[opening:]:
        take(fold, event)
    return close(fold, as_of, before)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events in the order in which they are replayed."""
    return sorted(events, key=lambda event: event.place)


def begin(terms: LoanTerms, events: list[Event]) -> Fold:
    """A replay in which nothing has happened yet. `events` are all that will; those which cannot be are refused here."""
    book = Book(terms, method_of(terms.program.interest_method), contract(terms).plan, Rates(terms.annual_rate))
    return Fold(book, payment_amounts(events))


def take(fold: Fold, event: Event) -> None:
    """The next event in order happens."""
    _HANDLERS[type(event.body)](fold, event.body, event.effective_date)


def close(fold: Fold, as_of: date, before: int = 0) -> Replay:
    """The loan at the close of `as_of`, when nothing more happens until then; later events may still be taken.

    `before`: interest (minor units) earned at the close of the day before.
    """
    fold.pass_to(as_of)
    fold.accruals.settle(fold.book, as_of)
    today = 0 if fold.book.opened_on == as_of else earned(fold.book, as_of) - before
    today -= sum(back.interest for back in fold.chargebacks.values() if back.effective_date == as_of)
    return Replay(
        state=state_of(seen(fold.book, as_of), as_of, fold.delinquency),
        allocations=dict(fold.allocations),
        entries=tuple(fold.entries),
        accruals=_earning(fold.accruals.months),
        accrued_today=today,
        memo_accruals=_earning(fold.accruals.memo),
        charged_off_accruals=_earning(fold.accruals.charged_off),
        applications=dict(fold.applications),
        waivers=dict(fold.waivers),
        chargebacks=dict(fold.chargebacks),
    )


def check_payment(state: LoanState, amount: int, effective_date: date, business_date: date) -> None:
    """Refuse a payment a person wants to record but which cannot be. Returns nothing when it can.

    A charged-off loan takes payments too: they are recoveries. `amount` minor units; `state` the loan as it stands;
    `business_date` the tenant's. Raises WrongState when the loan is neither active nor charged off (code `loan_paid_off`,
    with the day, when it is paid off), InvalidInput at "/amount" when it is not
    positive, at "/effective_date" when that is after the business date or before disbursement or boarding.
    """
    if state.status is LoanStatus.PAID_OFF:
        raise WrongState(
            f"The loan was paid off on {state.paid_off_on}: it takes no more payments.",
            state=str(state.status),
            allowed=_TAKES_PAYMENTS,
            code="loan_paid_off",
        )
    if state.status not in _TAKES_PAYMENTS:
        raise WrongState(
            f"The loan is {state.status}{_WHY_NO_PAYMENTS.get(state.status, '')}: it takes no payments.",
            state=str(state.status),
            allowed=_TAKES_PAYMENTS,
        )
    if amount <= 0:
        raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")
    check_effective_date(effective_date, state.opened_on, business_date)


def check_effective_date(effective_date: date, opened_on: date | None, business_date: date) -> None:
    """Refuse a day on which money cannot have come: after the business date, or before the loan was disbursed or boarded.

    Raises InvalidInput at "/effective_date".
    """
    if effective_date > business_date:
        message = f"must not be after the business date, {business_date}"
        raise InvalidInput.at("/effective_date", message, code="date_in_future")
    if opened_on is not None and effective_date < opened_on:
        message = f"must not be before {opened_on}, when the loan was disbursed or boarded"
        raise InvalidInput.at("/effective_date", message, code="date_before_loan")


def preview(terms: LoanTerms, events: Iterable[Event], amount: int, effective_date: date, as_of: date) -> Preview:
    """Where a payment of `amount` minor units on `effective_date` would go, and the state at `as_of` after it.

    Records nothing, and equals what recording the payment next would do: it is the same replay. Raises what `replay`
    does, and InvalidInput ("/effective_date") when that is after `as_of`.
    """
    result = preview_event(terms, events, PaymentReceived(amount, _PREVIEWED), effective_date, as_of)
    return Preview(result.allocations[_PREVIEWED], result.state)


def preview_event(terms: LoanTerms, events: Iterable[Event], body: EventBody, effective_date: date, as_of: date) -> Replay:
    """The loan at the close of `as_of` if an event were recorded next, effective on `effective_date`.

    Records nothing, and equals what recording it does: it is the same replay. Raises what `replay` does, and InvalidInput
    ("/effective_date") when that is after `as_of`.
    """
    if effective_date > as_of:
        raise InvalidInput.at("/effective_date", f"must not be after {as_of}")
    known = list(events)
    sequence = max((event.sequence for event in known), default=0) + 1
    return replay(terms, [*known, Event(sequence, effective_date, body)], as_of)


def earned_before(fold: Fold, day: date) -> int:
    """Interest (minor units) earned at the close of the day before `day`, of which nothing has happened yet."""
    if fold.book.opened_on is None:
        return 0
    yesterday = day - timedelta(days=1)
    fold.pass_to(yesterday)
    return earned(fold.book, yesterday)


def _earning(months: dict[date, int]) -> dict[date, int]:
    return {month: amount for month, amount in months.items() if amount}


def payment_amounts(events: list[Event]) -> dict[str, int]:
    """Amounts by payment id. Raises InvalidInput for an id twice, an amount that is not positive, or one of which more is
    withheld."""
    amounts: dict[str, int] = {}
    for event in events:
        if isinstance(event.body, PaymentReceived):
            if event.body.amount <= 0:
                raise InvalidInput.at("/amount", "must be above 0.00", code="invalid_amount")
            if not 0 <= (event.body.withheld or 0) <= event.body.amount:
                raise InvalidInput.at("/withheld", f"must be from 0.00 to {format_amount(event.body.amount)}")
            if event.body.payment_id in amounts:
                raise InvalidInput.at("/payment_id", f"{event.body.payment_id} is a payment already")
            amounts[event.body.payment_id] = event.body.amount
    return amounts


def _check_not_begun(book: Book) -> None:
    if book.opened_on is not None:
        raise WrongState(f"The loan began on {book.opened_on}: it begins once.", state=str(book.status), allowed=[])


def _disbursed(fold: Fold, body: Disbursed, on: date) -> None:
    _check_not_begun(fold.book)
    open_disbursed(fold.book, body.amount, on)
    fold.entries.append(posting.disbursement(body.amount, on))
    fold.begin(on)


def _boarded(fold: Fold, body: Boarded, on: date) -> None:
    _check_not_begun(fold.book)
    open_boarded(fold.book, body, on)
    entry = posting.boarding(body, on)
    if entry is not None:
        fold.entries.append(entry)
    fold.begin(on)


def _payment_received(fold: Fold, body: PaymentReceived, on: date) -> None:
    fold.pass_to(on)
    book = fold.book
    fold.settle_memo(on)
    allocation = pay(book, body.payment_id, body.amount, on, body.advance, body.withheld or 0, body.extra)
    fold.allocations[body.payment_id] = allocation
    if book.new_fees:
        fold.post_fees()
    fold.entries.append(posting.payment(allocation, non_accrual=book.non_accrual))
    fold.resume_accrual(on)


def _payment_settled(fold: Fold, body: PaymentSettled, on: date) -> None:
    if body.payment_id not in fold.allocations:
        raise InvalidInput.at("/payment_id", f"{body.payment_id} is no payment of this loan received by {on}")
    if body.payment_id in fold.settled:
        raise InvalidInput.at("/payment_id", f"{body.payment_id} is settled already")
    fold.pass_to(on)
    fold.settled.add(body.payment_id)
    fold.entries.append(posting.settlement(body.payment_id, fold.payments[body.payment_id], on))


def _modified(fold: Fold, body: Modification, on: date) -> None:
    fold.pass_to(on)
    modify(fold.book, body, on)
    fold.resume_accrual(on)


def _non_accrual_set(fold: Fold, body: NonAccrualSet, on: date) -> None:
    fold.pass_to(on)
    book = fold.book
    if book.status is not LoanStatus.ACTIVE:
        allowed = [str(LoanStatus.ACTIVE)]
        raise WrongState(f"The loan is {book.status}: it earns no interest.", state=str(book.status), allowed=allowed)
    book.non_accrual_set = body.non_accrual
    if book.non_accrual is not body.non_accrual:
        fold.set_non_accrual(body.non_accrual, on)


_HANDLERS: Final[dict[type, Callable[[Fold, Any, date], None]]] = {
    Disbursed: _disbursed,
    Boarded: _boarded,
    PaymentReceived: _payment_received,
    PaymentSettled: _payment_settled,
    FeeCharged: fee_charged,
    Waived: waived,
    UnappliedApplied: unapplied_applied,
    Refunded: refunded,
    RefundSent: refund_sent,
    Reimbursed: reimbursed,
    ReimbursementSent: reimbursement_sent,
    ChargedOff: charged_off,
    Chargeback: chargeback,
    NonAccrualSet: _non_accrual_set,
    **dict.fromkeys(MODIFICATIONS, _modified),
}
"""What each kind of event does: handler(fold, body, effective date). One that needs more than a few lines has a module of
its own, named after its subject."""
