"""Loans: book them, pay them out, and look at where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, cast, func, select

from domain.errors import Conflict, FieldError, InvalidInput, NotFound, WrongState
from domain.events import Disbursed
from domain.happenings import Happening
from domain.history import Known
from domain.instalment_payments import InstalmentPayment, paid_by_instalment
from domain.loan import LoanState, LoanStatus, PayoffQuote
from domain.money import format_amount
from domain.origination import (
    LOAN_NUMBER_PREFIX,
    Booked,
    book,
    check_booking_date,
    check_disbursement_date,
    check_loan_number,
    check_terms,
    periods_of_months,
)
from domain.payoff import payoff_quote
from domain.program import Frequency
from domain.terms import LoanTerms
from domain.webhooks import WebhookType
from infra.db import locks
from infra.db.models.servicing import booked_schedules, borrowers, loans
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import outbox, programs
from services.replaying import LockedLoan, apply_event, load_loan, lock_loan, replay_at, today

FARTHEST_QUOTE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class CreateLoan:
    """A loan to book. `principal_amount` in minor units, `interest_rate` of one a year.

    Exactly one of `term_periods` (instalments) and `term_months` is given. Without a `loan_number` the next of LN-0001,
    LN-0002, ... is taken. What shapes the schedule is named and explained as in LoanTerms.
    """

    borrower_id: UUID
    program_id: UUID
    principal_amount: int
    interest_rate: Fraction
    origination_date: date
    first_payment_date: date
    term_periods: int | None = None
    term_months: int | None = None
    loan_number: str | None = None
    level_payment: int | None = None
    balloon: int = 0
    interest_only_periods: int = 0
    deferred_periods: int = 0
    due_days: tuple[int, ...] = ()
    prepaid_finance_charge: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a loan stands on a date: its contract, its state, what pays it off (None unless it is active), and what was paid
    of each instalment by its number."""

    terms: LoanTerms
    state: LoanState
    payoff: PayoffQuote | None
    paid: Mapping[int, Sequence[InstalmentPayment]]


async def create(uow: UnitOfWork, command: CreateLoan) -> UUID:
    """Book a loan under its program's current version, with the schedule and the APR it has then; returns its id.

    Raises InvalidInput (InvalidTerms) with one pointer per wrong field: what the program's limits or the calendar
    forbid, an unknown borrower or program. WrongState for an archived program, Conflict for a loan number that is taken.
    """
    version = await _program(uow, command.program_id)
    await _check_borrower(uow, command.borrower_id)
    terms = LoanTerms(
        program=version.program,
        principal=command.principal_amount,
        annual_rate=command.interest_rate,
        periods=_periods(command, version.program.frequency),
        contract_date=command.origination_date,
        first_due_date=command.first_payment_date,
        level_payment=command.level_payment,
        balloon=command.balloon,
        interest_only_periods=command.interest_only_periods,
        deferred_periods=command.deferred_periods,
        due_days=command.due_days,
        prepaid_finance_charge=command.prepaid_finance_charge,
    )
    check_terms(terms)
    check_booking_date(terms.contract_date, await uow.business_date())
    booked = book(terms)
    number = await _loan_number(uow, command.loan_number)
    values = contract_values(terms, booked, version, number)
    loan_id = new_id()
    await uow.add(loans, id=loan_id, borrower_id=command.borrower_id, status=str(LoanStatus.BOARDING), **values)
    await uow.add(booked_schedules, loan_id=loan_id, **booked_values(booked))
    after = {
        "loan_number": number,
        "borrower_id": str(command.borrower_id),
        "program_id": str(version.program_id),
        "program_version": version.version,
        "principal_amount": format_amount(terms.principal),
        "term_periods": terms.periods,
    }
    await uow.audit("loan.created", "loan", loan_id, after=after)
    agreed = {"principal_amount": format_amount(terms.principal), "term_periods": terms.periods}
    await outbox.tell(uow, [(loan_id, 0, Happening(WebhookType.LOAN_BOOKED, agreed))])
    return loan_id


def contract_values(terms: LoanTerms, booked: Booked, version: programs.ProgramVersion, loan_number: str) -> dict[str, Any]:
    """The columns of a loan that say what was agreed."""
    return {
        "loan_number": loan_number,
        "program_id": version.program_id,
        "program_version": version.version,
        "principal_amount": terms.principal,
        "annual_rate": terms.annual_rate,
        "term_periods": terms.periods,
        "origination_date": terms.contract_date,
        "first_due_date": terms.first_due_date,
        "maturity_date": booked.schedule.rows[-1].due_date,
        "level_payment": booked.schedule.level_payment,
        "stated_payment": terms.level_payment,
        "balloon": terms.balloon,
        "interest_only_periods": terms.interest_only_periods,
        "deferred_periods": terms.deferred_periods,
        "due_days": list(terms.due_days),
        "prepaid_finance_charge": terms.prepaid_finance_charge,
    }


