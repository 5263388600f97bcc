"""A borrower's own recurring payments. Another borrower's are answered like ones that do not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import BorrowerUser, Caller
from api.pagination import Page, Paging, make_page
from api.routers import autopay as shared
from api.routers.recurring_payments import command_of
from api.schemas.autopay import AutopayPreview
from api.schemas.recurring_payments import RecurringPayment, RecurringPaymentRequest, recurring_values
from infra.db.queries import loans as loan_queries
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from services import autopay

router = APIRouter(prefix="/portal", tags=["portal-recurring-payments"])


@router.get("/loans/{loan_id}/recurring-payments")
async def list_recurring_payments(loan_id: UUID, caller: BorrowerUser, paging: Paging) -> Page[RecurringPayment]:
    """The loan's recurring payments, open and ended, the newest first."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        rows = await uow.all(queries.recurring_payments(loan_id, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: RecurringPayment(**recurring_values(row)))


@router.post("/loans/{loan_id}/recurring-payments", status_code=201, response_model=RecurringPayment)
async def create_recurring_payment(
    loan_id: UUID, body: RecurringPaymentRequest, request: Request, caller: BorrowerUser
) -> Response:
    """Have a fixed amount drafted again and again, beside the autopay."""

    async def action(uow: UnitOfWork) -> UUID:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        return await autopay.enrol(uow, command_of(loan_id, body))

    return await _change(request, caller, action, status=201)


@router.get("/recurring-payments/{recurring_payment_id}/preview")
async def preview(recurring_payment_id: UUID, caller: BorrowerUser) -> AutopayPreview:
    """The next 12 drafts: when, how much, from which account, or why none."""
    async with caller.uow() as uow:
        await uow.one(queries.recurring_payment(recurring_payment_id, caller.borrower), "recurring payment")
        return await shared.upcoming(uow, recurring_payment_id)


@router.post("/recurring-payments/{recurring_payment_id}/cancel", response_model=RecurringPayment)
async def cancel_recurring_payment(recurring_payment_id: UUID, request: Request, caller: BorrowerUser) -> Response:
    """End it for good: from the answer on, nothing more is drafted."""

    async def action(uow: UnitOfWork) -> UUID:
        await uow.one(queries.recurring_payment(recurring_payment_id, caller.borrower), "recurring payment")
        return await autopay.cancel_recurring(uow, recurring_payment_id, "cancelled by the borrower")

    return await _change(request, caller, action)


async def _change(
    request: Request, caller: Caller, action: Callable[[UnitOfWork], Awaitable[UUID]], *, status: int = 200
) -> Response:
    async def run(uow: UnitOfWork) -> RecurringPayment:
        row = await uow.one(queries.enrolment(await action(uow)), "recurring payment")
        return RecurringPayment(**recurring_values(row))

    return await execute(request, caller, run, status=status)
