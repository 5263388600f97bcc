"""Two years of a live lender, through every change of daylight saving: one draft a due date, in the morning of its day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from domain.autopay import process_instant
from domain.calendars import due_dates, next_banking_day
from domain.draft_amounts import AmountType
from domain.program import Frequency
from infra.calendar import bank_holidays
from infra.db.models.rails import rail_cutoffs
from infra.db.models.tenancy import tenants
from tests.conftest import MakeTenant
from tests.domain.loans import under
from tests.services import sending
from tests.workflows.platform import Platform, Rows, eventually

WEEKS = 105
"""Two years, so that wherever they begin the clocks are changed four times."""
CHUNK = 4
"""So many weeks are prepared before a cutoff takes them."""
HOLIDAYS = bank_holidays()


def changes(zone: str, first: date, last: date) -> list[date]:
    """The days on which the clocks of a zone are changed."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    offsets = [datetime.combine(day, time(0), ZoneInfo(zone)).utcoffset() for day in days]
    return [day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after]


async def prepared_at(client: Client, workflow_id: str) -> AsyncIterator[datetime]:
    """When, by the server's clock, a workflow had each of its drafts prepared, run after run."""
    run_id: str | None = None
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    run_id = history.events[0].workflow_execution_started_event_attributes.first_execution_run_id
    while run_id:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        for event in history.events:
            if event.activity_task_scheduled_event_attributes.activity_type.name == "prepare_draft":
                yield event.event_time.ToDatetime(ZoneInfo("UTC"))
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id


async def begin_day(platform: Platform, rows: Rows, enrolment_id: UUID, day: date) -> None:
    """The business date opens, and the autopay is told."""
    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == rows.tenant).values(business_date=day))
        await uow.commit()
    await platform.autopay(enrolment_id).signal("changed")


async def send(rows: Rows) -> None:
    """What is prepared goes out."""
    (cutoff,) = await rows.all(select(rail_cutoffs).where(rail_cutoffs.c.status == "open"))
    await sending.collect(rows, cutoff["id"])
    await sending.hand_over(rows, cutoff["id"])


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles"])
async def test_every_due_date_of_two_years_is_drafted_once_in_the_morning(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant, zone: str
) -> None:
    """Due every Sunday, the day on which the clocks are changed, so drafted on Mondays and, after a holiday, on Tuesdays."""
    today = (await skipping.get_current_time()).date()
    first = today + timedelta(days=14 - today.weekday() - 1)
    dues = due_dates(Frequency.WEEKLY, first, WEEKS)
    process_dates = [next_banking_day(due, HOLIDAYS) for due in dues]
    changed = changes(zone, dues[0], dues[-1])
    assert len(changed) >= 4
    assert set(changed) <= set(dues)
    begins = first - timedelta(days=7)
    tenant = await make_tenant(begins)
    rows = live.rows(tenant)
    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(mode="live", zone=zone))
        await uow.commit()
    terms = under(frequency=Frequency.WEEKLY)
    borrowed = await rows.borrowed(replace(terms, contract_date=begins, first_due_date=first, periods=WEEKS))
    enrolment_id = await live.enrol(tenant, borrowed, amount_type=AmountType.STATIC, amount=1000)
    workflow_id = f"autopay/{enrolment_id}"

    async def started() -> Any:
        await live.delivery.run_once()
        return [row["status"] for row in await rows.intents(workflow_id)] == ["delivered"]

    await eventually(started, "the workflow is started")
    for done in range(CHUNK, WEEKS + CHUNK, CHUNK):
        until = process_dates[:done]

        async def drafted(count: int = len(until)) -> Any:
            return len(await rows.drafts(enrolment_id)) == count

        await begin_day(live, rows, enrolment_id, until[-1])
        instant = process_instant(until[-1], zone, enrolment_id) + timedelta(minutes=1)
        await skipping.sleep(instant - await skipping.get_current_time())
        await eventually(drafted, f"{len(until)} drafts are prepared")
        await send(rows)

    drafts = await rows.drafts(enrolment_id)
    assert [row["process_date"] for row in drafts] == process_dates
    assert [row["apply_date"] for row in drafts] == dues
    assert {row["status"] for row in drafts} == {"sent"}
    assert [row["effective_date"] for row in await rows.payments(borrowed.loan_id)] == dues
    local = [at.astimezone(ZoneInfo(zone)) async for at in prepared_at(skipping.client, workflow_id)]
    assert [at.date() for at in local] == process_dates
    assert {at.hour for at in local} <= {6, 7}
