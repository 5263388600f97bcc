"""Live mode: the business date follows the calendar of the tenant's zone by a schedule, missed days in order, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import (
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.service import RPCError

from domain.calendars import add_months, next_banking_day
from infra.calendar import bank_holidays
from infra.clock import date_in_zone, utc_now
from infra.db.models.processes import workflow_intents
from infra.db.models.tenancy import audit_log, business_days
from infra.ids import new_id
from infra.settings import BusinessMode, Settings
from services import dates
from services.tenants import CreateTenant, change_settings, create_tenant
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE
from tests.workflows import histories
from tests.workflows.platform import Platform, Rows, eventually
from workflows.business_day_tick import DAYS_PER_RUN
from workflows.messages import BusinessDayTickInput

ONE_DAY = timedelta(days=1)


@pytest.fixture
def zone() -> str:
    """One in which it is about noon, so that no midnight comes while a test runs."""
    return f"Etc/GMT{utc_now().hour - 12:+d}"


def schedule_of(platform: Platform, tenant: UUID) -> ScheduleHandle:
    return platform.client.get_schedule_handle(f"business-day/{tenant}")


async def delivered(platform: Platform, tenant: UUID) -> ScheduleDescription:
    """The schedule, once all that was asked of it is delivered."""
    rows = platform.rows(tenant)

    async def all_delivered() -> bool:
        await platform.delivery.run_once()
        return {row["status"] for row in await rows.intents(dates.schedule_id(tenant))} == {"delivered"}

    await eventually(all_delivered, "the schedule is delivered")
    return await schedule_of(platform, tenant).describe()


async def live_tenant(platform: Platform, make_tenant: MakeTenant, zone: str, behind: int) -> UUID:
    """A live tenant whose business date is so many days behind the calendar, and its schedule."""
    tenant = await make_tenant(date_in_zone(zone) - timedelta(days=behind), zone, "live")
    await platform.act(tenant, lambda uow: dates.follow_calendar(uow, zone))
    await delivered(platform, tenant)
    return tenant


async def tick(platform: Platform, tenant: UUID) -> WorkflowHandle[Any, Any]:
    """Have the schedule start a tick now, and wait for its end; returns its first run."""
    schedule = schedule_of(platform, tenant)
    before = (await schedule.describe()).info.num_actions
    await schedule.trigger()

    async def started() -> Any:
        info = (await schedule.describe()).info
        return info.num_actions > before and info.recent_actions[-1].action

    action = await eventually(started, "the schedule starts a tick")
    await platform.client.get_workflow_handle(action.workflow_id).result()
    return platform.client.get_workflow_handle(action.workflow_id, run_id=action.first_execution_run_id)


async def change(platform: Platform, tenant: UUID, **changes: Any) -> None:
    await platform.act(tenant, lambda uow: change_settings(uow, changes, {}, None))


async def days(rows: Rows) -> Sequence[RowMapping]:
    return await rows.all(select(business_days).order_by(business_days.c.business_date))


async def audited(rows: Rows, action: str) -> int:
    found = await rows.all(select(func.count().label("times")).where(audit_log.c.action == action))
    return int(found[0]["times"])


def zone_of(description: ScheduleDescription) -> str | None:
    return description.schedule.spec.time_zone_name


async def test_a_live_tenant_gets_a_schedule_at_the_midnights_of_its_zone(platform: Platform, owner: AsyncEngine) -> None:
    command = CreateTenant(f"l-{new_id().hex}", "Live Lending", "America/Chicago", BusinessMode.LIVE)
    tenant = await create_tenant(owner, command)

    description = await delivered(platform, tenant)

    assert zone_of(description) == "America/Chicago"
    assert description.schedule.policy.overlap is ScheduleOverlapPolicy.BUFFER_ALL
    assert description.schedule.policy.catchup_window == timedelta(days=365)
    upcoming = [instant.astimezone(ZoneInfo("America/Chicago")) for instant in description.info.next_action_times]
    assert [(instant.hour, instant.minute, instant.second) for instant in upcoming] == [(0, 0, 0)] * len(upcoming)
    first = upcoming[0].date()
    assert [instant.date() for instant in upcoming] == [first + n * ONE_DAY for n in range(len(upcoming))]
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert (attributes["TenantId"], attributes["WorkflowKind"]) == (str(tenant), "business-day-tick")


async def test_a_sandbox_gets_none_not_even_when_its_zone_changes(platform: Platform, owner: AsyncEngine) -> None:
    command = CreateTenant(f"s-{new_id().hex}", "Sandbox", "UTC", BusinessMode.SANDBOX)
    tenant = await create_tenant(owner, command)
    await change(platform, tenant, zone="America/Denver")
    assert await platform.rows(tenant).intents(dates.schedule_id(tenant)) == []


async def test_a_new_zone_moves_the_midnights_and_a_pause_stays(
    platform: Platform, make_tenant: MakeTenant, zone: str
) -> None:
    tenant = await live_tenant(platform, make_tenant, zone, behind=0)
    await schedule_of(platform, tenant).pause(note="looking into it")

    for other in ("Pacific/Auckland", "America/Denver", "Pacific/Auckland"):
        await change(platform, tenant, zone=other)
    await change(platform, tenant, name="Another Name")

    description = await delivered(platform, tenant)
    assert zone_of(description) == "Pacific/Auckland"
    assert (description.schedule.state.paused, description.schedule.state.note) == (True, "looking into it")
    assert len(await platform.rows(tenant).intents(dates.schedule_id(tenant))) == 4


async def test_delivered_twice_is_once(platform: Platform, make_tenant: MakeTenant, zone: str) -> None:
    """The process that made the schedule died before it could say so."""
    tenant = await live_tenant(platform, make_tenant, zone, behind=0)
    before = await schedule_of(platform, tenant).describe()
    async with platform.rows(tenant).uow() as uow:
        await uow.execute(update(workflow_intents).values(status="pending", delivered_at=None))
        await uow.commit()

    after = await delivered(platform, tenant)

    (intent,) = await platform.rows(tenant).intents(dates.schedule_id(tenant))
    assert intent["attempts"] == 2
    assert (after.schedule.spec, after.info.num_actions) == (before.schedule.spec, 0)
    assert after.info.created_at == before.info.created_at


async def test_of_two_changes_the_later_one_stands_whichever_is_tried_first(
    platform: Platform, make_tenant: MakeTenant, zone: str
) -> None:
    """Temporal was away when the first was tried, so its next attempt comes later than the second's."""
    tenant = await make_tenant(date_in_zone(zone), zone, "live")
    rows = platform.rows(tenant)
    async with rows.uow() as uow:
        await dates.follow_calendar(uow, "America/Denver")
        await uow.execute(update(workflow_intents).values(next_attempt_at=text("now() + interval '1 hour'")))
        await dates.follow_calendar(uow, "America/Boise")
        await uow.commit()
    await platform.delivery.run_once()
    first, second = await rows.intents(dates.schedule_id(tenant))
    assert (first["status"], first["attempts"]) == ("pending", 0)
    assert (second["status"], second["last_error"]) == ("pending", "waits for an earlier change of the schedule")

    async with rows.uow() as uow:
        await uow.execute(update(workflow_intents).values(next_attempt_at=text("now()")))
        await uow.commit()
    assert zone_of(await delivered(platform, tenant)) == "America/Boise"


