"""Live mode: on its business date a draft waits for its hour in the tenant's zone. The server's clock is moved, not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.registry import activities
from domain.autopay import process_instant
from domain.calendars import add_months, next_banking_day
from infra.calendar import bank_holidays
from infra.db.models.tenancy import tenants
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import Temporal
from services.intents import Delivery
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE
from tests.workflows import histories
from tests.workflows.platform import Platform, eventually
from worker import RUNNER, WORKFLOWS

ZONE = "America/Chicago"


@pytest.fixture
async def live(
    skipping: WorkflowEnvironment,
    settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    no_intents_of_others: None,
) -> AsyncIterator[Platform]:
    address = skipping.client.service_client.config.target_host
    temporal = Temporal(settings.model_copy(update={"temporal_address": address}))
    async with Worker(
        skipping.client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities(engine, skipping.client, Notifier(settings)),
        workflow_runner=RUNNER,
        max_cached_workflows=0,  # every task is a replay of the whole history
    ):
        yield Platform(engine, skipping.client, Delivery(dispatch, temporal))


async def make_live(platform: Platform, tenant: UUID) -> None:
    async with platform.rows(tenant).uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(mode="live", zone=ZONE))
        await uow.commit()


async def test_a_draft_waits_for_its_hour_in_the_tenants_zone(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    now = await skipping.get_current_time()
    contract = now.date() - timedelta(days=3)
    due = add_months(contract, 1)
    process_date = next_banking_day(due, bank_holidays())
    tenant = await make_tenant(process_date)  # the date has opened; its hour, by the server's clock, has not come
    await make_live(live, tenant)
    rows = live.rows(tenant)
    borrowed = await rows.borrowed(replace(EXAMPLE, contract_date=contract, first_due_date=due))
    enrolment_id = await live.enrol(tenant, borrowed)
    instant = process_instant(process_date, ZONE, enrolment_id)

    async def waiting() -> Any:
        await live.delivery.run_once()
        return [row["status"] for row in await rows.intents(f"autopay/{enrolment_id}")] == ["delivered"]

    await eventually(waiting, "the workflow is started")
    await skipping.sleep(instant - now - timedelta(minutes=5))
    assert await rows.drafts(enrolment_id) == []

    await skipping.sleep(timedelta(minutes=10))

    async def sent() -> Any:
        return [(row["process_date"], row["status"]) for row in await rows.drafts(enrolment_id)] == [(process_date, "sent")]

    await eventually(sent, "the draft goes out at its hour")
    await histories.keep("AutopayWorkflow.live", live.autopay(enrolment_id))
    following = next_banking_day(add_months(contract, 2), bank_holidays())
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == following


async def test_a_draft_does_not_go_out_before_its_date_has_opened(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    """The clock is long past the due date, but the business date is not there yet: the close of a day is late."""
    tenant = await make_tenant(date(2020, 10, 8))
    await make_live(live, tenant)
    rows = live.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await live.enrol(tenant, borrowed)
    await live.delivery.run_once()
    await skipping.sleep(timedelta(days=2))
    assert await rows.drafts(enrolment_id) == []

    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(business_date=date(2020, 10, 9)))
        await uow.commit()
    await live.autopay(enrolment_id).signal("changed")

    async def sent() -> Any:
        return [row["status"] for row in await rows.drafts(enrolment_id)] == ["sent"]

    await eventually(sent, "the draft goes out when its date opens")
