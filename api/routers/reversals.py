"""Reversals of payments: ask for one, decide it, see where it is."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import Answer, execute
from api.deps import LoanOfficer, Viewer
from api.routers.processes import status_url
from api.schemas.corrections import correction_of, preview_of, restated_of
from api.schemas.reversals import (
    ApprovalRequest,
    PaymentReversed,
    RejectionRequest,
    Reversal,
    ReversalPreview,
    ReversalWorkflowState,
    ReverseRequest,
    reversal_of,
)
from infra.db.queries import corrections
from infra.db.queries import payments as payment_queries
from infra.db.queries import reversals as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import reversals as service

router = APIRouter(prefix="/payments/{payment_id}", tags=["reversals"])


@router.post("/reverse", response_model=PaymentReversed, responses={202: {"model": Reversal}})
async def reverse_payment(payment_id: UUID, body: ReverseRequest, request: Request, caller: LoanOfficer) -> Response:
    """Take a completed payment back as if it had never been made: interest, fees and delinquency follow at once, autopay,
    archived days and the borrower's letter by a process.

    A payment of which a part was refunded is refused, with the refunds: cancel them, or record what the bank takes back
    nevertheless as a chargeback. Above the lender's approval limit it answers 202, nothing is posted, and a second person
    decides.
    """

    async def action(uow: UnitOfWork) -> Answer:
        asked = await service.request(uow, payment_id, body.reason, assess_nsf_fee=body.assess_nsf_fee)
        if asked.corrected is None:
            return Answer(await _view(uow, request, payment_id), 202)
        return Answer(_reversed(request, asked), 200)

    return await execute(request, caller, action)


@router.post("/reverse/preview")
async def preview_reverse_payment(payment_id: UUID, body: ReverseRequest, caller: LoanOfficer) -> ReversalPreview:
    """What reversing would change, and whether a second person would have to agree. Writes nothing."""
    async with caller.uow() as uow:
        promised = await service.preview(uow, payment_id, assess_nsf_fee=body.assess_nsf_fee)
    return ReversalPreview(**dict(preview_of(promised.corrected)), approval_needed=promised.approval_needed)


@router.get("/reversal")
async def get_reversal(payment_id: UUID, request: Request, caller: Viewer) -> Reversal:
    """The payment's reversal (the newest): its step, who is waited for and since when, and what was done."""
    async with caller.uow() as uow:
        await uow.one(payment_queries.payment(payment_id), "payment")
        found = await _view(uow, request, payment_id)
    temporal: Temporal = request.app.state.temporal
    answer = await temporal.query(found.workflow_id, "status")
    return found.model_copy(update={"workflow": ReversalWorkflowState.model_validate(answer) if answer else None})


@router.post("/reversal/approve", response_model=PaymentReversed)
async def approve_reversal(
    payment_id: UUID, request: Request, caller: LoanOfficer, body: ApprovalRequest = ApprovalRequest()
) -> Response:
    """Agree to a reversal that waits, as another person than the one who asked for it: the payment is reversed now."""

    async def action(uow: UnitOfWork) -> PaymentReversed:
        return _reversed(request, await service.approve(uow, payment_id, body.reason))

    return await execute(request, caller, action, status=200)


@router.post("/reversal/reject", response_model=Reversal)
async def reject_reversal(payment_id: UUID, body: RejectionRequest, request: Request, caller: LoanOfficer) -> Response:
    """Refuse a reversal that waits, as another person than the one who asked for it: the payment stays as it is."""

    async def action(uow: UnitOfWork) -> Reversal:
        await service.reject(uow, payment_id, body.reason)
        return await _view(uow, request, payment_id)

    return await execute(request, caller, action, status=200)


def _reversed(request: Request, done: service.Reversal) -> PaymentReversed:
    assert done.corrected is not None
    workflow_id = service.workflow_id(done.id)
    temporal: Temporal = request.app.state.temporal
    return PaymentReversed(
        **dict(correction_of(done.corrected)),
        reversal_id=done.id,
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )


async def _view(uow: UnitOfWork, request: Request, payment_id: UUID) -> Reversal:
    row = await uow.one(queries.latest_of(payment_id), "reversal of this payment")
    days = await uow.one(corrections.restated(row["id"]), "days")
    restated = restated_of(days, await uow.all(corrections.restated_figures(row["id"])))
    workflow_id = service.workflow_id(row["id"])
    temporal: Temporal = request.app.state.temporal
    return reversal_of(row, restated, workflow_id, status_url(workflow_id), temporal.ui_link(workflow_id))
