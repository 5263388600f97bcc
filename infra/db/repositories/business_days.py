"""The business date, the days that were opened and closed, and the bank's transfers that settle on them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import RowMapping

from domain.chart import Account
from infra.db.models.servicing import journal_transfers, loans
from infra.db.models.tenancy import business_days, tenants
from infra.db.types import MinorUnits
from infra.db.uow import UnitOfWork


async def lock_business_date(uow: UnitOfWork) -> date:
    """The tenant's business date, which nobody else moves until this transaction ends."""
    statement = select(tenants.c.business_date).where(tenants.c.id == uow.tenant_id).with_for_update()
    on: date = (await uow.one(statement, "tenant"))["business_date"]
    return on


async def move_business_date(uow: UnitOfWork, on: date) -> None:
    """Make `on` the business date and give it its row."""
    await uow.execute(update(tenants).where(tenants.c.id == uow.tenant_id).values(business_date=on))
    row = {"tenant_id": uow.tenant_id, "business_date": on, "opened_at": uow.recorded_at}
    await uow.execute(postgresql.insert(business_days).values(row).on_conflict_do_nothing())


async def business_day(uow: UnitOfWork, on: date, *, lock: bool = False) -> RowMapping | None:
    """The row of a business date that was opened, or None."""
    statement = select(business_days).where(business_days.c.business_date == on)
    return await uow.one_or_none(statement.with_for_update() if lock else statement)


async def add_progress(
    uow: UnitOfWork, on: date, *, loans_closed: int = 0, drafts_settled: int = 0, cursor: UUID | None = None
) -> None:
    """Add to the counts of a day; a cursor is the last loan that is done."""
    days = business_days.c
    values: dict[str, Any] = {
        "loans_closed": days.loans_closed + loans_closed,
        "drafts_settled": days.drafts_settled + drafts_settled,
    }
    if cursor is not None:
        values["cursor"] = cursor
    await uow.execute(update(business_days).where(days.business_date == on).values(**values))


async def mark_closed(uow: UnitOfWork, on: date, at: datetime, **totals: Any) -> None:
    """Close a day with its totals."""
    await uow.execute(update(business_days).where(business_days.c.business_date == on).values(closed_at=at, **totals))


async def is_behind(uow: UnitOfWork, on: date) -> bool:
    """Whether a loan that lives (active or charged off) is not processed through `on`."""
    behind = or_(loans.c.processed_through.is_(None), loans.c.processed_through < on)
    lives = loans.c.status.in_(("active", "charged_off"))
    return bool((await uow.execute(select(exists().where(lives, behind)))).scalar_one())


async def posted_on(uow: UnitOfWork, on: date) -> tuple[int, int]:
    """Interest accrued (minor units) and late fees assessed (number) with the posting date `on`, net of mirrors."""
    moved = journal_transfers.c

    def net(debit: Account, credit: Account, value: Any, kind: Any) -> Any:
        forward = and_(moved.debit_account == int(debit), moved.credit_account == int(credit))
        back = and_(moved.debit_account == int(credit), moved.credit_account == int(debit))
        return func.coalesce(func.sum(case((forward, value), (back, -value), else_=0), type_=kind), 0, type_=kind)

    interest = net(Account.ACCRUED_INTEREST, Account.INTEREST_INCOME, moved.amount, MinorUnits())
    fees = net(Account.LATE_FEES, Account.LATE_FEE_INCOME, 1, None)
    sums = select(interest.label("interest"), fees.label("fees")).where(moved.posting_date == on)
    row = await uow.one(sums, "journal")
    return row["interest"], row["fees"]
