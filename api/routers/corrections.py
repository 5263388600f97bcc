"""Corrections of a loan's history: backdate, void, each with a preview; what they restate, and the history they leave."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.engine import RowMapping

from api.commands import execute
from api.deps import Admin, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.routers.processes import status_url
from api.schemas.corrections import (
    BackdateRequest,
    CorrectionDone,
    CorrectionLine,
    CorrectionPreview,
    CorrectionState,
    Equivalence,
    LoanEvent,
    VoidRequest,
    correction_line_of,
    correction_of,
    preview_of,
    restated_of,
)
from infra.db.queries import corrections as correction_queries
from infra.db.queries import events as queries
from infra.db.queries.loans import loan_owner
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import corrections as service
from services import restating

router = APIRouter(tags=["corrections"])

EventNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="number of the event in the loan's history")]


@router.post("/payments/{payment_id}/backdate", response_model=CorrectionDone)
async def backdate_payment(payment_id: UUID, body: BackdateRequest, request: Request, caller: LoanOfficer) -> Response:
    """Let a payment count from another day: what came after it is replayed, and what was posted corrected, at once; archived
    days are restated by a process."""

    async def action(uow: UnitOfWork) -> CorrectionDone:
        return _done(request, await service.backdate(uow, payment_id, body.effective_date, body.reason))

    return await execute(request, caller, action, status=200)


@router.post("/payments/{payment_id}/backdate/preview")
async def preview_backdate_payment(payment_id: UUID, body: BackdateRequest, caller: LoanOfficer) -> CorrectionPreview:
    """What backdating would change. Writes nothing."""
    async with caller.uow() as uow:
        return preview_of(await service.preview_backdate(uow, payment_id, body.effective_date))


@router.get("/loans/{loan_id}/events")
async def list_loan_events(loan_id: UUID, caller: Viewer, paging: Paging) -> Page[LoanEvent]:
    """A loan's whole history, the newest recorded first: also what was superseded, by whom, when and why."""
    async with caller.uow() as uow:
        await uow.one(loan_owner(loan_id), "loan")
        rows = await uow.all(queries.loan_history(loan_id, paging.after, paging.limit))
    return make_page(rows, paging, _event)


@router.post("/loans/{loan_id}/events/{number}/void", response_model=CorrectionDone)
async def void_loan_event(
    loan_id: UUID, number: EventNumber, body: VoidRequest, request: Request, caller: Admin
) -> Response:
    """Take an event that is no payment back as if it had never happened; archived days are restated by a process."""

    async def action(uow: UnitOfWork) -> CorrectionDone:
        return _done(request, await service.void_event(uow, loan_id, number, body.reason))

    return await execute(request, caller, action, status=200)


@router.post("/loans/{loan_id}/events/{number}/void/preview")
async def preview_void_loan_event(loan_id: UUID, number: EventNumber, caller: Admin) -> CorrectionPreview:
    """What voiding would change. Writes nothing."""
    async with caller.uow() as uow:
        return preview_of(await service.preview_void_event(uow, loan_id, number))


@router.get("/loans/{loan_id}/corrections")
async def list_loan_corrections(loan_id: UUID, caller: Viewer, paging: Paging) -> Page[CorrectionLine]:
    """What was corrected in a loan's history, the newest first, and which archived days each restates."""
    async with caller.uow() as uow:
        await uow.one(loan_owner(loan_id), "loan")
        rows = await uow.all(correction_queries.corrections_of_loan(loan_id, paging.after, paging.limit))
    return make_page(rows, paging, correction_line_of)


@router.get("/corrections/{correction_id}")
async def get_correction(correction_id: UUID, caller: Viewer) -> CorrectionState:
    """A correction of a loan's history: which archived days it restates, and whether all of them were compared."""
    async with caller.uow() as uow:
        row = await uow.one(correction_queries.correction(correction_id), "correction")
        days = await uow.one(correction_queries.restated(correction_id), "days")
        figures = await uow.all(correction_queries.restated_figures(correction_id))
    names = [name for name in CorrectionState.model_fields if name != "restated"]
    return CorrectionState(**{name: row[name] for name in names}, restated=restated_of(days, figures))


@router.get("/loans/{loan_id}/equivalence")
async def loan_equivalence(loan_id: UUID, caller: Viewer) -> Equivalence:
    """Whether the loan, after all its corrections, is the loan it would be had nothing ever been wrong."""
    async with caller.uow() as uow:
        found = await service.equivalence(uow, loan_id)
    return Equivalence(
        loan_id=loan_id,
        as_of=found.as_of,
        cached=found.cached,
        replayed=found.replayed,
        fresh=found.fresh,
        equal=found.equal,
    )


def _done(request: Request, corrected: service.Corrected) -> CorrectionDone:
    assert corrected.id is not None
    workflow_id = restating.workflow_id(corrected.id)
    temporal: Temporal = request.app.state.temporal
    return CorrectionDone(
        **dict(correction_of(corrected)),
        correction_id=corrected.id,
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )


def _event(row: RowMapping) -> LoanEvent:
    names = ("kind", "effective_date", "position", "supersedes", "superseded_by", "reason")
    recorded = ("recorded_by", "recorded_at", "recorded_business_date")
    return LoanEvent(**{n: row[n] for n in (*names, *recorded)}, number=row["sequence"], data=row["payload"])
