"""What the portal's login page shows before anybody is logged in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.schemas.accounts import PortalConfigOut
from domain.errors import NotFound
from infra.db.queries.users import get_tenant
from infra.db.uow import Actor, ActorKind, UnitOfWork
from services.auth import find_tenant
from services.tenants import normal_host

router = APIRouter(prefix="/portal/config", tags=["portal"])


@router.get("")
async def get_config(
    request: Request,
    tenant: Annotated[str | None, Query(max_length=63, description="slug; else the Host header tells the lender")] = None,
) -> PortalConfigOut:
    """The lender's name, colours and support contacts. Public."""
    state = request.app.state
    name = tenant or normal_host(request.headers.get("host"))
    tenant_id = await find_tenant(state.engine, name) if name else None
    if tenant_id is None:
        raise NotFound("tenant")
    async with UnitOfWork(state.engine, tenant_id, Actor(ActorKind.OPERATOR), state.clock) as uow:
        row = await get_tenant(uow)
    return PortalConfigOut(tenant_name=row["name"], **row["branding"])
