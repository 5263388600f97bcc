"""Accounting periods, and the lock under which postings and closing a period exclude each other."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import RowMapping

from domain.periods import OpenBooks, PeriodStatus
from infra.db.models.servicing import journal_transfers, periods
from infra.db.models.tenancy import business_days, tenants
from infra.db.uow import UnitOfWork
from infra.ids import new_id

_LOCK = 0x504D  # "PM": the advisory lock that postings share and whoever closes a period holds alone


async def hold_open(uow: UnitOfWork) -> OpenBooks:
    """Where postings go, which nobody changes until this transaction ends. Many transactions hold this at once.

    Taken after the locks of loans, never before them. The date is read again: it may have moved since the transaction
    read it, and a month been closed after that.
    """
    await uow.execute(select(func.pg_advisory_xact_lock_shared(_LOCK, _tenant_key(uow))))
    return await open_books(uow)


async def hold_all(uow: UnitOfWork) -> OpenBooks:
    """Like `hold_open`, alone: transactions that have posted have ended, and no other posts until this one ends."""
    await uow.execute(select(func.pg_advisory_xact_lock(_LOCK, _tenant_key(uow))))
    return await open_books(uow)


async def open_books(uow: UnitOfWork) -> OpenBooks:
    """Where postings go at this moment: to look at it only."""
    closed = select(func.max(periods.c.month)).where(periods.c.status == PeriodStatus.CLOSED).scalar_subquery()
    row = await uow.one(
        select(tenants.c.business_date, closed.label("closed")).where(tenants.c.id == uow.tenant_id), "tenant"
    )
    return OpenBooks(row["business_date"], row["closed"])


async def first_month(uow: UnitOfWork) -> date:
    """The first month the tenant has books for: that of its first posting or of its first business date."""
    posted = select(func.min(journal_transfers.c.posting_date)).scalar_subquery()
    opened = select(func.min(business_days.c.business_date)).scalar_subquery()
    first: date | None = (await uow.execute(select(func.least(posted, opened)))).scalar_one()
    return (first or await uow.business_date()).replace(day=1)


async def period_rows(uow: UnitOfWork) -> dict[date, RowMapping]:
    """The rows of all months that were closed at least once."""
    return {row["month"]: row for row in await uow.all(select(periods))}


async def set_closed(uow: UnitOfWork, month: date) -> None:
    """Close a month, also again."""
    closing: dict[str, Any] = {"status": str(PeriodStatus.CLOSED), "closed_by": uow.actor.id, "closed_at": uow.recorded_at}
    row = {"tenant_id": uow.tenant_id, "id": new_id(), "month": month, **closing}
    statement = postgresql.insert(periods).values(row)
    await uow.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "month"], set_=closing))


async def set_open(uow: UnitOfWork, month: date) -> None:
    """Open a month again."""
    opening = {"status": str(PeriodStatus.OPEN), "reopened_by": uow.actor.id, "reopened_at": uow.recorded_at}
    await uow.execute(update(periods).where(periods.c.month == month).values(**opening))


def _tenant_key(uow: UnitOfWork) -> int:
    """Two tenants with the same key only wait for each other."""
    return int.from_bytes(uow.tenant_id.bytes[-4:], "big", signed=True)
