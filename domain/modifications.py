"""Modifications of a running loan: each changes the plan or the rates with effect from its day, then the instalments
after it are made anew.

What fell due before stays as it was, except for a re-age. A payment that stays the same may need more or less of the last
instalment; principal is moved, never lost, and interest moved is due with the next instalments, never capitalised.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from domain.calendars import LAST_YEAR
from domain.changes import (
    Deferred,
    DueDateChanged,
    Extended,
    Forborne,
    Modification,
    RateChanged,
    ReAged,
    ReAmortized,
)
from domain.errors import InvalidInput, InvalidTerms, WrongState
from domain.loan import LoanStatus
from domain.money import format_amount, format_rate
from domain.plan import Plan, Until, extended, moved
from domain.program import Frequency
from domain.projection import pays_level, project
from domain.rates import Rates
from domain.remaking import rest_of
from domain.working import Book, OpenRow

MOST_PERIODS: Final = 480
FARTHEST_MOVE: Final = timedelta(days=45)
"""A due date moves by less than one and a half months; what is longer is a deferment."""


def modify(book: Book, body: Modification, on: date) -> None:
    """Apply a modification that is effective on `on`, to which the book has been brought.

    Raises WrongState unless the loan is active (and, for a re-age, past due with instalments to come); InvalidInput with
    a pointer into the body for what cannot be: dates outside what is left, more than MOST_PERIODS instalments, a last
    one after LAST_YEAR, a payment that would not cover its period's interest.
    """
    if book.status is not LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {book.status}: only an active loan is modified.",
            state=str(book.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    book.method.foresee(book, on)
    match body:
        case RateChanged():
            _change_rate(book, body, on)
        case Deferred():
            _defer(book, body, on)
        case Forborne():
            _forbear(book, body, on)
        case Extended():
            _extend(book, body, on)
        case DueDateChanged():
            _change_due_date(book, body, on)
        case ReAged():
            _re_age(book, on)
        case ReAmortized():
            _re_amortize(book, body, on)
    book.method.remake(book, on)


def _change_rate(book: Book, body: RateChanged, on: date) -> None:
    """A new payment while the rate is reduced is the one that would amortize the loan at that rate for good; the one
    after it amortizes what is left then. A cap that no rate reaches changes nothing else."""
    highest = book.terms.program.limits.max_rate
    if not 0 <= body.rate <= highest:
        raise InvalidInput.at("/rate", f"must be from 0 to {format_rate(highest)}, what the program allows")
    if body.until is not None and body.until <= on:
        raise InvalidInput.at("/until", f"must be after the effective date, {on}")
    before = book.rates
    book.rates = _with_rate(before, body, on, body.until)
    end = body.until or book.plan.due_dates[-1]
    if body.cap and book.rates.weight(on, end) == before.weight(on, end):
        return
    first = _first_after(book.plan, on)
    plan = book.plan.at_rates(book.rates, first)
    if body.keep_payment:
        book.plan = plan
        _check_covered(book, on)
        return
    if body.until is None or body.until >= plan.due_dates[-1]:
        book.plan = _level(book, plan, on)
        return
    number = next(index for index, due in enumerate(plan.due_dates) if due > body.until)
    for_good = book.plan.at_rates(_with_rate(before, body, on, None), first)
    reduced = Until(number, _level(book, for_good, on).level_payment)
    book.plan = _level(book, plan, on, reduced if number > first else None)


def _with_rate(rates: Rates, body: RateChanged, on: date, until: date | None) -> Rates:
    return rates.capped_at(body.rate, on, until) if body.cap else rates.changed(on, body.rate, until)


def _defer(book: Book, body: Deferred, on: date) -> None:
    upcoming = _upcoming(book, on)
    most = len(upcoming) - (0 if body.to_end else 1)
    if not 1 <= body.instalments <= most:
        allowed = f"must be from 1 to {most}" if most > 0 else "there is no instalment left that could be deferred"
        raise InvalidInput.at("/instalments", allowed)
    deferred = upcoming[: body.instalments]
    if body.to_end:
        book.plan = _longer(book, body.instalments, on, "/to_end")
    book.plan = book.plan.with_stated({row.number: 0 for row in deferred})
    if not body.accrue:
        _stop_interest(book, on, deferred[-1].due_date)


def _forbear(book: Book, body: Forborne, on: date) -> None:
    upcoming = _upcoming(book, on)
    reduced = [row for row in upcoming if row.due_date <= body.until]
    if not reduced:
        raise InvalidInput.at("/until", f"no instalment falls due from {on} to {body.until}")
    if len(reduced) == len(upcoming):
        message = f"must be before the last due date, {upcoming[-1].due_date}: extend the loan first"
        raise InvalidInput.at("/until", message)
    payment = body.payment or 0
    highest = max(row.principal + row.interest for row in reduced)
    if not 0 <= payment < highest:
        raise InvalidInput.at("/payment", f"must be less than the instalment, {format_amount(highest)}")
    book.plan = book.plan.with_stated({row.number: payment for row in reduced})
    if not body.accrue:
        _stop_interest(book, on, body.until)


def _extend(book: Book, body: Extended, on: date) -> None:
    if body.periods < 1:
        raise InvalidInput.at("/periods", "must be at least 1")
    book.plan = _longer(book, body.periods, on, "/periods")
    if body.reamortize:
        book.plan = _level(book, book.plan, on)


def _change_due_date(book: Book, body: DueDateChanged, on: date) -> None:
    row = _next(book, on)
    due = body.new_first_due
    before = next((r.due_date for r in reversed(book.rows) if r.number < row.number), row.period_start)
    earliest = max(on, before, row.due_date - FARTHEST_MOVE) + timedelta(days=1)
    latest = row.due_date + FARTHEST_MOVE
    if not earliest <= due <= latest:
        raise InvalidInput.at("/new_first_due", f"must be from {earliest} to {latest}")
    try:
        plan = moved(book.plan, book.terms.program, book.rates, row.number - 1, due)
    except InvalidTerms as error:
        raise InvalidInput.at("/new_first_due", error.detail, code=error.code) from error
    if plan.due_dates[row.number - 1] <= max(on, before):
        raise InvalidInput.at("/new_first_due", f"would roll back to {plan.due_dates[row.number - 1]}")
    _check_calendar(plan, "/new_first_due")
    book.plan = plan


def _re_age(book: Book, on: date) -> None:
    """Past-due principal is amortized over the remaining instalments; past-due interest is due with the next of them,
    before anything else; fees stay owed."""
    late = [row for row in book.rows[book.first_open : book.current] if row.due_date < on and row.unpaid]
    if not late:
        raise WrongState("Nothing is past due: there is nothing to re-age.", state="current", allowed=["past_due"])
    if not _open_after(book, on):
        message = f"No instalment that is not paid is due after {on}: extend the loan first."
        raise WrongState(message, state="matured", allowed=["extend"])
    for row in late:
        owed = row.interest - row.interest_paid
        book.moved_interest += owed
        row.later_interest += owed
        row.interest, row.principal, row.deferred = row.interest_paid, row.principal_paid, True
    book.plan = _level(book, book.plan, on)


def _re_amortize(book: Book, body: ReAmortized, on: date) -> None:
    plan, first = book.plan, _first_after(book.plan, on)
    if body.periods is not None:
        upcoming = [row for row in _upcoming(book, on) if row.due_date > on]
        first = upcoming[0].number - 1 if upcoming else first
        paid = [row.number for row in book.rows if row.number > first and (row.principal_paid or row.interest_paid)]
        least = max(1, max(paid, default=first) - first)
        if not least <= body.periods <= MOST_PERIODS - first:
            raise InvalidInput.at("/periods", f"must be from {least} to {MOST_PERIODS - first}")
        more = first + body.periods - len(plan.due_dates)
        plan = _longer(book, more, on, "/periods") if more > 0 else plan.trimmed(first + body.periods)
    if plan.due_dates[-1] <= on:
        message = f"The last instalment was due on {plan.due_dates[-1]}: extend the loan first."
        raise WrongState(message, state="matured", allowed=["extend"])
    book.plan = _level(book, plan, on)


def _upcoming(book: Book, on: date) -> list[OpenRow]:
    """The unpaid instalments that are not past due."""
    return [row for row in book.rows if row.due_date >= on and row.unpaid]


def _open_after(book: Book, on: date) -> bool:
    """Whether an instalment due after `on` can still take principal."""
    paid = {row.number for row in book.rows if not row.unpaid and (row.principal_paid or row.interest_paid)}
    return any(due > on and number not in paid for number, due in enumerate(book.plan.due_dates, 1))


def _next(book: Book, on: date) -> OpenRow:
    upcoming = _upcoming(book, on)
    if not upcoming:
        raise WrongState("No unpaid instalment is to come.", state="matured", allowed=["extend"])
    return upcoming[0]


def _first_after(plan: Plan, on: date) -> int:
    return next((index for index, due in enumerate(plan.due_dates) if due > on), len(plan.due_dates))


def _longer(book: Book, periods: int, on: date, pointer: str) -> Plan:
    """The plan with more due dates. With those that have passed already (the loan had matured) nothing is due."""
    plan, program = book.plan, book.terms.program
    if program.frequency is Frequency.SINGLE:
        raise InvalidInput.at(pointer, "a single-payment loan has one due date: change that instead")
    count = len(plan.due_dates) + periods
    if count > MOST_PERIODS:
        raise InvalidInput.at(pointer, f"the loan would have {count} instalments; at most {MOST_PERIODS} are possible")
    try:
        longer = extended(plan, program, book.rates, periods)
    except InvalidTerms as error:
        raise InvalidInput.at(pointer, error.detail, code=error.code) from error
    _check_calendar(longer, pointer)
    if longer.due_dates[-1] <= on:
        raise InvalidInput.at(pointer, f"the last instalment would fall due on {longer.due_dates[-1]}, before {on}")
    passed = [n for n, due in enumerate(longer.due_dates, 1) if n > len(plan.due_dates) and due <= on]
    return longer.with_stated(dict.fromkeys(passed, 0))


def _check_calendar(plan: Plan, pointer: str) -> None:
    if plan.due_dates[-1].year > LAST_YEAR:
        message = f"the last instalment would fall due in {plan.due_dates[-1].year}, after {LAST_YEAR}"
        raise InvalidInput.at(pointer, message)


def _stop_interest(book: Book, on: date, until: date) -> None:
    book.rates = book.rates.stopped_for(on, until)
    book.plan = book.plan.at_rates(book.rates, _first_after(book.plan, on))


def _level(book: Book, plan: Plan, on: date, at_first: Until | None = None) -> Plan:
    """The plan with the level payment that amortizes what is left over the instalments after `on`."""
    plan = plan.with_level_payment(plan.level_payment, at_first)
    return plan.with_level_payment(book.method.level_payment(book, plan, on), at_first)


def _check_covered(book: Book, on: date) -> None:
    plan, rest = book.plan, rest_of(book, book.plan, on)
    rows = project(
        plan,
        rest.first,
        rest.balance,
        book.terms.program.rounding,
        opening=rest.opening,
        carried=rest.carried,
        held=rest.held,
    )
    for row in rows[:-1]:
        payment = plan.payment(row.number)
        if row.bears > payment and pays_level(plan, row.number) and row.number not in rest.held:
            short = f"the payment, {format_amount(payment)}, would not cover the interest of instalment {row.number}"
            raise InvalidInput.at("/keep_payment", f"{short}, {format_amount(row.bears)}", code="interest_not_covered")
