"""How a loan begins: disbursed with its contractual schedule, or boarded from a prior servicer."""

from __future__ import annotations

from datetime import date

from domain.amortization import amortize
from domain.errors import InvalidInput
from domain.events import Boarded
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.plan import Plan, check_principal_falls, contract
from domain.terms import LoanTerms
from domain.working import Book, ChargeOff, OpenFee


def open_disbursed(book: Book, amount: int, on: date) -> None:
    """The loan begins with its contractual schedule. Raises InvalidInput when `amount` is not the principal."""
    terms = book.terms
    if amount != terms.principal:
        raise InvalidInput.at("/amount", f"must be the loan's principal, {format_amount(terms.principal)}")
    _check_opening_date(terms, on)
    book.status, book.opened_on, book.principal_balance = LoanStatus.ACTIVE, on, amount
    book.method.open(book, 0, on)


def open_boarded(book: Book, body: Boarded, on: date) -> None:
    """The loan begins with what was owed when it was taken over.

    Active: the schedule from the oldest unpaid due date on is made again from the boarded principal with the level
    payment, on the original due dates and numbers; earlier instalments were paid to the prior servicer and are not
    listed. Interest earned and unpaid at boarding is exactly what was brought in. Late fees brought in are one fee,
    "late_fee:boarded", of the oldest unpaid instalment.

    Charged off: principal, interest and late fees are memo balances, as if it had been charged off on that day.
    Raises InvalidInput for what `check_boarding` refuses.
    """
    check_boarding(book.terms, body, on)
    book.status, book.opened_on = body.status, on
    book.principal_balance, book.brought_interest = body.principal, body.interest
    if body.status is LoanStatus.PAID_OFF:
        book.paid_off_on = on
        return
    due = body.oldest_unpaid_due_date or on
    number = 0
    if body.status is LoanStatus.ACTIVE:
        first, book.plan = boarded_plan(book.terms, body, on)
        book.method.open(book, first, on)
        # what fell due before bore its own fee to the prior servicer
        book.own_fee_numbers.update(row.number for row in book.rows if row.due_date < on)
        due, number = book.rows[0].due_date, book.rows[0].number
    else:
        book.charge_off = ChargeOff(on, body.principal, body.interest, bearing_from=on)
    if body.late_fees:
        book.add_fee(OpenFee("late_fee:boarded", number, due, on, body.late_fees))


def check_boarding(terms: LoanTerms, body: Boarded, on: date) -> None:
    """Refuse what cannot be taken over: raises InvalidInput naming the field, what is wrong and what is allowed."""
    _check_opening_date(terms, on)
    for name, amount in (("principal", body.principal), ("interest", body.interest), ("late_fees", body.late_fees)):
        if amount < 0:
            raise InvalidInput.at(f"/{name}", "must not be negative")
        if amount and body.status is LoanStatus.PAID_OFF:
            raise InvalidInput.at(f"/{name}", "must be 0.00 for a loan that is paid off")
    match body.status:
        case LoanStatus.ACTIVE:
            if body.principal == 0:
                raise InvalidInput.at("/principal", "must be above 0.00 for an active loan")
            if body.level_payment is not None and body.level_payment <= 0:
                raise InvalidInput.at("/level_payment", "must be above 0.00")
            _check_covered(terms, body, on)
        case LoanStatus.PAID_OFF | LoanStatus.CHARGED_OFF:
            pass
        case _:
            raise InvalidInput.at("/status", "must be active, paid_off or charged_off")


def boarded_plan(terms: LoanTerms, body: Boarded, on: date) -> tuple[int, Plan]:
    """The index of the first instalment that is ours, and the plan with the level payment the loan was boarded with."""
    plan = contract(terms).plan
    oldest = body.oldest_unpaid_due_date
    if oldest is None:
        oldest = next((day for day in plan.due_dates if day > on), None)
        if oldest is None:
            message = f"is needed: the last due date, {plan.due_dates[-1]}, has passed and principal is unpaid"
            raise InvalidInput.at("/oldest_unpaid_due_date", message)
    if oldest not in plan.due_dates:
        message = f"must be a due date of the loan, from {plan.due_dates[0]} to {plan.due_dates[-1]}"
        raise InvalidInput.at("/oldest_unpaid_due_date", message)
    if body.level_payment is not None:
        plan = plan.with_level_payment(body.level_payment)
    return plan.due_dates.index(oldest), plan


def _check_covered(terms: LoanTerms, body: Boarded, on: date) -> None:
    first, plan = boarded_plan(terms, body, on)
    rows = amortize(
        body.principal,
        plan.level_payment,
        plan.factors[first:],
        plan.due_dates[first:],
        rounding=terms.program.rounding,
        first_number=first + 1,
        shape=plan.shape,
    )
    check_principal_falls(rows, plan.level_payment)


def _check_opening_date(terms: LoanTerms, on: date) -> None:
    if on < terms.contract_date:
        raise InvalidInput.at("/effective_date", f"must not be before the contract date, {terms.contract_date}")
