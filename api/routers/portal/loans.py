"""A borrower's own loans. Another borrower's loan is answered like one that does not exist."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.deps import BorrowerUser
from api.pagination import Page, Paging, make_page
from api.routers.loans import Booked, QuoteDate, loan_detail, loan_schedule
from api.schemas.loans import Loan, LoanDetail, Payoff, Schedule, loan_of, payoff_of
from infra.db.queries import loans as queries
from services import loans as service

router = APIRouter(prefix="/portal/loans", tags=["portal"])


@router.get("")
async def list_loans(caller: BorrowerUser, paging: Paging) -> Page[Loan]:
    """The borrower's loans, the newest first."""
    narrow = queries.LoanFilter(borrower_id=caller.borrower)
    async with caller.uow() as uow:
        rows = await uow.all(queries.loan_list(narrow, paging.after, paging.limit))
    return make_page(rows, paging, loan_of)


@router.get("/{loan_id}")
async def get_loan(loan_id: UUID, caller: BorrowerUser) -> LoanDetail:
    """One of the borrower's loans at the close of the business date."""
    async with caller.uow() as uow:
        await uow.one(queries.loan(loan_id, caller.borrower), "loan")
        return await loan_detail(uow, loan_id, to_borrower=True)


@router.get("/{loan_id}/schedule")
async def get_loan_schedule(loan_id: UUID, caller: BorrowerUser, booked: Booked = False) -> Schedule:
    """The loan's instalments with what was paid of them, or the schedule it was booked with."""
    async with caller.uow() as uow:
        await uow.one(queries.loan(loan_id, caller.borrower), "loan")
        return await loan_schedule(uow, loan_id, booked=booked)


@router.get("/{loan_id}/payoff")
async def get_loan_payoff(loan_id: UUID, caller: BorrowerUser, date: QuoteDate = None) -> Payoff:
    """What pays the loan off on a date, from the business date on."""
    async with caller.uow() as uow:
        await uow.one(queries.loan(loan_id, caller.borrower), "loan")
        on, quote = await service.payoff(uow, loan_id, date)
    return payoff_of(loan_id, on, quote)
