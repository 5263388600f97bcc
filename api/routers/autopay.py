"""Autopay of a loan, for staff."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.routers.processes import status_url
from api.schemas.autopay import (
    AutopayProcess,
    AutopayRequest,
    AutopayWorkflowState,
    PauseRequest,
    autopay_values,
)
from api.schemas.base import Reason
from infra.db.queries import loans as loan_queries
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import autopay

router = APIRouter(prefix="/loans/{loan_id}/autopay", tags=["autopay"])


@router.get("")
async def get_autopay(loan_id: UUID, request: Request, caller: Viewer) -> AutopayProcess:
    """The loan's autopay (the newest, open or ended), its last drafts, and what its workflow is waiting for."""
    temporal: Temporal = request.app.state.temporal
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        found = await _view(uow, temporal, await _latest(uow, loan_id))
    answer = await temporal.query(found.workflow_id, "status")
    return found.model_copy(update={"workflow": AutopayWorkflowState.model_validate(answer) if answer else None})


@router.post("", status_code=201, response_model=AutopayProcess)
async def enrol(loan_id: UUID, body: AutopayRequest, request: Request, caller: LoanOfficer) -> Response:
    """Enrol the loan in autopay. A loan has one open autopay at most."""
    command = autopay.Enrol(loan_id, **dict(body))
    return await _change(request, caller, lambda uow: autopay.enrol(uow, command), status=201)


@router.delete("", response_model=AutopayProcess)
async def cancel(
    loan_id: UUID,
    request: Request,
    caller: LoanOfficer,
    reason: Annotated[Reason, Query(description="kept with the autopay and in the audit trail")] = "cancelled by staff",
) -> Response:
    """End the loan's autopay for good: from the answer on, nothing more is drafted."""
    return await _change(request, caller, lambda uow: autopay.cancel(uow, loan_id, reason))


@router.post("/pause", response_model=AutopayProcess)
async def pause(loan_id: UUID, request: Request, caller: LoanOfficer, body: PauseRequest = PauseRequest()) -> Response:
    """Stop drafting for a while: from the answer on, nothing is drafted until it is resumed."""
    return await _change(request, caller, lambda uow: autopay.pause(uow, loan_id, body.paused_until))


@router.post("/resume", response_model=AutopayProcess)
async def resume(loan_id: UUID, request: Request, caller: LoanOfficer) -> Response:
    """Draft again, from the next due date on."""
    return await _change(request, caller, lambda uow: autopay.resume(uow, loan_id))


async def _change(
    request: Request, caller: Caller, action: Callable[[UnitOfWork], Awaitable[UUID]], *, status: int = 200
) -> Response:
    async def run(uow: UnitOfWork) -> AutopayProcess:
        return await _view(uow, request.app.state.temporal, await action(uow))

    return await execute(request, caller, run, status=status)


async def _latest(uow: UnitOfWork, loan_id: UUID) -> UUID:
    row = await uow.one(queries.latest_enrolment(loan_id), "autopay of this loan")
    enrolment_id: UUID = row["id"]
    return enrolment_id


async def _view(uow: UnitOfWork, temporal: Temporal, enrolment_id: UUID) -> AutopayProcess:
    row = await uow.one(queries.enrolment(enrolment_id), "autopay")
    drafts = await uow.all(queries.latest_drafts(enrolment_id))
    workflow_id = autopay.workflow_id(enrolment_id)
    return AutopayProcess(
        **autopay_values(row, drafts),
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )
