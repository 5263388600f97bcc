"""A lender's approval limit."""

from __future__ import annotations

from sqlalchemy import select

from infra.db.models.tenancy import tenants
from infra.db.uow import UnitOfWork


async def approval_limit(uow: UnitOfWork) -> int | None:
    """The lender's limit (minor units) above which a second person decides; None: there is none."""
    row = await uow.one(select(tenants.c.approval_limit).where(tenants.c.id == uow.tenant_id), "tenant")
    limit: int | None = row["approval_limit"]
    return limit
