"""The workflows behind what was asked for."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from api.deps import Viewer
from api.schemas.dates import Process
from domain.errors import NotFound
from infra.db.queries import processes as queries
from infra.temporal import Temporal, TemporalUnavailable

router = APIRouter(prefix="/processes", tags=["processes"])


def status_url(workflow_id: str) -> str:
    """Where a process's status is read."""
    return f"/api/v1/processes/{workflow_id}"


@router.get("/{workflow_id:path}")
async def get_process(workflow_id: str, request: Request, caller: Viewer) -> Process:
    """What is known of a workflow of this lender. It answers within about a second, also while Temporal is away."""
    temporal: Temporal = request.app.state.temporal
    async with caller.uow() as uow:
        intent = await uow.one_or_none(queries.start_of(workflow_id))
    if intent is None and not _started_by_another(workflow_id, caller.tenant_id):
        raise NotFound("process")
    described: WorkflowExecutionDescription | None = None
    try:
        described = await temporal.describe(workflow_id)
    except TemporalUnavailable:
        pass  # what we asked for is known all the same
    else:
        if described is None and intent is None:
            raise NotFound("process")
    return Process(
        workflow_id=workflow_id,
        workflow_type=intent["workflow_type"] if intent else "CloseOfBusinessWorkflow",
        delivery=intent["status"] if intent else None,
        requested_at=intent["created_at"] if intent else None,
        last_error=intent["last_error"] if intent else None,
        workflow_status=_status(described.status) if described else None,
        started_at=described.start_time if described else None,
        closed_at=described.close_time if described else None,
        ui_url=temporal.ui_link(workflow_id),
    )


def _started_by_another(workflow_id: str, tenant_id: UUID) -> bool:
    """The close of a date is started by the workflow that moves the date; its id names the tenant."""
    return workflow_id.startswith(f"close-of-business/{tenant_id}/")


def _status(status: WorkflowExecutionStatus | None) -> str | None:
    return status.name.lower() if status else None
