"""The tenant's own settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Admin, Viewer
from api.schemas.accounts import BrandingOut, TenantOut, TenantPatch
from domain.errors import InvalidInput
from infra.db.queries.users import get_tenant as query_tenant
from infra.db.uow import UnitOfWork
from services.tenants import change_settings

router = APIRouter(prefix="/tenant", tags=["tenant"])


@router.get("")
async def get_tenant(caller: Viewer) -> TenantOut:
    """The lender's settings, its business date and how that date moves."""
    async with caller.uow() as uow:
        return await _read(uow)


@router.patch("", response_model=TenantOut)
async def change_tenant(request: Request, caller: Admin, body: TenantPatch) -> Response:
    """Change settings; kept in the audit trail with what they were, who changed them, and why."""
    given = body.model_dump(exclude_unset=True, include={"name", "zone"})
    for name, value in given.items():
        if value is None:
            raise InvalidInput.at(f"/{name}", "cannot be removed")
    changes: dict[str, Any] = dict(given)
    if "approval_limit" in body.model_fields_set:
        changes["approval_limit"] = body.approval_limit
    branding = body.branding.model_dump(exclude_unset=True) if body.branding else {}

    async def action(uow: UnitOfWork) -> TenantOut:
        await change_settings(uow, changes, branding, body.reason)
        return await _read(uow)

    return await execute(request, caller, action, status=200)


async def _read(uow: UnitOfWork) -> TenantOut:
    row = await query_tenant(uow)
    return TenantOut(**{**row, "branding": BrandingOut(**row["branding"])})
