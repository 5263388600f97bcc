"""Accounting periods: close a month, open it again. Into a closed month nothing is posted any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.calendars import last_of_month
from domain.errors import WrongState
from domain.periods import PeriodStatus, check_close, check_reopen, next_month
from infra.db.repositories import periods as repository
from infra.db.repositories.business_days import is_behind
from infra.db.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class Period:
    """A month of the general ledger, by its first day; who closed and reopened it last, if anybody did."""

    month: date
    status: PeriodStatus
    closed_by: UUID | None = None
    closed_at: datetime | None = None
    reopened_by: UUID | None = None
    reopened_at: datetime | None = None


async def close(uow: UnitOfWork, month: date) -> Period:
    """Close a month (its first day): waits for the transactions that are posting, and no other posts meanwhile.

    Raises WrongState for a month that has not ended, is closed, or is not the next to close, and while an active loan is
    still to be brought through its last day: that loan's interest belongs into the month.
    """
    books = await repository.hold_all(uow)
    check_close(month, await repository.first_month(uow), books)
    if await is_behind(uow, last_of_month(month)):
        raise WrongState(
            f"Loans are still to be brought through {last_of_month(month)}: close that business date first.",
            state=PeriodStatus.OPEN,
            code="period_not_processed",
        )
    await repository.set_closed(uow, month)
    return await _changed(uow, "period.closed", month, None)


async def reopen(uow: UnitOfWork, month: date, reason: str) -> Period:
    """Open the latest closed month again. Raises WrongState for a month that is open, or that a closed one follows."""
    check_reopen(month, await repository.hold_all(uow))
    await repository.set_open(uow, month)
    return await _changed(uow, "period.reopened", month, reason)


async def list_periods(uow: UnitOfWork) -> list[Period]:
    """Every month the tenant has books for, up to that of the business date, the latest first."""
    rows = await repository.period_rows(uow)
    last, month = await uow.business_date(), await repository.first_month(uow)
    months = []
    while month <= last:
        months.append(_period(rows[month]) if month in rows else Period(month, PeriodStatus.OPEN))
        month = next_month(month)
    return months[::-1]


async def _changed(uow: UnitOfWork, action: str, month: date, reason: str | None) -> Period:
    row = (await repository.period_rows(uow))[month]
    was = PeriodStatus.OPEN if row["status"] == PeriodStatus.CLOSED else PeriodStatus.CLOSED
    await uow.audit(
        action,
        "period",
        row["id"],
        before={"status": str(was)},
        after={"status": row["status"], "month": f"{month:%Y-%m}"},
        reason=reason,
    )
    return _period(row)


def _period(row: RowMapping) -> Period:
    return Period(
        month=row["month"],
        status=PeriodStatus(row["status"]),
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
        reopened_by=row["reopened_by"],
        reopened_at=row["reopened_at"],
    )