def booked_values(booked: Booked) -> dict[str, Any]:
    """The columns of a booked schedule but the loan's id."""
    rows = [
        {
            "number": row.number,
            "due_date": row.due_date.isoformat(),
            "payment": format_amount(row.payment),
            "interest": format_amount(row.interest),
            "principal": format_amount(row.principal),
            "balance": format_amount(row.balance),
        }
        for row in booked.schedule.rows
    ]
    return {
        "rows": rows,
        "finance_charge": booked.finance_charge,
        "total_of_payments": booked.total_of_payments,
        "apr": None if booked.apr is None else str(booked.apr),
    }


async def disburse(uow: UnitOfWork, loan_id: UUID, on: date | None = None) -> None:
    """Pay a booked loan out on a date (default: the business date); it is active from then on.

    Raises NotFound, WrongState unless the loan is boarding, InvalidInput at /date for a day before origination, on or
    after the first due date, or in the future.
    """
    loan = await lock_loan(uow, loan_id)
    status = loan.row["status"]
    if status != LoanStatus.BOARDING:
        detail = f"The loan is {status}: only a loan that is boarding is disbursed."
        raise WrongState(detail, state=status, allowed=[str(LoanStatus.BOARDING)])
    business_date = await uow.business_date()
    on = on or business_date
    check_disbursement_date(loan.terms, on, business_date)
    await apply_event(uow, loan, Disbursed(loan.terms.principal), on)
    after = {"status": str(LoanStatus.ACTIVE), "amount": format_amount(loan.terms.principal), "date": on.isoformat()}
    await uow.audit("loan.disbursed", "loan", loan_id, before={"status": status}, after=after)


async def position(
    uow: UnitOfWork, loan_id: UUID, effective_as_of: date | None = None, known_as_of: Known = None
) -> Position:
    """Where a loan stands at the close of a day (default: the business date) by what was known at a time, replayed from
    its events. Raises what `replay_at` does."""
    terms, result = await replay_at(uow, loan_id, effective_as_of, known_as_of)
    return Position(terms, result.state, result.state.payoff, paid_by_instalment(result))


async def day_of_loan(uow: UnitOfWork, loan: LockedLoan, on: date | None) -> date:
    """A day to look at a loan on (default: the business date): from its beginning to the business date.

    Raises InvalidInput at /date for any other.
    """
    business_date = await today(uow, loan)
    on = on or business_date
    begun = loan.replay(business_date).state.opened_on or loan.terms.contract_date
    if not begun <= on <= business_date:
        message = f"must be from {begun}, when the loan began, to the business date, {business_date}"
        raise InvalidInput.at("/date", message, code="invalid_date")
    return on


async def payoff(uow: UnitOfWork, loan_id: UUID, on: date | None = None) -> tuple[date, PayoffQuote]:
    """What pays the loan off on a date (default: the business date) when nothing is paid until then: late fees that
    would be assessed by that day are in it.

    Raises NotFound, WrongState unless the loan is active, InvalidInput at /date for a day in the past or too far ahead.
    """
    loan = await load_loan(uow, loan_id)
    as_of = await today(uow, loan)
    on = on or as_of
    if not as_of <= on <= as_of + FARTHEST_QUOTE:
        raise InvalidInput.at("/date", f"must be from {as_of} to {as_of + FARTHEST_QUOTE}", code="invalid_date")
    return on, payoff_quote(loan.replay(on).state)


async def _program(uow: UnitOfWork, program_id: UUID) -> programs.ProgramVersion:
    try:
        return await programs.bookable(uow, program_id)
    except NotFound:
        raise InvalidInput.at("/program_id", "there is no such program", code="unknown_reference") from None


def _periods(command: CreateLoan, frequency: Frequency) -> int:
    if command.term_periods is not None and command.term_months is None:
        return command.term_periods
    if command.term_months is not None and command.term_periods is None:
        return periods_of_months(frequency, command.term_months)
    raise InvalidInput.at("/term_months", "give exactly one of term_months and term_periods")


async def _check_borrower(uow: UnitOfWork, borrower_id: UUID) -> None:
    if await uow.one_or_none(select(borrowers.c.id).where(borrowers.c.id == borrower_id)) is None:
        raise InvalidInput.at("/borrower_id", "there is no such borrower", code="unknown_reference")


async def _loan_number(uow: UnitOfWork, given: str | None) -> str:
    if given is None:
        return await _next_loan_number(uow)
    number = check_loan_number(given, "/loan_number")
    if await uow.one_or_none(select(loans.c.id).where(loans.c.loan_number == number)) is not None:
        error = FieldError("/loan_number", "is the number of another loan", "loan_number_taken")
        raise Conflict(f"There is a loan {number} already.", code="loan_number_taken", errors=[error])
    return number


async def _next_loan_number(uow: UnitOfWork) -> str:
    """One more than the highest number in use. The lock lasts as long as the transaction: no two find the same one."""
    await locks.hold_alone(uow, locks.LOAN_NUMBERS)
    digits = cast(func.substr(loans.c.loan_number, len(LOAN_NUMBER_PREFIX) + 1), Numeric)
    ours = loans.c.loan_number.regexp_match(f"^{LOAN_NUMBER_PREFIX}[0-9]{{4,}}$")
    highest = (await uow.execute(select(func.max(digits)).where(ours))).scalar_one()
    return f"{LOAN_NUMBER_PREFIX}{int(highest or 0) + 1:04d}"
