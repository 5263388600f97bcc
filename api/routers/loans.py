"""Loans: book, disburse, read."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.as_of import EffectiveAsOf, KnownAsOf
from api.commands import execute
from api.deps import LoanOfficer, Viewer
from api.expand import expand_of
from api.pagination import DEFAULT_LIMIT, Page, PageRequest, Paging, make_page
from api.routers.payments import page_of
from api.schemas.base import Bucket, Date
from api.schemas.borrowers import borrower_of
from api.schemas.loans import (
    DisburseRequest,
    Loan,
    LoanDetail,
    LoanRequest,
    Payoff,
    Schedule,
    booked_schedule_of,
    current_schedule_of,
    loan_detail_of,
    loan_of,
    payoff_of,
)
from api.schemas.programs import program_of
from domain.flags import told_to_borrower
from domain.history import Known
from domain.loan import LoanStatus
from infra.db.queries import borrowers as borrower_queries
from infra.db.queries import loans as queries
from infra.db.queries import programs as program_queries
from infra.db.queries.payments import PaymentFilter
from infra.db.uow import UnitOfWork
from services import flags
from services import loans as service

router = APIRouter(prefix="/loans", tags=["loans"])

Expand = Annotated[frozenset[str], Depends(expand_of("borrower", "program", "schedule", "payments"))]
Booked = Annotated[bool, Query(description="the schedule as agreed, instead of as it stands")]
QuoteDate = Annotated[Date | None, Query(description="default: the business date")]


def _filter(
    status: LoanStatus | None = None,
    borrower_id: UUID | None = None,
    program_id: UUID | None = None,
    delinquency_bucket: Bucket | None = None,
    loan_number: Annotated[str | None, Query(max_length=50)] = None,
    next_due_from: Annotated[Date | None, Query(description="next payment on this day or later")] = None,
    next_due_to: Annotated[Date | None, Query(description="next payment on this day or earlier")] = None,
) -> queries.LoanFilter:
    return queries.LoanFilter(
        status=None if status is None else str(status),
        borrower_id=borrower_id,
        program_id=program_id,
        delinquency_bucket=delinquency_bucket,
        loan_number=loan_number,
        next_due_from=next_due_from,
        next_due_to=next_due_to,
    )


@router.get("")
async def list_loans(caller: Viewer, paging: Paging, narrow: Annotated[queries.LoanFilter, Depends(_filter)]) -> Page[Loan]:
    """Loans, the newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.loan_list(narrow, paging.after, paging.limit))
    return make_page(rows, paging, loan_of)


@router.post("", status_code=201, response_model=LoanDetail)
async def create_loan(body: LoanRequest, request: Request, caller: LoanOfficer) -> Response:
    """Book a loan under its program's current version. Its status is `boarding` until it is disbursed."""

    async def action(uow: UnitOfWork) -> LoanDetail:
        command = service.CreateLoan(
            borrower_id=body.borrower_id,
            program_id=body.program_id,
            principal_amount=body.principal_amount,
            interest_rate=body.interest_rate,
            term_periods=body.term_periods,
            term_months=body.term_months,
            origination_date=body.origination_date,
            first_payment_date=body.first_payment_date,
            loan_number=body.loan_number,
            level_payment=body.level_payment,
            balloon=body.balloon or 0,
            interest_only_periods=body.interest_only_periods or 0,
            deferred_periods=body.deferred_periods or 0,
            due_days=tuple(body.due_days or ()),
            prepaid_finance_charge=body.prepaid_finance_charge or 0,
        )
        loan_id = await service.create(uow, command)
        return await loan_detail(uow, loan_id)

    return await execute(request, caller, action)


@router.get("/{loan_id}")
async def get_loan(
    loan_id: UUID, caller: Viewer, expand: Expand, known_as_of: KnownAsOf, effective_as_of: EffectiveAsOf = None
) -> LoanDetail:
    """A loan at the close of a day, as it was known at a time. Its `flags`, `processed_through` and `expand=payments` are of
    now."""
    async with caller.uow() as uow:
        return await loan_detail(uow, loan_id, expand, effective_as_of=effective_as_of, known_as_of=known_as_of)


@router.post("/{loan_id}/disburse", response_model=LoanDetail)
async def disburse_loan(loan_id: UUID, body: DisburseRequest, request: Request, caller: LoanOfficer) -> Response:
    """Pay a booked loan out: it is active from then on."""

    async def action(uow: UnitOfWork) -> LoanDetail:
        await service.disburse(uow, loan_id, body.date)
        return await loan_detail(uow, loan_id)

    return await execute(request, caller, action, status=200)


@router.get("/{loan_id}/schedule")
async def get_loan_schedule(
    loan_id: UUID,
    caller: Viewer,
    known_as_of: KnownAsOf,
    booked: Booked = False,
    effective_as_of: EffectiveAsOf = None,
) -> Schedule:
    """A loan's instalments with what was paid of them by a day, as it was known at a time, or the schedule it was booked
    with."""
    async with caller.uow() as uow:
        return await loan_schedule(uow, loan_id, booked=booked, effective_as_of=effective_as_of, known_as_of=known_as_of)


@router.get("/{loan_id}/payoff")
async def get_loan_payoff(loan_id: UUID, caller: Viewer, date: QuoteDate = None) -> Payoff:
    """What pays the loan off on a date, from the business date on."""
    async with caller.uow() as uow:
        on, quote = await service.payoff(uow, loan_id, date)
    return payoff_of(loan_id, on, quote)


async def loan_detail(
    uow: UnitOfWork,
    loan_id: UUID,
    expand: frozenset[str] = frozenset(),
    *,
    effective_as_of: Date | None = None,
    known_as_of: Known = None,
    to_borrower: bool = False,
) -> LoanDetail:
    """A loan as it is answered to staff or to its borrower, with what `expand` names. Raises NotFound."""
    row = await uow.one(queries.loan(loan_id), "loan")
    position = await service.position(uow, loan_id, effective_as_of, known_as_of)
    booked = await uow.one(queries.booked_schedule(loan_id), "schedule")
    expanded: dict[str, Any] = {}
    if "borrower" in expand:
        expanded["borrower"] = borrower_of(await uow.one(borrower_queries.borrower(row["borrower_id"]), "borrower"))
    if "program" in expand:
        found = await uow.one(program_queries.program(row["program_id"], row["program_version"]), "program")
        expanded["program"] = program_of(found)
    if "schedule" in expand:
        expanded["schedule"] = current_schedule_of(loan_id, position.state, position.paid)
    if "payments" in expand:
        page = await page_of(uow, PaymentFilter(loan_id=loan_id), PageRequest(DEFAULT_LIMIT, None))
        expanded["payments"] = page.items
    flagged = await flags.flags_of(uow, loan_id)
    shown = told_to_borrower(flagged) if to_borrower else sorted(flagged)
    return loan_detail_of(row, position, booked, shown, **expanded)


async def loan_schedule(
    uow: UnitOfWork,
    loan_id: UUID,
    *,
    booked: bool,
    effective_as_of: Date | None = None,
    known_as_of: Known = None,
) -> Schedule:
    """A loan's schedule as it is answered; before it is disbursed only the booked one has rows. Raises NotFound."""
    if not booked:
        position = await service.position(uow, loan_id, effective_as_of, known_as_of)
        return current_schedule_of(loan_id, position.state, position.paid)
    await uow.one(queries.loan(loan_id), "loan")
    row = await uow.one(queries.booked_schedule(loan_id), "schedule")
    return booked_schedule_of(loan_id, row["rows"])