async def test_missed_days_close_in_order_today_opens_and_a_second_tick_does_nothing(
    platform: Platform, make_tenant: MakeTenant, zone: str
) -> None:
    tenant = await live_tenant(platform, make_tenant, zone, behind=3)
    rows, today = platform.rows(tenant), date_in_zone(zone)

    first = await tick(platform, tenant)

    run = await days(rows)
    assert [row["business_date"] for row in run] == [today - n * ONE_DAY for n in (3, 2, 1, 0)]
    closed = [row["closed_at"] for row in run[:3]]
    assert None not in closed
    assert closed == sorted(closed)
    assert all(later["opened_at"] >= row["closed_at"] for row, later in pairwise(run))
    assert run[3]["closed_at"] is None
    assert await rows.business_date() == today
    assert await first.query("status") == {
        "step": "done",
        "waiting_on": "nobody",
        "business_date": today.isoformat(),
        "today": today.isoformat(),
    }
    await histories.keep("BusinessDayTickWorkflow.three_days", first)

    second = await tick(platform, tenant)

    assert await days(rows) == run
    history = await histories.keep("BusinessDayTickWorkflow.nothing_to_do", second)
    assert not any(event.HasField("start_child_workflow_execution_initiated_event_attributes") for event in history.events)


async def test_two_ticks_at_once_run_no_date_twice(platform: Platform, make_tenant: MakeTenant, zone: str) -> None:
    tenant = await make_tenant(date_in_zone(zone) - 3 * ONE_DAY, zone, "live")
    rows = platform.rows(tenant)
    await rows.borrowed(replace(EXAMPLE, contract_date=date_in_zone(zone) - 9 * ONE_DAY, first_due_date=date_in_zone(zone)))

    await asyncio.gather(*(start_tick(platform, tenant, f"tick/{tenant}/{n}") for n in range(3)))

    assert await rows.business_date() == date_in_zone(zone)
    assert (await audited(rows, "business_date.opened"), await audited(rows, "business_date.closed")) == (3, 3)
    assert [row["loans_closed"] for row in await days(rows)] == [0, 1, 1, 0]  # it was booked through the first


async def test_autopay_of_a_missed_day_goes_out_once_and_a_long_way_continues_as_new(
    platform: Platform, make_tenant: MakeTenant, zone: str
) -> None:
    tenant = await live_tenant(platform, make_tenant, zone, behind=DAYS_PER_RUN + 1)
    rows, today = platform.rows(tenant), date_in_zone(zone)
    contract = add_months(today - 12 * ONE_DAY, -1)
    due = add_months(contract, 1)
    borrowed = await rows.borrowed(replace(EXAMPLE, contract_date=contract, first_due_date=due))
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.until_step(enrolment_id, "waiting")

    first = await tick(platform, tenant)

    assert await rows.business_date() == today
    assert (await first.describe()).status.name == "CONTINUED_AS_NEW"  # type: ignore[union-attr]

    async def sent() -> Any:
        await platform.delivery.run_once()
        return [row for row in await rows.drafts(enrolment_id) if row["status"] != "pending"]

    (draft,) = await eventually(sent, "its cutoff, whose hour is long past")
    assert draft["process_date"] == next_banking_day(due, bank_holidays())
    (payment,) = await rows.payments(borrowed.loan_id)
    assert (payment["id"], payment["effective_date"]) == (draft["payment_id"], due)
    await histories.keep("BusinessDayTickWorkflow.first_run", first)


async def test_a_sandbox_is_not_ticked(platform: Platform, tenant: UUID) -> None:
    with pytest.raises(WorkflowFailureError):
        await start_tick(platform, tenant, f"tick/{tenant}")
    assert await platform.rows(tenant).business_date() == date(2020, 9, 9)
    with pytest.raises(RPCError):
        await schedule_of(platform, tenant).describe()


async def start_tick(platform: Platform, tenant: UUID, workflow_id: str) -> None:
    """A tick beside the schedule's, to its end."""
    request, queue = BusinessDayTickInput(tenant), Settings().task_queue
    await platform.client.execute_workflow("BusinessDayTickWorkflow", request, id=workflow_id, task_queue=queue)
