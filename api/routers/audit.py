"""The audit trail: who changed what, when, why, from what, to what."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.deps import Admin
from api.pagination import Page, Paging, make_page
from api.schemas.accounts import AuditOut
from infra.db.queries.audit import list_audit as query_audit

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("")
async def list_audit(
    caller: Admin,
    paging: Paging,
    object_type: Annotated[str | None, Query(max_length=40, examples=["loan"])] = None,
    object_id: Annotated[UUID | None, Query()] = None,
    actor_id: Annotated[UUID | None, Query(description="only what this user did")] = None,
) -> Page[AuditOut]:
    """Audit entries, newest first. Nothing is ever removed from them."""
    async with caller.uow() as uow:
        rows = await query_audit(
            uow, paging.after, paging.limit, object_type=object_type, object_id=object_id, actor_id=actor_id
        )
    return make_page(rows, paging, lambda row: AuditOut(**{k: v for k, v in row.items() if k != "tenant_id"}))
