"""Moving the business date. A sandbox's is asked for here and moved day by day by a workflow; a live tenant's follows the
calendar of its zone by a schedule."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, update

from domain.errors import Conflict, InvalidInput, WrongState
from infra.clock import date_in_zone
from infra.db.models.tenancy import date_advances
from infra.db.repositories.business_days import lock_business_date
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import BusinessMode
from services import close_of_business

WORKFLOW_TYPE: Final = "DateAdvanceWorkflow"
TICK_WORKFLOW_TYPE: Final = "BusinessDayTickWorkflow"
MAX_DAYS: Final = 400
"""A longer way takes several requests, so that one can be waited for."""


def workflow_id(advance_id: UUID) -> str:
    """The id of an advance's workflow."""
    return f"date-advance/{advance_id}"


def schedule_id(tenant_id: UUID) -> str:
    """The id of the schedule that moves a live tenant's business date."""
    return f"business-day/{tenant_id}"


async def follow_calendar(uow: UnitOfWork, zone: str) -> None:
    """Have a live tenant's business date move at each midnight of `zone` (an IANA time zone), and at no other any more."""
    tenant_id = str(uow.tenant_id)
    await uow.intend(
        "schedule",
        TICK_WORKFLOW_TYPE,
        schedule_id(uow.tenant_id),
        {"zone": zone, "input": {"tenant_id": tenant_id}},
        message_id=str(new_id()),
        search_attributes={"TenantId": tenant_id, "WorkflowKind": "business-day-tick", "Stage": "running"},
    )


async def calendar(uow: UnitOfWork, at: datetime) -> tuple[date, date]:
    """A live tenant's business date, and the calendar's date in its zone at an instant (UTC).

    Raises WrongState for a sandbox, whose date is moved by hand.
    """
    tenant = await uow.tenant()
    if tenant["mode"] != BusinessMode.LIVE:
        raise WrongState(
            "The business date of a sandbox is moved by hand; only a live tenant's follows the calendar.",
            state=tenant["mode"],
            allowed=[str(BusinessMode.LIVE)],
            code="not_live",
        )
    return tenant["business_date"], date_in_zone(tenant["zone"], lambda: at)


async def request_advance(uow: UnitOfWork, to_date: date) -> UUID:
    """Ask for the business date to move to `to_date`, through the close of every day on the way. Returns the advance.

    Raises WrongState for a live tenant, InvalidInput ("/to_date") unless it is 1 to 400 days ahead, Conflict naming the
    advance that is still running.
    """
    tenant = await uow.tenant()
    if tenant["mode"] != BusinessMode.SANDBOX:
        raise WrongState(
            "The business date of a live tenant follows the calendar; only a sandbox's is moved by hand.",
            state=tenant["mode"],
            allowed=[str(BusinessMode.SANDBOX)],
            code="not_a_sandbox",
        )
    current: date = tenant["business_date"]
    latest = current + timedelta(days=MAX_DAYS)
    if not current < to_date <= latest:
        raise InvalidInput.at("/to_date", f"must be after the business date {current} and not after {latest}")
    running = await uow.one_or_none(select(date_advances).where(date_advances.c.status == "running"))
    if running is not None:
        raise Conflict(
            f"The date is already being moved to {running['to_date']} (advance {running['id']}): wait until that is done.",
            code="advance_running",
        )
    advance_id = new_id()
    await uow.add(
        date_advances,
        id=advance_id,
        from_date=current,
        to_date=to_date,
        requested_by=uow.actor.id,
        created_at=uow.recorded_at,
    )
    span = {"from_date": current.isoformat(), "to_date": to_date.isoformat()}
    await uow.audit("business_date.advance_requested", "date_advance", advance_id, after=span)
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(advance_id),
        {"tenant_id": str(uow.tenant_id), "advance_id": str(advance_id), **span},
        search_attributes={
            "TenantId": str(uow.tenant_id),
            "WorkflowKind": "date-advance",
            "BusinessDate": current.isoformat(),
            "Stage": "running",
        },
    )
    return advance_id


async def open_date(uow: UnitOfWork, business_date: date) -> None:
    """Make this the business date; a date that is open or past already is left alone."""
    if await lock_business_date(uow) < business_date:
        await close_of_business.open_date(uow, business_date)


async def finish_advance(uow: UnitOfWork, advance_id: UUID) -> None:
    """Mark an advance done, once."""
    table = date_advances
    await uow.execute(
        update(table)
        .where(table.c.id == advance_id, table.c.status == "running")
        .values(status="done", finished_at=uow.recorded_at)
    )
