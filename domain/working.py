"""The working state of a replay: a book of rows and fees that are still being paid, and how a loan begins.

`Book`, `OpenRow` and `OpenFee` are mutable and private to the engine: only domain/replay.py and the rules it calls touch
them, callers get the frozen types of domain/loan.py. `contract` and `check_boarding` are for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import lru_cache

from domain.amortization import Row, amortize, first_uncovered, period_factors
from domain.errors import InvalidInput, InvalidTerms
from domain.events import Boarded
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.origination import contractual_due_dates, contractual_schedule
from domain.payoff import accrued_in_period
from domain.terms import LoanTerms


@dataclass(slots=True)
class OpenRow:
    """An instalment while it is being paid; the fields mean what those of domain.loan.Instalment do."""

    number: int
    due_date: date
    period_start: date
    principal: int
    interest: int
    principal_paid: int = 0
    interest_paid: int = 0
    paid_on: date | None = None
    prior_interest: int = 0

    @property
    def unpaid(self) -> int:
        return self.principal + self.interest - self.principal_paid - self.interest_paid


@dataclass(slots=True)
class OpenFee:
    key: str
    instalment_number: int
    due_date: date
    assessed_on: date
    amount: int
    paid: int = 0


@dataclass(slots=True)
class Book:
    """A loan in the middle of its replay. Dates only go forward: `current` and `first_open` never go back.

    rows[:current] are due on the day reached; rows[:first_open] are fully paid. `closed_interest` is the interest of
    rows[:current]. `brought_interest` was earned before boarding. `fee_money`: what payments spent on late fees, by
    day; `excused`, `fee_row` and `fee_checked_on` belong to domain/fees.py.
    """

    terms: LoanTerms
    status: LoanStatus = LoanStatus.BOARDING
    opened_on: date | None = None
    rows: list[OpenRow] = field(default_factory=list)
    level_payment: int = 0
    current: int = 0
    first_open: int = 0
    closed_interest: int = 0
    brought_interest: int = 0
    principal_balance: int = 0
    interest_paid: int = 0
    fees: list[OpenFee] = field(default_factory=list)
    fees_balance: int = 0
    unapplied: int = 0
    total_paid: int = 0
    paid_off_on: date | None = None
    last_payment_date: date | None = None
    last_payment_amount: int | None = None
    fee_money: list[tuple[date, int]] = field(default_factory=list)
    fee_row: int = 0
    fee_checked_on: date = date.min
    excused: int = 0

    def reach(self, day: date) -> None:
        """Instalments due up to `day` become due."""
        rows = self.rows
        while self.current < len(rows) and rows[self.current].due_date <= day:
            self.closed_interest += rows[self.current].interest
            self.current += 1


@dataclass(frozen=True, slots=True)
class Contract:
    """The schedule as contracted: the level payment, its due dates, each period's part of the balance as interest."""

    level_payment: int
    due_dates: tuple[date, ...]
    factors: tuple[Fraction, ...]
    rows: tuple[Row, ...]


@lru_cache(maxsize=256)
def contract(terms: LoanTerms) -> Contract:
    """The contractual schedule of the terms (a pure function: the cache only saves time).

    Raises InvalidTerms for terms that have no schedule, or one whose level payment does not cover the interest.
    """
    program = terms.program
    dates = tuple(contractual_due_dates(terms))
    schedule = contractual_schedule(terms, dates)
    factors = period_factors(
        terms.annual_rate,
        terms.contract_date,
        dates,
        frequency=program.frequency,
        period_interest=program.period_interest,
        day_count=program.day_count,
        first_period=program.first_period,
    )
    _check_principal_falls(schedule.rows, schedule.level_payment)
    return Contract(schedule.level_payment, dates, tuple(factors), schedule.rows)


def open_disbursed(book: Book, amount: int, on: date) -> None:
    """The loan begins with its contractual schedule. Raises InvalidInput when `amount` is not the principal."""
    terms = book.terms
    if amount != terms.principal:
        raise InvalidInput.at("/amount", f"must be the loan's principal, {format_amount(terms.principal)}")
    _check_opening_date(terms, on)
    agreed = contract(terms)
    book.status, book.opened_on, book.principal_balance = LoanStatus.ACTIVE, on, amount
    book.level_payment = agreed.level_payment
    book.rows = _open_rows(agreed.rows, agreed, terms)
    book.reach(on)


