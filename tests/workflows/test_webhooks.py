"""WebhookWorkflow against a real HTTP server: at least once, ever more slowly, never lost. The server's clock skips."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.registry import activities
from infra.crypto import Vault
from infra.db.models.webhooks import webhook_attempts, webhook_deliveries, webhook_endpoints
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import Temporal
from services import outbox, webhooks
from services.intents import Delivery
from services.payments import RecordPayment, record
from tests.receiver import Receiver, receiving
from tests.workflows import histories
from tests.workflows.platform import Platform, Rows, eventually
from worker import RUNNER, WORKFLOWS, make_webhook_worker, make_worker


@dataclass(frozen=True, slots=True)
class Hooks:
    """The platform, and what a test does with webhooks."""

    platform: Platform
    vault: Vault
    skipping: WorkflowEnvironment | None = None

    async def listen(self, tenant: UUID, url: str) -> UUID:
        endpoint_id, _ = await self.platform.act(
            tenant, lambda uow: webhooks.add(uow, self.vault, webhooks.NewEndpoint(url), insecure=True)
        )
        return UUID(str(endpoint_id))

    async def ping(self, tenant: UUID, endpoint_id: UUID) -> UUID:
        delivery_id: UUID = await self.platform.act(tenant, lambda uow: webhooks.ping(uow, endpoint_id))
        await self.started(tenant, delivery_id)
        return delivery_id

    async def started(self, tenant: UUID, delivery_id: UUID) -> None:
        async def delivered() -> bool:
            await self.platform.delivery.run_once()
            rows = await self.platform.rows(tenant).intents(outbox.workflow_id(delivery_id))
            return [row["status"] for row in rows] == ["delivered"]

        await eventually(delivered, "the workflow is started")

    def handle(self, delivery_id: UUID) -> WorkflowHandle[Any, Any]:
        return self.platform.client.get_workflow_handle(outbox.workflow_id(delivery_id))

    async def end(self, delivery_id: UUID) -> Any:
        """How a delivery ends; the time between its attempts is skipped."""
        handle = self.handle(delivery_id)
        assert self.skipping is not None
        tried = -1
        while True:
            status: Any = None

            async def tried_again(before: int = tried) -> bool:
                nonlocal status
                status = await handle.query("status")
                over = status["waiting_on"] == "nobody"
                return over or (status["step"] == "waiting" and status["attempts"] > before)

            await eventually(tried_again, "the next attempt")
            if status["waiting_on"] == "nobody":
                return await handle.result()
            tried = status["attempts"]
            await self.skipping.sleep(status["retry_in"] + 1)

    async def row(self, tenant: UUID, delivery_id: UUID) -> RowMapping:
        table = webhook_deliveries
        return (await self.platform.rows(tenant).all(select(table).where(table.c.id == delivery_id)))[0]

    async def attempts(self, tenant: UUID, delivery_id: UUID) -> Sequence[RowMapping]:
        table = webhook_attempts
        statement = select(table).where(table.c.delivery_id == delivery_id).order_by(table.c.number)
        return await self.platform.rows(tenant).all(statement)

    async def endpoint(self, tenant: UUID, endpoint_id: UUID) -> RowMapping:
        table = webhook_endpoints
        return (await self.platform.rows(tenant).all(select(table).where(table.c.id == endpoint_id)))[0]


@pytest.fixture
async def hooks(
    skipping: WorkflowEnvironment,
    settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    no_intents_of_others: None,
) -> AsyncIterator[Hooks]:
    address = skipping.client.service_client.config.target_host
    insecure = settings.model_copy(
        update={"temporal_address": address, "webhook_insecure": True, "task_queue": "webhooks-of-tests"}
    )
    async with (
        Worker(
            skipping.client,
            task_queue=insecure.task_queue,
            workflows=WORKFLOWS,
            activities=activities(settings, engine, skipping.client, Notifier(insecure)),
            workflow_runner=RUNNER,
            max_cached_workflows=0,
        ),
        make_webhook_worker(insecure, skipping.client, engine),
    ):
        yield Hooks(Platform(engine, skipping.client, Delivery(dispatch, Temporal(insecure))), Vault.of(settings), skipping)


async def test_500_then_500_then_200(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([500, 500, 200])) as receiver:
        delivery_id = await hooks.ping(tenant, await hooks.listen(tenant, receiver.url))
        assert await hooks.end(delivery_id) == {"status": "delivered", "attempts": 3}
    row = await hooks.row(tenant, delivery_id)
    assert (row["status"], row["attempts"], row["last_status_code"]) == ("delivered", 3, 200)
    assert (row["next_attempt_at"], row["finished_at"] is not None) == (None, True)
    tried = await hooks.attempts(tenant, delivery_id)
    assert [(at["number"], at["status_code"], at["reason"]) for at in tried] == [
        (1, 500, "answered 500"),
        (2, 500, "answered 500"),
        (3, 200, "accepted"),
    ]
    assert all(at["latency_ms"] < 10_000 for at in tried)
    assert [got.event_id for got in receiver.received] == [str(row["event_id"])] * 3
    assert len({got.body for got in receiver.received}) == 1
    assert {got.path for got in receiver.received} == {"/hooks?of=perdiem"}
    endpoint = await hooks.endpoint(tenant, row["endpoint_id"])
    assert (endpoint["status"], endpoint["failing_since"]) == ("active", None)
    status = await hooks.handle(delivery_id).query("status")
    assert status == {"step": "delivered", "waiting_on": "nobody", "attempts": 3, "retry_in": None}
    await histories.keep("WebhookWorkflow.delivered", hooks.handle(delivery_id))


async def test_who_only_fails_is_given_up_after_about_three_days(
    hooks: Hooks, skipping: WorkflowEnvironment, tenant: UUID
) -> None:
    """A redirect is a failure too, and is not followed."""
    with receiving(Receiver([302])) as receiver:
        began = await skipping.get_current_time()
        delivery_id = await hooks.ping(tenant, await hooks.listen(tenant, receiver.url))
        assert await hooks.end(delivery_id) == {"status": "failed", "attempts": 14}
        waited = await skipping.get_current_time() - began
    assert timedelta(days=2.5) < waited < timedelta(days=3.5)
    assert len(receiver.received) == 14
    assert {got.path for got in receiver.received} == {"/hooks?of=perdiem"}
    row = await hooks.row(tenant, delivery_id)
    assert (row["status"], row["last_reason"]) == ("failed", "a redirect, which is not followed")
    endpoint = await hooks.endpoint(tenant, row["endpoint_id"])
    assert (endpoint["status"], endpoint["failing_since"] is not None) == ("active", True)
    await histories.keep("WebhookWorkflow.given_up", hooks.handle(delivery_id))


async def test_410_disables_the_endpoint_and_ends_the_delivery(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([410])) as receiver:
        endpoint_id = await hooks.listen(tenant, receiver.url)
        delivery_id = await hooks.ping(tenant, endpoint_id)
        assert await hooks.end(delivery_id) == {"status": "failed", "attempts": 1}
    endpoint = await hooks.endpoint(tenant, endpoint_id)
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("disabled", "it answered 410 Gone")
    await histories.keep("WebhookWorkflow.gone", hooks.handle(delivery_id))


async def test_an_endpoint_disabled_meanwhile_gets_nothing_more(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([503])) as receiver:
        endpoint_id = await hooks.listen(tenant, receiver.url)
        delivery_id = await hooks.ping(tenant, endpoint_id)

        async def tried() -> bool:
            return (await hooks.row(tenant, delivery_id))["attempts"] == 1

        await eventually(tried, "the first attempt")
        assert (await hooks.handle(delivery_id).query("status"))["step"] == "waiting"
        off = {"status": "disabled"}
        await hooks.platform.act(tenant, lambda uow: webhooks.change(uow, endpoint_id, off, insecure=True))
        assert await hooks.end(delivery_id) == {"status": "cancelled", "attempts": 1}
    assert len(receiver.received) == 1
    assert (await hooks.row(tenant, delivery_id))["last_reason"] == "the endpoint is disabled"
    await histories.keep("WebhookWorkflow.cancelled", hooks.handle(delivery_id))


async def test_who_never_answers_is_left_after_ten_seconds_and_tried_again(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([0, 200])) as receiver:
        delivery_id = await hooks.ping(tenant, await hooks.listen(tenant, receiver.url))
        assert await hooks.end(delivery_id) == {"status": "delivered", "attempts": 2}
    first, _ = await hooks.attempts(tenant, delivery_id)
    assert (first["status_code"], first["reason"]) == (None, "no answer within 10 seconds")
    assert 9_900 <= first["latency_ms"] < 12_000


async def test_a_replay_is_another_delivery_of_the_same_event(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([204])) as receiver:
        delivery_id = await hooks.ping(tenant, await hooks.listen(tenant, receiver.url))
        await hooks.end(delivery_id)
        replayed = await hooks.platform.act(tenant, lambda uow: webhooks.replay(uow, delivery_id))
        await hooks.started(tenant, replayed)
        assert await hooks.end(replayed) == {"status": "delivered", "attempts": 1}
    first, second = receiver.received
    assert (first.event_id, first.body) == (second.event_id, second.body)
    row = await hooks.row(tenant, replayed)
    assert (row["replay_of"], row["event_id"]) == (delivery_id, (await hooks.row(tenant, delivery_id))["event_id"])


async def test_a_payment_reaches_each_endpoint_that_wants_it(hooks: Hooks, tenant: UUID) -> None:
    rows: Rows = hooks.platform.rows(tenant)
    borrowed = await rows.borrowed()
    with receiving(Receiver()) as everything, receiving(Receiver()) as settlements:
        await hooks.listen(tenant, everything.url)
        chosen = await hooks.listen(tenant, settlements.url)
        only = {"event_types": ["payment.settled"]}
        await hooks.platform.act(tenant, lambda uow: webhooks.change(uow, chosen, only, insecure=True))
        await hooks.platform.act(tenant, lambda uow: record(uow, RecordPayment(borrowed.loan_id, 5000, "check")))

        async def arrived() -> bool:
            await hooks.platform.delivery.run_once()
            return len(everything.received) == 2 and len(settlements.received) == 1

        await eventually(arrived, "three deliveries")
    types = sorted(got.body.partition(b'"type":"')[2].partition(b'"')[0].decode() for got in everything.received)
    assert types == ["payment.recorded", "payment.settled"]
    assert settlements.received[0].event_id in {got.event_id for got in everything.received}


async def test_a_worker_that_dies_between_sending_and_recording_sends_again(
    temporal_client: Client,
    temporal_settings: Settings,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    tenant: UUID,
    no_intents_of_others: None,
) -> None:
    """A worker of its own process is killed by the receiver while it waits for the answer; the next one sends again, the
    same event with the same id: at least once."""
    ours = temporal_settings.model_copy(update={"webhook_insecure": True, "task_queue": "webhooks-of-a-crash"})
    delivery = Delivery(dispatch, Temporal(ours))
    hooks = Hooks(Platform(engine, temporal_client, delivery), Vault.of(ours))
    environment = {**os.environ, **ours.as_environment()}
    process = await asyncio.create_subprocess_exec(sys.executable, "worker.py", env=environment)

    def kill(_: object) -> None:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)

    try:
        with receiving(Receiver([200], seen=kill)) as receiver:
            delivery_id = await hooks.ping(tenant, await hooks.listen(tenant, receiver.url))
            await asyncio.wait_for(process.wait(), 60)
            assert (await hooks.row(tenant, delivery_id))["status"] == "pending"
            async with make_worker(ours, temporal_client, engine), make_webhook_worker(ours, temporal_client, engine):
                result = await asyncio.wait_for(hooks.handle(delivery_id).result(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert result == {"status": "delivered", "attempts": 1}
    first, second = receiver.received
    assert (first.event_id, first.body) == (second.event_id, second.body)


async def test_an_endpoint_that_failed_for_five_days_is_disabled(hooks: Hooks, tenant: UUID) -> None:
    with receiving(Receiver([500])) as receiver:
        endpoint_id = await hooks.listen(tenant, receiver.url)
        long_ago = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
        await hooks.platform.act(
            tenant, lambda uow: uow.execute(long_ago.values(failing_since=uow.recorded_at - timedelta(days=5)))
        )
        delivery_id = await hooks.ping(tenant, endpoint_id)
        assert await hooks.end(delivery_id) == {"status": "cancelled", "attempts": 1}
    endpoint = await hooks.endpoint(tenant, endpoint_id)
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("disabled", "nothing was delivered for 5 days")
