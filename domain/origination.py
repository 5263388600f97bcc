"""Booking a loan: what a program allows, the schedule the loan is booked with, and what is disclosed of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from domain.amortization import (
    LEVEL,
    Row,
    Schedule,
    Shape,
    build_schedule,
    first_uncovered,
)
from domain.apr import UnitKind, UnitPeriod, apr, round_apr
from domain.borrower import check_text
from domain.calendars import FIRST_YEAR, LAST_YEAR, PERIODS_PER_YEAR, due_dates
from domain.errors import FieldError, InvalidInput, InvalidTerms
from domain.money import MAX_MINOR, format_amount, format_rate
from domain.period_interest import period_factors, periods_to_first_due
from domain.program import DueDateRoll, FirstPeriod, Frequency, InterestMethod, PeriodInterest, Program, Smoothing
from domain.terms import LoanTerms

LONGEST_FIRST_PERIOD = timedelta(days=366)
FARTHEST_ORIGINATION = timedelta(days=366)
"""A loan can be booked ahead of its origination, but not further: what is further is a typing error."""
MOST_DEFERRED = 120
APR_PLACES = 4
LOAN_NUMBER_PREFIX = "LN-"
LONGEST_SERIAL = 12
"""Digits of a given loan number of our own series."""


@dataclass(frozen=True, slots=True)
class Booked:
    """The schedule a loan was booked with, and what is disclosed of it (12 CFR 1026.18), amounts in minor units.

    Amount financed = principal less the prepaid finance charge; finance charge = interest, instalment fees and the
    prepaid finance charge; total of payments = the sum of the two. `apr` in percent with 4 decimals, None where no rate
    solves the equation (`why_no_apr` says why).
    """

    schedule: Schedule
    amount_financed: int
    finance_charge: int
    total_of_payments: int
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
    /origination_date, /first_payment_date, and what shapes the schedule, by its name in LoanTerms.
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
    errors += _check_shape(terms)
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
    latest = start + LONGEST_FIRST_PERIOD * (1 + _deferred_years(terms))
    if not single and first > latest:
        return [FieldError("/first_payment_date", f"must not be after {latest}", "invalid_due_dates")]
    return []


def _deferred_years(terms: LoanTerms) -> int:
    """Years that hold the deferred periods, the last of them begun."""
    deferred = min(max(terms.deferred_periods, 0), MOST_DEFERRED)
    return -(-deferred // PERIODS_PER_YEAR.get(terms.program.frequency, 1))


def _check_shape(terms: LoanTerms) -> list[FieldError]:
    one = terms.periods == 1
    level, balloon, interest_only = terms.level_payment, terms.balloon, terms.interest_only_periods
    most_deferred = 0 if terms.program.frequency is Frequency.SINGLE else MOST_DEFERRED
    checks = [
        ("level_payment", level is not None and level < 1, "must be above 0.00"),
        ("level_payment", level is not None and one, "the only payment settles the loan: leave it out"),
        ("balloon", not 0 <= balloon <= terms.principal, "must be from 0.00 to the principal"),
        ("balloon", balloon > 0 and one, "the only payment settles the loan: leave it out"),
        (
            "balloon",
            balloon > 0 and level is not None,
            "with a stated level_payment the last payment is what is left: leave one of the two out",
        ),
        ("interest_only_periods", not 0 <= interest_only < terms.periods, f"must be from 0 to {terms.periods - 1}"),
        ("deferred_periods", not 0 <= terms.deferred_periods <= most_deferred, f"must be from 0 to {most_deferred}"),
        (
            "prepaid_finance_charge",
            not 0 <= terms.prepaid_finance_charge < terms.principal,
            "must be at least 0.00 and less than the principal",
        ),
    ]
    return [FieldError(f"/{name}", message, "invalid_schedule") for name, wrong, message in checks if wrong]


def _check_schedule(terms: LoanTerms) -> list[FieldError]:
    try:
        dates = contractual_due_dates(terms)
    except InvalidTerms as error:
        field = "/due_days" if error.code == "invalid_due_days" else "/first_payment_date"
        return [FieldError(field, error.detail, error.code)]
    if dates[-1].year > LAST_YEAR:
        detail = f"the last instalment would fall due in {dates[-1].year}, after {LAST_YEAR}"
        return [FieldError("/first_payment_date", detail, "invalid_due_dates")]
    for before, due in pairwise([terms.contract_date, *dates]):
        if due <= before:
            detail = f"a due date is rolled to {due}, which is not after {before}"
            return [FieldError("/first_payment_date", detail, "invalid_due_dates")]
    return _check_deferred(terms) if terms.deferred_periods else []


def _check_deferred(terms: LoanTerms) -> list[FieldError]:
    """The deferred periods and one more lie between origination and the first due date, with less than one to spare."""
    periods, deferred = _periods_to_first_due(terms), terms.deferred_periods
    if deferred < periods < deferred + 2:
        return []
    before = f"{int(periods)} whole {terms.program.frequency} periods lie before {terms.first_due_date}"
    message = f"{before}: {deferred} deferred ones and the one that is due take {deferred + 1}"
    return [FieldError("/deferred_periods", message, "invalid_schedule")]


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
    return due_dates(
        program.frequency,
        terms.first_due_date,
        terms.periods,
        due_days=terms.due_days,
        roll_rule=program.due_date_roll,
    )


class Bearing(NamedTuple):
    """How the periods of a loan bear interest on its schedule."""

    period_interest: PeriodInterest
    first_period: FirstPeriod


def bearing(program: Program) -> Bearing:
    """How the schedule of a loan under the program bears interest: by the days, where interest accrues daily."""
    if program.interest_method is InterestMethod.SIMPLE_DAILY:
        return Bearing(PeriodInterest.DAY_COUNT, FirstPeriod.REGULAR)
    return Bearing(program.period_interest, program.first_period)


def contractual_parts(terms: LoanTerms, dates: Sequence[date]) -> list[Fraction]:
    """The part of a yearly rate that each period of a loan's contract bears, exactly. `dates`: `contractual_due_dates`."""
    program = terms.program
    period_interest, first_period = bearing(program)
    return period_factors(
        Fraction(1),
        terms.contract_date,
        dates,
        frequency=program.frequency,
        period_interest=period_interest,
        day_count=program.day_count,
        first_period=first_period,
        first_periods=_periods_to_first_due(terms),
    )