def open_boarded(book: Book, body: Boarded, on: date) -> None:
    """The loan begins with what was owed when it was taken over.

    Active: the schedule from the oldest unpaid due date on is made again from the boarded principal with the level
    payment, on the original due dates and numbers; earlier instalments were paid to the prior servicer and are not
    listed. What that schedule has earned at boarding and what was brought in (`interest`) can differ; the difference
    belongs to the oldest unpaid instalments, so that interest earned and unpaid at boarding is exactly what was
    brought in. Late fees brought in are one fee, "late_fee:boarded", of the oldest unpaid instalment.

    Charged off: principal, interest and late fees are memo balances; nothing accrues and nothing is due.
    Raises InvalidInput for what `check_boarding` refuses.
    """
    check_boarding(book.terms, body, on)
    book.status, book.opened_on = body.status, on
    book.principal_balance, book.brought_interest, book.fees_balance = body.principal, body.interest, body.late_fees
    if body.status is LoanStatus.PAID_OFF:
        book.paid_off_on = on
        return
    due = body.oldest_unpaid_due_date or on
    number = 0
    if body.status is LoanStatus.ACTIVE:
        rows, book.level_payment = _boarded_rows(book.terms, body, on)
        book.rows = _open_rows(rows, contract(book.terms), book.terms)
        _place_brought_interest(book, on)
        due, number = book.rows[0].due_date, book.rows[0].number
        book.reach(on)
    if body.late_fees:
        book.fees.append(OpenFee("late_fee:boarded", number, due, on, body.late_fees))


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
            _boarded_rows(terms, body, on)
        case LoanStatus.PAID_OFF | LoanStatus.CHARGED_OFF:
            pass
        case _:
            raise InvalidInput.at("/status", "must be active, paid_off or charged_off")


def curtail(book: Book, amount: int) -> None:
    """Principal falls by `amount` (at most that of the rows after the current one), and those rows are made again from
    the lower contractual balance with the same level payment: the term gets shorter and the last row settles."""
    kept = book.rows[: book.current + 1]
    rest = sum(row.principal - row.principal_paid for row in book.rows[len(kept) :]) - amount
    book.principal_balance -= amount
    agreed = contract(book.terms)
    after = kept[-1].number
    rows = amortize(
        rest,
        book.level_payment,
        agreed.factors[after:],
        agreed.due_dates[after:],
        rounding=book.terms.program.rounding,
        first_number=after + 1,
    )
    book.rows = kept + _open_rows(rows, agreed, book.terms)


def _open_rows(rows: Iterable[Row], agreed: Contract, terms: LoanTerms) -> list[OpenRow]:
    starts = (terms.contract_date, *agreed.due_dates)
    return [OpenRow(number, due, starts[number - 1], principal, interest) for number, due, _, interest, principal, _ in rows]


def _boarded_rows(terms: LoanTerms, body: Boarded, on: date) -> tuple[tuple[Row, ...], int]:
    agreed = contract(terms)
    oldest = body.oldest_unpaid_due_date
    if oldest is None:
        oldest = next((day for day in agreed.due_dates if day > on), None)
        if oldest is None:
            message = f"is needed: the last due date, {agreed.due_dates[-1]}, has passed and principal is unpaid"
            raise InvalidInput.at("/oldest_unpaid_due_date", message)
    if oldest not in agreed.due_dates:
        message = f"must be a due date of the loan, from {agreed.due_dates[0]} to {agreed.due_dates[-1]}"
        raise InvalidInput.at("/oldest_unpaid_due_date", message)
    first = agreed.due_dates.index(oldest)
    level = agreed.level_payment if body.level_payment is None else body.level_payment
    rows = amortize(
        body.principal,
        level,
        agreed.factors[first:],
        agreed.due_dates[first:],
        rounding=terms.program.rounding,
        first_number=first + 1,
    )
    _check_principal_falls(rows, level)
    return rows, level


def _place_brought_interest(book: Book, on: date) -> None:
    """Make interest earned and unpaid at boarding what was brought in, oldest instalments first."""
    rounding = book.terms.program.rounding
    earned = [accrued_in_period(row, on, rounding) for row in book.rows]
    less = sum(earned) - book.brought_interest
    if less < 0:
        book.rows[0].prior_interest = less
        book.rows[0].interest -= less
        return
    for row, part in zip(book.rows, earned, strict=True):
        row.prior_interest = min(part, less)
        row.interest -= row.prior_interest
        less -= row.prior_interest


def _check_opening_date(terms: LoanTerms, on: date) -> None:
    if on < terms.contract_date:
        raise InvalidInput.at("/effective_date", f"must not be before the contract date, {terms.contract_date}")


def _check_principal_falls(rows: Iterable[Row], level: int) -> None:
    row = first_uncovered(rows)
    if row is not None:
        detail = f"does not cover the interest of instalment {row.number}, {format_amount(row.interest)}"
        raise InvalidTerms.at("/level_payment", f"{format_amount(level)} {detail}")
