"""A payout by the server's clock, which is moved: a mail server that is away, and a business date that is late. Each task
of the workflow is a replay of its whole history, as after a crash of its worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.registry import activities
from infra.db.models.processes import payouts
from infra.db.models.tenancy import tenants
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import Temporal
from services import payouts as service
from services.intents import Delivery
from tests.conftest import MakeTenant
from tests.services.test_notifier import SmtpServer
from tests.workflows import histories
from tests.workflows.platform import Platform, eventually
from tests.workflows.test_live_mode import make_live
from tests.workflows.test_payouts import MAIL, handle_of, owed, refund
from worker import RUNNER, WORKFLOWS

NOBODY_LISTENS = "smtp://127.0.0.1:1"


@asynccontextmanager
async def mailing_by(
    smtp_url: str, skipping: WorkflowEnvironment, settings: Settings, engine: AsyncEngine, dispatch: AsyncEngine
) -> AsyncIterator[Platform]:
    """A platform with this mail server."""
    address = skipping.client.service_client.config.target_host
    temporal = Temporal(settings.model_copy(update={"temporal_address": address}))
    notifier = Notifier(settings.model_copy(update={"smtp_url": SecretStr(smtp_url)}))
    async with Worker(
        skipping.client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities(settings, engine, skipping.client, notifier),
        workflow_runner=RUNNER,
        max_cached_workflows=0,
    ):
        yield Platform(engine, skipping.client, Delivery(dispatch, temporal))


@pytest.fixture
async def mailless(
    skipping: WorkflowEnvironment,
    settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    no_intents_of_others: None,
) -> AsyncIterator[Platform]:
    """A platform whose mail server does not answer."""
    async with mailing_by(NOBODY_LISTENS, skipping, settings, engine, dispatch) as platform:
        yield platform


def tries(history: WorkflowHistory) -> int:
    """How often the mail was tried."""
    return max(event.activity_task_started_event_attributes.attempt for event in history.events)


async def started(platform: Platform, tenant: UUID, payout_id: UUID) -> None:
    async def delivered() -> bool:
        await platform.delivery.run_once()
        rows = await platform.rows(tenant).intents(service.workflow_id(payout_id))
        return [row["status"] for row in rows] == ["delivered"]

    await eventually(delivered, "the workflow is started")


async def test_a_mail_server_that_stays_away_does_not_keep_the_money(
    mailless: Platform,
    skipping: WorkflowEnvironment,
    tenant: UUID,
) -> None:
    _, payment_id = await owed(mailless, tenant)
    payout_id = await refund(mailless, tenant, payment_id, 60_00)
    await started(mailless, tenant, payout_id)

    handle = handle_of(mailless, payout_id)

    async def over() -> bool:
        await skipping.sleep(timedelta(hours=1))
        return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(over, "the mail is given up")
    (row,) = await mailless.rows(tenant).all(select(payouts))
    assert (row["status"], row["told_at"]) == ("sent", None)
    history = await histories.keep("PayoutWorkflow.nobody_told", handle)
    assert tries(history) > 100  # for a day


async def test_an_address_that_the_mail_server_refuses_is_tried_once(
    skipping: WorkflowEnvironment,
    settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    tenant: UUID,
    no_intents_of_others: None,
) -> None:
    server = SmtpServer()
    server.refusing = True
    async with await asyncio.start_server(server.talk, "127.0.0.1", 0) as listening:
        url = f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with mailing_by(url, skipping, settings, engine, dispatch) as platform:
            _, payment_id = await owed(platform, tenant)
            payout_id = await refund(platform, tenant, payment_id, 60_00)
            await started(platform, tenant, payout_id)
            handle = handle_of(platform, payout_id)
            await handle.result()
            (row,) = await platform.rows(tenant).all(select(payouts))
    assert (row["status"], row["told_at"]) == ("sent", None)
    assert len(server.recipients) == 1
    assert MAIL not in (await handle.fetch_history()).to_json()


async def test_a_payout_waits_for_its_business_date_whatever_the_clock_says(
    mailless: Platform,
    skipping: WorkflowEnvironment,
    make_tenant: MakeTenant,
) -> None:
    """Saturday; the close of the days after it is late."""
    tenant = await make_tenant(date(2020, 10, 10))
    await make_live(mailless, tenant)
    rows = mailless.rows(tenant)
    loan_id = (await rows.borrowed()).loan_id
    payout_id: UUID = await mailless.act(tenant, lambda uow: service.reimburse(uow, loan_id, 25_00, "our mistake"))
    await started(mailless, tenant, payout_id)
    await skipping.sleep(timedelta(days=7))
    handle = handle_of(mailless, payout_id)

    async def waits() -> bool:
        return bool((await handle.query("status"))["waiting_on"] == "the business date 2020-10-13")

    await eventually(waits, "it waits for the business date")
    for day in (date(2020, 10, 12), date(2020, 10, 13)):
        assert (await rows.all(select(payouts)))[0]["status"] == "approved"
        async with rows.uow() as uow:
            await uow.execute(update(tenants).where(tenants.c.id == tenant).values(business_date=day))
            await uow.commit()
        await handle.signal(service.CHANGED)
    assert (await handle.result())["step"] == "sent"
    assert (await rows.all(select(payouts)))[0]["sent_on"] == date(2020, 10, 13)
