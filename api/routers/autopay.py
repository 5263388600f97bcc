"""Autopay of a loan, for staff."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.routers.processes import status_url
from api.schemas.autopay import (
    AutopayChange,
    AutopayPreview,
    AutopayProcess,
    AutopayProcessSkipped,
    AutopayRequest,
    AutopayWorkflowState,
    PauseRequest,
    SkipRequest,
    autopay_values,
    preview_of,
)
from api.schemas.base import Reason
from domain.autopay_words import account_in_words
from domain.drafting import Outlook
from infra.db.queries import instruments as instrument_queries
from infra.db.queries import loans as loan_queries
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import autopay, drafts, outlooks

router = APIRouter(prefix="/loans/{loan_id}/autopay", tags=["autopay"])


@router.get("")
async def get_autopay(loan_id: UUID, request: Request, caller: Viewer) -> AutopayProcess:
    """The loan's autopay (the newest, open or ended), its last drafts and the next one, and what its workflow is waiting
    for."""
    temporal: Temporal = request.app.state.temporal
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        found = await _view(uow, temporal, await latest(uow, loan_id))
    answer = await temporal.query(found.workflow_id, "status")
    return found.model_copy(update={"workflow": AutopayWorkflowState.model_validate(answer) if answer else None})


@router.get("/preview")
async def preview(loan_id: UUID, caller: Viewer) -> AutopayPreview:
    """The next 12 drafts of the loan's autopay: when, how much, from which account, or why none."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        return await upcoming(uow, await latest(uow, loan_id))


@router.post("", status_code=201, response_model=AutopayProcess)
async def enrol(loan_id: UUID, body: AutopayRequest, request: Request, caller: LoanOfficer) -> Response:
    """Enrol the loan in autopay. A loan has one open autopay at most."""
    command = autopay.Enrol(loan_id, **body.terms())
    return await _change(request, caller, lambda uow: autopay.enrol(uow, command), status=201)


@router.patch("", response_model=AutopayProcess)
async def change(loan_id: UUID, body: AutopayChange, request: Request, caller: LoanOfficer) -> Response:
    """Change amount, accounts or rules; disable (pause) or enable (resume)."""
    return await _change(request, caller, lambda uow: apply_change(uow, loan_id, body))


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


@router.post("/skip-next", response_model=AutopayProcessSkipped)
async def skip_next(loan_id: UUID, request: Request, caller: LoanOfficer, body: SkipRequest = SkipRequest()) -> Response:
    """Leave out the next draft, also one that is prepared and not sent. The period after it stays.

    Sent again it changes nothing (`skipped_before`): without a `process_date` it is about the draft whose day comes next,
    and about no later one before that day has passed. To skip the one after it as well, name its `process_date`. A date
    that is not the next one's is refused with the next one.
    """

    async def run(uow: UnitOfWork) -> AutopayProcessSkipped:
        skipped = await drafts.skip_next(uow, loan_id, body.reason, body.process_date)
        found = await _view(uow, request.app.state.temporal, skipped.enrolment_id)
        return AutopayProcessSkipped(**dict(found), **skipped_values(skipped))

    return await execute(request, caller, run, status=200)


def skipped_values(skipped: drafts.Skipped) -> dict[str, Any]:
    """The fields that say what was left out."""
    return {"skipped_process_date": skipped.process_date, "skipped_before": skipped.before}


async def apply_change(uow: UnitOfWork, loan_id: UUID, body: AutopayChange) -> UUID:
    """Change the terms that are given of the loan's open autopay, then pause or resume it. Returns it."""
    terms = body.changes()
    enrolment_id: UUID | None = None
    if body.enabled is None or terms:
        enrolment_id = await autopay.change(uow, loan_id, terms)
    if body.enabled is not None:
        enrolment_id = await (autopay.resume if body.enabled else autopay.pause)(uow, loan_id)
    assert enrolment_id is not None
    return enrolment_id


async def latest(uow: UnitOfWork, loan_id: UUID) -> UUID:
    """The newest autopay of a loan. Raises NotFound."""
    row = await uow.one(queries.latest_enrolment(loan_id), "autopay of this loan")
    enrolment_id: UUID = row["id"]
    return enrolment_id


async def upcoming(uow: UnitOfWork, enrolment_id: UUID) -> AutopayPreview:
    """The next drafts of an enrolment."""
    outlook = await outlooks.outlook(uow, enrolment_id)
    return preview_of(enrolment_id, outlook, await accounts_in_words(uow, outlook))


async def values_of(uow: UnitOfWork, enrolment_id: UUID) -> dict[str, Any]:
    """The fields of an enrolment as it is shown."""
    row = await uow.one(queries.enrolment(enrolment_id), "autopay")
    latest_drafts = await uow.all(queries.latest_drafts(enrolment_id))
    outlook = await outlooks.outlook(uow, enrolment_id, 1)
    return autopay_values(row, latest_drafts, outlook, await accounts_in_words(uow, outlook))


async def accounts_in_words(uow: UnitOfWork, outlook: Outlook) -> dict[UUID, str]:
    """The accounts that drafts to come are taken from."""
    ids = {draft.instrument_id for draft in outlook.drafts if draft.instrument_id is not None}
    rows = await uow.all(instrument_queries.named(ids))
    return {
        row["id"]: account_in_words(row["instrument_type"], row["account_type"], row["account_number_last_four"])
        for row in rows
    }


async def _change(
    request: Request, caller: Caller, action: Callable[[UnitOfWork], Awaitable[UUID]], *, status: int = 200
) -> Response:
    async def run(uow: UnitOfWork) -> AutopayProcess:
        return await _view(uow, request.app.state.temporal, await action(uow))

    return await execute(request, caller, run, status=status)


async def _view(uow: UnitOfWork, temporal: Temporal, enrolment_id: UUID) -> AutopayProcess:
    workflow_id = autopay.workflow_id(enrolment_id)
    return AutopayProcess(
        **await values_of(uow, enrolment_id),
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )
