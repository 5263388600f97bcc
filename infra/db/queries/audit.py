"""Reads of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from infra.db.models.tenancy import audit_log
from infra.db.queries.paging import newest_first
from infra.db.uow import UnitOfWork


async def list_audit(
    uow: UnitOfWork,
    after: UUID | None,
    limit: int,
    *,
    object_type: str | None = None,
    object_id: UUID | None = None,
    actor_id: UUID | None = None,
) -> Sequence[RowMapping]:
    """A page of the audit trail, newest first, and one more row if there is a next page."""
    statement = select(audit_log)
    wanted = {"object_type": object_type, "object_id": object_id, "actor_id": actor_id}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(audit_log.c[name] == value)
    return await uow.all(newest_first(statement, audit_log.c.id, after, limit))
