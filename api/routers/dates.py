"""The business date, and moving a sandbox's."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Admin, Viewer
from api.routers.processes import status_url
from api.schemas.dates import Advance, AdvanceRequest, BusinessDate
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import dates

router = APIRouter(prefix="/business-date", tags=["business date"])


@router.get("")
async def get_business_date(caller: Viewer) -> BusinessDate:
    """The lender's business date and how it moves."""
    async with caller.uow() as uow:
        row = await uow.one(queries.business_date(caller.tenant_id), "tenant")
        running = await uow.one_or_none(queries.running_advance())
    return BusinessDate(**row, running_advance_id=running["id"] if running else None)


@router.post("/advance", status_code=202, response_model=Advance)
async def advance(body: AdvanceRequest, request: Request, caller: Admin) -> Response:
    """Move a sandbox's business date. Every day on the way is closed and everything due on it happens, in order; the
    answer comes at once, the status tells how far it is."""

    async def action(uow: UnitOfWork) -> Advance:
        return await _view(uow, request.app.state.temporal, await dates.request_advance(uow, body.to_date))

    return await execute(request, caller, action, status=202)


@router.get("/advances/{advance_id}")
async def get_advance(advance_id: UUID, request: Request, caller: Viewer) -> Advance:
    """How far the business date has come on the way it was asked to go."""
    async with caller.uow() as uow:
        return await _view(uow, request.app.state.temporal, advance_id)


async def _view(uow: UnitOfWork, temporal: Temporal, advance_id: UUID) -> Advance:
    row = await uow.one(queries.advance(advance_id), "date advance")
    today = (await uow.one(queries.business_date(uow.tenant_id), "tenant"))["business_date"]
    workflow_id = dates.workflow_id(advance_id)
    names = ("id", "status", "from_date", "to_date", "created_at", "finished_at")
    return Advance(
        **{name: row[name] for name in names},
        current_date=row["to_date"] if row["status"] == "done" else today,
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )
