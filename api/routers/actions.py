"""Actions: what staff record of a loan besides payments, and what each would do."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer
from api.schemas.actions import ADMIN_KINDS, Action, ActionResult, action_result_of
from domain.errors import Forbidden
from domain.roles import STAFF_ROLES, Role
from infra.db.uow import UnitOfWork
from services import actions as service

router = APIRouter(prefix="/loans", tags=["actions"])


@router.post("/{loan_id}/actions", status_code=201, response_model=ActionResult)
async def act_on_loan(loan_id: UUID, body: Action, request: Request, caller: LoanOfficer) -> Response:
    """Record an event of a loan, by its kind. The balances, the schedule and the journal follow from it."""
    _check_role(caller, body.kind)

    async def action(uow: UnitOfWork) -> ActionResult:
        return action_result_of(await service.act(uow, loan_id, body.body, body.effective_date, body.reason))

    return await execute(request, caller, action)


@router.post("/{loan_id}/actions/preview")
async def preview_action_on_loan(loan_id: UUID, body: Action, caller: LoanOfficer) -> ActionResult:
    """What recording this event would do, in the same words. Writes nothing."""
    _check_role(caller, body.kind)
    async with caller.uow() as uow:
        return action_result_of(await service.preview(uow, loan_id, body.body, body.effective_date))


def _check_role(caller: Caller, kind: str) -> None:
    """Raises Forbidden for a kind that needs an admin."""
    if kind in ADMIN_KINDS and STAFF_ROLES.index(caller.role) < STAFF_ROLES.index(Role.ADMIN):
        raise Forbidden(f"The role {caller.role} may not record {kind}; it needs one of: {Role.ADMIN}, {Role.OWNER}.")
