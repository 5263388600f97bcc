"""Accounting periods, and the lock under which postings and closing a period exclude each other."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sqlalchemy import Integer, Uuid, bindparam, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import RowMapping

from domain.errors import NotFound
from domain.periods import OpenBooks, PeriodStatus
from infra.db import locks
from infra.db.models.servicing import journal_transfers, periods
from infra.db.models.tenancy import business_days, tenants
from infra.db.pipeline import Asked, Query, Row
from infra.db.uow import UnitOfWork
from infra.ids import new_id

_closed: Final = select(func.max(periods.c.month)).where(periods.c.status == PeriodStatus.CLOSED).scalar_subquery()
_BOOKS: Final = Query(
    select(tenants.c.business_date, _closed.label("closed")).where(tenants.c.id == bindparam("tenant", type_=Uuid))
)
_HOLD: Final = Query(
    select(func.pg_advisory_xact_lock_shared(bindparam("lock", type_=Integer), bindparam("tenant_key", type_=Integer)))
)


async def hold_open(uow: UnitOfWork) -> OpenBooks:
    """Where postings go, which nobody changes until this transaction ends. Many transactions hold this at once.

    Taken after the locks of loans, never before them. The date is read again: it may have moved since the transaction
    read it, and a month been closed after that.
    """
    if uow.books is None:
        held(uow, *await uow.fetch(*holding(uow)))
    assert uow.books is not None
    return uow.books


def holding(uow: UnitOfWork) -> tuple[Asked, Asked]:
    """What `hold_open` asks: the lock, then the books. `held` takes the answers."""
    return _HOLD(lock=locks.BOOKS, tenant_key=locks.tenant_key(uow)), _BOOKS(tenant=uow.tenant_id)


def held(uow: UnitOfWork, locked: list[Row], books: list[Row]) -> None:
    """The books are held: the answers to `holding`. Raises NotFound("tenant")."""
    if not books:
        raise NotFound("tenant")
    uow.hold(OpenBooks(books[0]["business_date"], books[0]["closed"]))


async def hold_all(uow: UnitOfWork) -> OpenBooks:
    """Like `hold_open`, alone: transactions that have posted have ended, and no other posts until this one ends."""
    await locks.hold_alone(uow, locks.BOOKS)
    return await open_books(uow)


async def open_books(uow: UnitOfWork) -> OpenBooks:
    """Where postings go at this moment: to look at it only."""
    (rows,) = await uow.fetch(_BOOKS(tenant=uow.tenant_id))
    if not rows:
        raise NotFound("tenant")
    return OpenBooks(rows[0]["business_date"], rows[0]["closed"])


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
