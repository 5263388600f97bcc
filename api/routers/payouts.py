"""Refunds of payments and reimbursements: ask, preview, approve, reject, cancel, and look where the money is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.routers.processes import status_url
from api.schemas.payouts import (
    CancelRequest,
    Payout,
    PayoutPreview,
    PayoutProcess,
    PayoutWorkflowState,
    RefundRequest,
    ReimbursementRequest,
    RejectRequest,
    payout_values,
    preview_of,
)
from infra.db.queries import payouts as queries
from infra.db.queries.loans import loan_owner
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import payouts as service

router = APIRouter(tags=["payouts"])


@router.post("/payments/{payment_id}/refund", status_code=201, response_model=PayoutProcess)
async def refund_payment(payment_id: UUID, body: RefundRequest, request: Request, caller: LoanOfficer) -> Response:
    """Give a part of a payment back, from the loan's unapplied funds unless `override` says otherwise.

    Above the approval limit it waits for another person, and nothing is posted until then.
    """
    command = service.Refund(payment_id, body.amount, body.reason, body.override)
    return await _change(request, caller, lambda uow: service.refund(uow, command), status=201)


@router.post("/payments/{payment_id}/refund/preview")
async def preview_refund_payment(payment_id: UUID, body: RefundRequest, caller: LoanOfficer) -> PayoutPreview:
    """What refunding would do. Writes nothing."""
    command = service.Refund(payment_id, body.amount, body.reason, body.override)
    async with caller.uow() as uow:
        return preview_of(body.amount, await service.preview_refund(uow, command))


@router.post("/loans/{loan_id}/payments/reimbursement", status_code=201, response_model=PayoutProcess)
async def reimburse(loan_id: UUID, body: ReimbursementRequest, request: Request, caller: LoanOfficer) -> Response:
    """Pay the borrower money of the lender's own. It is no payment of the loan, and touches none of its balances.

    Above the approval limit it waits for another person, and nothing is posted until then.
    """
    amount, reason = body.amount, body.reason
    return await _change(request, caller, lambda uow: service.reimburse(uow, loan_id, amount, reason), status=201)


@router.post("/loans/{loan_id}/payments/reimbursement/preview")
async def preview_reimburse(loan_id: UUID, body: ReimbursementRequest, caller: LoanOfficer) -> PayoutPreview:
    """What reimbursing would do. Writes nothing."""
    async with caller.uow() as uow:
        return preview_of(body.amount, await service.preview_reimbursement(uow, loan_id, body.amount))


@router.post("/refunds/{payout_id}/approve", response_model=PayoutProcess)
async def approve_refund(payout_id: UUID, request: Request, caller: LoanOfficer) -> Response:
    """Approve a refund or reimbursement that another person asked for: it is posted, and goes out."""
    return await _change(request, caller, lambda uow: service.approve(uow, payout_id))


@router.post("/refunds/{payout_id}/reject", response_model=PayoutProcess)
async def reject_refund(payout_id: UUID, body: RejectRequest, request: Request, caller: LoanOfficer) -> Response:
    """Reject a refund or reimbursement that another person asked for: what it was to take is free again."""
    return await _change(request, caller, lambda uow: service.reject(uow, payout_id, body.reason))


@router.post("/payouts/{payout_id}/cancel", response_model=PayoutProcess)
async def cancel_payout(payout_id: UUID, body: CancelRequest, request: Request, caller: LoanOfficer) -> Response:
    """Take back an approved refund or reimbursement that the rail has not taken yet: its entry is mirrored, and its process
    ends."""
    return await _change(request, caller, lambda uow: service.cancel(uow, payout_id, body.reason))


@router.get("/payouts/{payout_id}")
async def get_payout(payout_id: UUID, request: Request, caller: Viewer) -> PayoutProcess:
    """A refund or reimbursement: where it is, and who must do something next."""
    temporal: Temporal = request.app.state.temporal
    async with caller.uow() as uow:
        found = await _view(uow, temporal, payout_id)
    answer = None if found.workflow_id is None else await temporal.query(found.workflow_id, "status")
    return found.model_copy(update={"workflow": PayoutWorkflowState.model_validate(answer) if answer else None})


@router.get("/loans/{loan_id}/payouts")
async def list_loan_payouts(loan_id: UUID, caller: Viewer, paging: Paging) -> Page[Payout]:
    """A loan's refunds and reimbursements, the newest first."""
    async with caller.uow() as uow:
        await uow.one(loan_owner(loan_id), "loan")
        rows = await uow.all(queries.payouts_of_loan(loan_id, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: Payout(**payout_values(row)))


async def _change(
    request: Request, caller: Caller, action: Callable[[UnitOfWork], Awaitable[UUID]], *, status: int = 200
) -> Response:
    async def run(uow: UnitOfWork) -> PayoutProcess:
        return await _view(uow, request.app.state.temporal, await action(uow))

    return await execute(request, caller, run, status=status)


async def _view(uow: UnitOfWork, temporal: Temporal, payout_id: UUID) -> PayoutProcess:
    row = await uow.one(queries.payout(payout_id), "payout")
    values = payout_values(row)
    if row["approved_on"] is None:
        return PayoutProcess(**values, workflow_id=None, status_url=None, ui_url=None)
    workflow_id = service.workflow_id(payout_id)
    ui_url = temporal.ui_link(workflow_id)
    return PayoutProcess(**values, workflow_id=workflow_id, status_url=status_url(workflow_id), ui_url=ui_url)
