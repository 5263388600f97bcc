"""What waits for a second person."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.deps import LoanOfficer
from api.pagination import Page, Paging, make_page
from api.schemas.approvals import Approval, approval_of
from domain.approval import ApprovalKind
from infra.db.queries import approvals as queries

router = APIRouter(prefix="/approvals", tags=["approvals"])


@router.get("")
async def list_approvals(
    caller: LoanOfficer,
    paging: Paging,
    kind: ApprovalKind | None = None,
    loan_id: Annotated[UUID | None, Query(description="what waits for one loan")] = None,
) -> Page[Approval]:
    """Reversals, refunds and reimbursements above the approval limit that nobody has decided yet, the newest first: who
    asked, when, for how much, and what the caller may do. Whoever asked sees it, and may not decide it."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.waiting(kind, loan_id, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: approval_of(row, caller.user_id))
