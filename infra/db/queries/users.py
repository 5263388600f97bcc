"""Reads about users, the tenant and a borrower's own profile. Secrets (hashes) are not among the columns."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from infra.db.models.servicing import borrower_details, borrowers
from infra.db.models.tenancy import tenants, users
from infra.db.queries.borrowers import SHOWN
from infra.db.queries.paging import newest_first
from infra.db.uow import UnitOfWork

_PUBLIC = (
    users.c.id,
    users.c.email,
    users.c.full_name,
    users.c.role,
    users.c.status,
    users.c.borrower_id,
    users.c.locked_until,
    users.c.created_at,
    users.c.updated_at,
)


async def list_users(
    uow: UnitOfWork, after: UUID | None, limit: int, *, role: str | None = None, status: str | None = None
) -> Sequence[RowMapping]:
    """A page of users, newest first, and one more row if there is a next page."""
    statement = select(*_PUBLIC)
    if role is not None:
        statement = statement.where(users.c.role == role)
    if status is not None:
        statement = statement.where(users.c.status == status)
    return await uow.all(newest_first(statement, users.c.id, after, limit))


async def get_user(uow: UnitOfWork, user_id: UUID) -> RowMapping:
    """One user. Raises NotFound("user")."""
    return await uow.one(select(*_PUBLIC).where(users.c.id == user_id), "user")


async def get_tenant(uow: UnitOfWork) -> RowMapping:
    """The tenant's own row. Raises NotFound("tenant")."""
    return await uow.one(select(tenants).where(tenants.c.id == uow.tenant_id), "tenant")


async def get_profile(uow: UnitOfWork, borrower_id: UUID) -> RowMapping:
    """A borrower's own data without the encrypted columns. Raises NotFound("borrower")."""
    columns = [column for column in SHOWN if column.name != "external_id"]
    return await uow.one(select(*columns).where(borrowers.c.id == borrower_id), "borrower")


async def list_contacts(uow: UnitOfWork, borrower_id: UUID) -> Sequence[RowMapping]:
    """A borrower's addresses, phones and email addresses, the primary one of each kind first."""
    return await uow.all(
        select(borrower_details.c.id, borrower_details.c.kind, borrower_details.c.data, borrower_details.c.is_primary)
        .where(
            borrower_details.c.borrower_id == borrower_id,
            borrower_details.c.kind.in_(["address", "phone", "email"]),
        )
        .order_by(borrower_details.c.is_primary.desc(), borrower_details.c.id)
    )
