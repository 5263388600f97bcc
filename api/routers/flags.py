"""Flags of a loan, for staff."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import StringConstraints

from api.commands import execute
from api.deps import LoanOfficer, Viewer
from api.schemas.base import Reason
from api.schemas.flags import FlagOut, FlagRequest
from domain.flags import LoanFlag
from infra.db.queries import loans as loan_queries
from infra.db.queries.flags import FLAGS
from infra.db.uow import UnitOfWork
from services import flags

router = APIRouter(prefix="/loans/{loan_id}/flags", tags=["flags"])

FlagName = Annotated[LoanFlag, Path(description="while one of these is set, nothing is drafted")]
WhyCleared = Annotated[Reason, StringConstraints(strip_whitespace=True), Query(description="kept in the audit trail")]


@router.get("")
async def list_flags(loan_id: UUID, caller: Viewer) -> list[FlagOut]:
    """The flags that are set on the loan, by name. What was set before is in the audit trail."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        return list((await _set(uow, loan_id)).values())


@router.put("/{flag}", response_model=FlagOut)
async def set_flag(loan_id: UUID, flag: FlagName, body: FlagRequest, request: Request, caller: LoanOfficer) -> Response:
    """Set a flag: from the answer on nothing is drafted of the loan, also not what is prepared. Its autopay stays active,
    and money that the borrower sends is taken. A flag that is set stays as it is, and is answered."""

    async def action(uow: UnitOfWork) -> FlagOut:
        await flags.set_flag(uow, loan_id, flag, body.reason)
        return (await _set(uow, loan_id))[flag]

    return await execute(request, caller, action, status=200)


@router.delete("/{flag}", status_code=204, response_class=Response)
async def clear_flag(loan_id: UUID, flag: FlagName, request: Request, caller: LoanOfficer, reason: WhyCleared) -> Response:
    """Clear a flag: unless another one forbids it, the loan is drafted again from its next period on."""

    async def action(uow: UnitOfWork) -> None:
        await flags.clear_flag(uow, loan_id, flag, reason)

    return await execute(request, caller, action, status=204)


async def _set(uow: UnitOfWork, loan_id: UUID) -> dict[LoanFlag, FlagOut]:
    (rows,) = await uow.fetch(FLAGS(loan=loan_id))
    found = [FlagOut(**{name: row[name] for name in FlagOut.model_fields}) for row in rows]
    return {one.flag: one for one in found}
