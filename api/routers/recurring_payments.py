"""Recurring payments of a loan, for staff: enrolments of the autopay's machine, of a fixed amount, as many as wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.engine import RowMapping

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.routers import autopay as shared
from api.routers.processes import status_url
from api.schemas.autopay import AutopayPreview
from api.schemas.recurring_payments import (
    CancelRequest,
    RecurringPaymentProcess,
    RecurringPaymentRequest,
    recurring_values,
)
from domain.autopay import EnrolmentKind
from domain.draft_amounts import AmountType
from infra.db.queries import loans as loan_queries
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import autopay

router = APIRouter(tags=["recurring-payments"])


@router.get("/loans/{loan_id}/recurring-payments")
async def list_recurring_payments(
    loan_id: UUID, request: Request, caller: Viewer, paging: Paging
) -> Page[RecurringPaymentProcess]:
    """The loan's recurring payments, open and ended, the newest first."""
    temporal: Temporal = request.app.state.temporal
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        rows = await uow.all(queries.recurring_payments(loan_id, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: _process_of(temporal, row))


@router.post("/loans/{loan_id}/recurring-payments", status_code=201, response_model=RecurringPaymentProcess)
async def create_recurring_payment(
    loan_id: UUID, body: RecurringPaymentRequest, request: Request, caller: LoanOfficer
) -> Response:
    """Draft a fixed amount again and again, beside the loan's autopay if it has one."""
    return await _change(request, caller, lambda uow: autopay.enrol(uow, command_of(loan_id, body)), status=201)


@router.get("/recurring-payments/{recurring_payment_id}/preview")
async def preview(recurring_payment_id: UUID, caller: Viewer) -> AutopayPreview:
    """The next 12 drafts: when, how much, from which account, or why none."""
    async with caller.uow() as uow:
        await uow.one(queries.recurring_payment(recurring_payment_id), "recurring payment")
        return await shared.upcoming(uow, recurring_payment_id)


@router.post("/recurring-payments/{recurring_payment_id}/cancel", response_model=RecurringPaymentProcess)
async def cancel_recurring_payment(
    recurring_payment_id: UUID, request: Request, caller: LoanOfficer, body: CancelRequest = CancelRequest()
) -> Response:
    """End it for good: from the answer on, nothing more is drafted."""
    return await _change(request, caller, lambda uow: autopay.cancel_recurring(uow, recurring_payment_id, body.reason))


def command_of(loan_id: UUID, body: RecurringPaymentRequest) -> autopay.Enrol:
    """The enrolment that a recurring payment is."""
    return autopay.Enrol(loan_id, amount_type=AmountType.STATIC, kind=EnrolmentKind.RECURRING, **dict(body))


async def _change(
    request: Request, caller: Caller, action: Callable[[UnitOfWork], Awaitable[UUID]], *, status: int = 200
) -> Response:
    async def run(uow: UnitOfWork) -> RecurringPaymentProcess:
        row = await uow.one(queries.enrolment(await action(uow)), "recurring payment")
        return _process_of(request.app.state.temporal, row)

    return await execute(request, caller, run, status=status)


def _process_of(temporal: Temporal, row: RowMapping) -> RecurringPaymentProcess:
    workflow_id = autopay.workflow_id(row["id"])
    return RecurringPaymentProcess(
        **recurring_values(row),
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )
