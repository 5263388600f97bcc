"""Booking a loan: what a program allows, the schedule the loan is booked with, and what is disclosed of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from domain.amortization import Row, Schedule, build_schedule, first_uncovered
from domain.apr import UnitKind, UnitPeriod, apr, round_apr
from domain.borrower import check_text
from domain.calendars import FIRST_YEAR, LAST_YEAR, PERIODS_PER_YEAR, due_dates
from domain.errors import FieldError, InvalidInput, InvalidTerms
from domain.money import MAX_MINOR, format_amount, format_rate
from domain.program import DueDateRoll, Frequency
from domain.terms import LoanTerms

LONGEST_FIRST_PERIOD = timedelta(days=366)
FARTHEST_ORIGINATION = timedelta(days=366)
"""A loan can be booked ahead of its origination, but not further: what is further is a typing error."""
APR_PLACES = 4
LOAN_NUMBER_PREFIX = "LN-"
LONGEST_SERIAL = 12
"""Digits of a given loan number of our own series."""


@dataclass(frozen=True, slots=True)
class Booked:
    """The schedule a loan was booked with. `apr` in percent with 4 decimals, None where no rate solves the equation."""

    schedule: Schedule
    apr: Decimal | None


def periods_of_months(frequency: Frequency, months: int, pointer: str = "/term_months") -> int:
    """The number of instalments of a term in months. Raises InvalidInput where it is not a whole number of periods."""
    if frequency is Frequency.SINGLE:
        return 1
    periods, rest = divmod(months * PERIODS_PER_YEAR[frequency], 12)
    if rest or not periods:
        raise InvalidInput.at(pointer, f"{months} months are not a whole number of {frequency} periods")
    return periods


def months_of_periods(frequency: Frequency, periods: int) -> int | None:
    """The term in months of a number of instalments; None where that is not a whole number (or `single`)."""
    if frequency is Frequency.SINGLE:
        return None
    months, rest = divmod(periods * 12, PERIODS_PER_YEAR[frequency])
    return None if rest else months


def check_terms(terms: LoanTerms) -> None:
    """Whether a program's limits and the calendar allow a loan.

    Raises InvalidTerms with one pointer per wrong field: /principal_amount, /interest_rate, /term_periods,
    /origination_date, /first_payment_date.
    """
    limits, errors = terms.program.limits, []
    if not limits.min_principal <= terms.principal <= limits.max_principal:
        allowed = f"from {format_amount(limits.min_principal)} to {format_amount(limits.max_principal)}"
        errors.append(FieldError("/principal_amount", f"the program allows {allowed}", "outside_program_limits"))
    if not limits.min_rate <= terms.annual_rate <= limits.max_rate:
        allowed = f"from {format_rate(limits.min_rate)} to {format_rate(limits.max_rate)}"
        errors.append(FieldError("/interest_rate", f"the program allows {allowed}", "outside_program_limits"))
    single = terms.program.frequency is Frequency.SINGLE
    if single and terms.periods != 1:
        errors.append(FieldError("/term_periods", "a single-payment loan has exactly 1 period", "invalid_due_dates"))
    elif not limits.min_periods <= terms.periods <= limits.max_periods:
        allowed = f"from {limits.min_periods} to {limits.max_periods}"
        errors.append(FieldError("/term_periods", f"the program allows {allowed}", "outside_program_limits"))
    errors += _check_dates(terms, single)
    errors += [] if errors else _check_schedule(terms)
    if errors:
        fields = ", ".join(error.pointer.lstrip("/") for error in errors)
        raise InvalidTerms(f"The terms are not acceptable: {fields}.", errors=errors)


def _check_dates(terms: LoanTerms, single: bool) -> list[FieldError]:
    start, first = terms.contract_date, terms.first_due_date
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        return [FieldError("/origination_date", f"must be in the years {FIRST_YEAR} to {LAST_YEAR}", "invalid_date")]
    if first <= start:
        return [FieldError("/first_payment_date", f"must be after the origination date {start}", "invalid_due_dates")]
    if not single and first - start > LONGEST_FIRST_PERIOD:
        latest = start + LONGEST_FIRST_PERIOD
        return [FieldError("/first_payment_date", f"must not be after {latest}", "invalid_due_dates")]
    return []


def _check_schedule(terms: LoanTerms) -> list[FieldError]:
    try:
        last = contractual_due_dates(terms)[-1]
    except InvalidTerms as error:
        return [FieldError("/first_payment_date", error.detail, "invalid_due_dates")]
    if last.year > LAST_YEAR:
        detail = f"the last instalment would fall due in {last.year}, after {LAST_YEAR}"
        return [FieldError("/first_payment_date", detail, "invalid_due_dates")]
    return []


def check_loan_number(value: str, pointer: str) -> str:
    """A loan number, trimmed: 1 to 50 characters. Of the form of our own series (LN-0001, LN-0002, ...) at most
    LONGEST_SERIAL digits, so that there is always a next one.

    Raises InvalidInput at `pointer`.
    """
    number = check_text(value, pointer, longest=50)
    digits = number.removeprefix(LOAN_NUMBER_PREFIX)
    if digits != number and digits.isdecimal() and len(digits) > LONGEST_SERIAL:
        message = f"must have at most {LONGEST_SERIAL} digits after {LOAN_NUMBER_PREFIX}"
        raise InvalidInput.at(pointer, message)
    return number


def check_booking_date(origination: date, business_date: date) -> None:
    """A loan is booked at most a year ahead. Raises InvalidInput at /origination_date."""
    if origination - business_date > FARTHEST_ORIGINATION:
        latest = business_date + FARTHEST_ORIGINATION
        raise InvalidInput.at("/origination_date", f"must not be after {latest}", code="date_in_future")


def check_disbursement_date(terms: LoanTerms, on: date, business_date: date, pointer: str = "/date") -> None:
    """Money goes out between origination and the first due date, and never in the future.

    Raises InvalidInput at `pointer`.
    """
    if on < terms.contract_date:
        message = f"must not be before the origination date {terms.contract_date}"
        raise InvalidInput.at(pointer, message, code="date_before_origination")
    if on > business_date:
        raise InvalidInput.at(pointer, f"must not be after the business date {business_date}", code="date_in_future")
    if on >= terms.first_due_date:
        message = f"must be before the first due date {terms.first_due_date}"
        raise InvalidInput.at(pointer, message, code="date_after_first_due_date")


def contractual_due_dates(terms: LoanTerms) -> list[date]:
    """The due dates of a loan's contract, first to last.

    Rolled off weekends where the program rolls; holidays are not part of the terms, so a due date on a holiday stands
    and only the draft moves. Raises InvalidTerms where the calendar has no such dates.
    """
    program = terms.program
    return due_dates(program.frequency, terms.first_due_date, terms.periods, roll_rule=program.due_date_roll)


def contractual_schedule(terms: LoanTerms, dates: Sequence[date]) -> Schedule:
    """The schedule of a loan's contract on its due dates (`contractual_due_dates`). Raises InvalidTerms for terms that
    have none."""
    program = terms.program
    return build_schedule(
        terms.principal,
        terms.annual_rate,
        terms.contract_date,
        dates,
        frequency=program.frequency,
        period_interest=program.period_interest,
        day_count=program.day_count,
        first_period=program.first_period,
        rounding=program.rounding,
    )


def book(terms: LoanTerms) -> Booked:
    """The schedule and the APR a loan is booked with.

    Raises InvalidTerms for terms that have no schedule, or one that could not be serviced: at /interest_rate where the
    level payment does not cover the interest, at /principal_amount where the payments sum to more than MAX_MINOR.
    """
    schedule = contractual_schedule(terms, contractual_due_dates(terms))
    _check_serviceable(schedule)
    return disclose(terms, schedule.rows, schedule.level_payment)


def _check_serviceable(schedule: Schedule) -> None:
    row = first_uncovered(schedule.rows)
    if row is not None:
        short = f"the level payment, {format_amount(schedule.level_payment)}, does not cover the interest of instalment "
        message = f"{short}{row.number}, {format_amount(row.interest)}: a lower rate or fewer periods would be allowed"
        raise InvalidTerms.at("/interest_rate", message, code="interest_not_covered")
    if schedule.total_of_payments > MAX_MINOR:
        message = f"the payments must not sum to more than {format_amount(MAX_MINOR)}"
        raise InvalidTerms.at("/principal_amount", message, code="amount_too_large")


def disclose(terms: LoanTerms, rows: tuple[Row, ...], level_payment: int) -> Booked:
    """What is disclosed of a schedule: finance charge, total of payments, APR (12 CFR 1026.22, Appendix J)."""
    total = sum(row.payment for row in rows)
    schedule = Schedule(rows, level_payment, total - terms.principal, total)
    payments = [(row.due_date, row.payment) for row in rows]
    try:
        rate = apr([(terms.contract_date, terms.principal)], payments, _unit_period(terms))
    except InvalidTerms:
        return Booked(schedule, None)
    return Booked(schedule, round_apr(rate, APR_PLACES))


def _unit_period(terms: LoanTerms) -> UnitPeriod | None:
    """The month where months plainly are the interval that occurs most often; else it is inferred, which takes longer."""
    program = terms.program
    monthly = program.frequency is Frequency.MONTHLY and program.due_date_roll is DueDateRoll.NONE
    return UnitPeriod(UnitKind.MONTH) if monthly and terms.periods > 3 else None