def contractual_shape(terms: LoanTerms) -> Shape:
    """How the instalments of a loan's contract are not level; LEVEL itself where they are."""
    if not (terms.interest_only_periods or terms.balloon or terms.deferred_periods):
        return LEVEL
    deferred = Fraction(terms.deferred_periods)
    share = deferred / _periods_to_first_due(terms) if deferred else deferred
    return Shape(terms.interest_only_periods, terms.balloon, share)


def _periods_to_first_due(terms: LoanTerms) -> Fraction:
    """Counted from the first due date before any roll: a weekend adds no odd days."""
    return periods_to_first_due(terms.program.frequency, terms.contract_date, terms.first_due_date, terms.due_days)


def contractual_schedule(terms: LoanTerms, dates: Sequence[date]) -> Schedule:
    """The schedule of a loan's contract on its due dates (`contractual_due_dates`). Raises InvalidTerms for terms that
    have none."""
    program = terms.program
    period_interest, first_period = bearing(program)
    return build_schedule(
        terms.principal,
        terms.annual_rate,
        terms.contract_date,
        dates,
        frequency=program.frequency,
        period_interest=period_interest,
        day_count=program.day_count,
        first_period=first_period,
        first_periods=_periods_to_first_due(terms),
        rounding=program.rounding,
        one_cent_iteration=program.smoothing is Smoothing.ONE_CENT and terms.level_payment is None,
        payment=terms.level_payment,
        shape=contractual_shape(terms),
    )


def book(terms: LoanTerms) -> Booked:
    """The schedule and the APR a loan is booked with.

    Raises InvalidTerms for terms that have no schedule, or one that could not be serviced: where the level payment does
    not cover the interest (at /level_payment where it is stated, else at /balloon, else at /interest_rate), at
    /level_payment where a stated one pays the loan off early, at /principal_amount where the payments sum to more than
    MAX_MINOR.
    """
    schedule = contractual_schedule(terms, contractual_due_dates(terms))
    _check_serviceable(terms, schedule)
    return disclose(terms, schedule.rows, schedule.level_payment)


def _check_serviceable(terms: LoanTerms, schedule: Schedule) -> None:
    row, stated = first_uncovered(schedule.rows), terms.level_payment is not None
    if row is not None:
        short = f"the level payment, {format_amount(schedule.level_payment)}, does not cover the interest of instalment "
        message = f"{short}{row.number}, {format_amount(row.interest)}: a lower rate or fewer periods would be allowed"
        field = "/level_payment" if stated else "/balloon" if terms.balloon else "/interest_rate"
        raise InvalidTerms.at(field, message, code="interest_not_covered")
    if stated and len(schedule.rows) < terms.periods:
        message = f"pays the loan off in {len(schedule.rows)} instalments, not {terms.periods}"
        raise InvalidTerms.at("/level_payment", message, code="pays_off_early")
    if schedule.total_of_payments > MAX_MINOR:
        message = f"the payments must not sum to more than {format_amount(MAX_MINOR)}"
        raise InvalidTerms.at("/principal_amount", message, code="amount_too_large")


def disclose(terms: LoanTerms, rows: tuple[Row, ...], level_payment: int) -> Booked:
    """What is disclosed of a schedule: finance charge, total of payments, APR (12 CFR 1026.22, Appendix J).

    The flat fee of every instalment is part of the finance charge (12 CFR 1026.4(b)(2)).
    """
    prepaid = terms.prepaid_finance_charge
    total = sum(row.payment for row in rows)
    schedule = Schedule(rows, level_payment, total - terms.principal, total)
    try:
        rate = round_apr(_apr(terms, [(row.due_date, row.payment) for row in rows]), APR_PLACES)
    except InvalidTerms:
        rate = None
    charged = terms.program.instalment_fee * len(rows)
    return Booked(
        schedule=schedule,
        amount_financed=terms.principal - prepaid,
        finance_charge=schedule.finance_charge + charged + prepaid,
        total_of_payments=total + charged,
        apr=rate,
    )


def why_no_apr(terms: LoanTerms, payments: Iterable[tuple[date, int]]) -> str | None:
    """Why a loan has no APR, in a sentence; None where it has one. `payments`: due date and minor units of each booked
    instalment."""
    try:
        _apr(terms, payments)
    except InvalidTerms as refused:
        return refused.detail
    return None


def _apr(terms: LoanTerms, payments: Iterable[tuple[date, int]]) -> Decimal:
    fee = terms.program.instalment_fee
    flows = [(terms.contract_date, terms.prepaid_finance_charge), *((due, payment + fee) for due, payment in payments)]
    return apr([(terms.contract_date, terms.principal)], flows, _unit_period(terms))


def _unit_period(terms: LoanTerms) -> UnitPeriod | None:
    """The month where months plainly are the interval that occurs most often; else it is inferred, which takes longer."""
    program = terms.program
    monthly = program.frequency is Frequency.MONTHLY and program.due_date_roll is DueDateRoll.NONE
    return UnitPeriod(UnitKind.MONTH) if monthly and terms.periods > 3 else None
