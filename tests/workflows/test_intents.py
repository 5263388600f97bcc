"""Delivery: what a transaction said must start is started, once, whatever fails between the commit and Temporal."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from infra.ids import new_id
from infra.settings import Settings
from infra.temporal import Temporal
from services.intents import Delivery
from standalone.ports import HOST, Ports
from tests.workflows.platform import Rows, eventually


@pytest.fixture
def rows(engine: AsyncEngine, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


@pytest.fixture
def quiet(temporal_settings: Settings, dispatch: AsyncEngine) -> Delivery:
    """A delivery to a queue on which nobody works, so that what is started stays as it was started."""
    return Delivery(dispatch, Temporal(temporal_settings.model_copy(update={"task_queue": "nobody-works-here"})))


async def intend(rows: Rows, workflow_id: str, *, start: bool = True, signals: int = 0) -> list[UUID]:
    async with rows.uow() as uow:
        if start:
            await uow.intend("start", "AutopayWorkflow", workflow_id, {"tenant_id": str(rows.tenant)})
        for _ in range(signals):
            message_id = str(new_id())
            await uow.intend("signal", "AutopayWorkflow", workflow_id, {}, message_id=message_id, message_name="changed")
        await uow.commit()
    return uow.intents


async def statuses(rows: Rows, workflow_id: str) -> list[str]:
    return [row["status"] for row in await rows.intents(workflow_id)]


async def run_until_idle(delivery: Delivery) -> None:
    while await delivery.run_once():
        pass


def fresh_id() -> str:
    return f"autopay/{new_id()}"


async def test_a_start_and_its_messages_are_delivered_in_order(rows: Rows, quiet: Delivery, temporal_client: Client) -> None:
    workflow_id = fresh_id()
    quiet.soon(rows.tenant, await intend(rows, workflow_id, signals=2))

    async def delivered() -> bool:
        return await statuses(rows, workflow_id) == ["delivered"] * 3

    await eventually(delivered, "a start and two messages")
    history = await temporal_client.get_workflow_handle(workflow_id).fetch_history()
    names = [event.WhichOneof("attributes") for event in history.events]
    assert names.count("workflow_execution_signaled_event_attributes") == 2
    assert names[0] == "workflow_execution_started_event_attributes"


async def test_a_workflow_that_is_started_already_counts_as_delivered(rows: Rows, quiet: Delivery) -> None:
    """The process that started it died before it could say so."""
    workflow_id = fresh_id()
    await intend(rows, workflow_id)
    await run_until_idle(quiet)
    async with rows.uow() as uow:
        other = await uow.intend("start", "AutopayWorkflow", workflow_id, {}, message_id="again")
        await uow.commit()
    await run_until_idle(quiet)
    again = next(row for row in await rows.intents(workflow_id) if row["id"] == other)
    assert (again["status"], again["attempts"]) == ("delivered", 1)


async def test_two_dispatchers_never_deliver_the_same_intent(rows: Rows, quiet: Delivery, temporal_client: Client) -> None:
    workflow_ids = [fresh_id() for _ in range(10)]
    for workflow_id in workflow_ids:
        await intend(rows, workflow_id, signals=1)
    await asyncio.gather(*(run_until_idle(quiet) for _ in range(2)))

    for workflow_id in workflow_ids:

        async def delivered(workflow_id: str = workflow_id) -> bool:
            await run_until_idle(quiet)
            return await statuses(rows, workflow_id) == ["delivered"] * 2

        await eventually(delivered, "both intents of each workflow")
        assert (await rows.intents(workflow_id))[0]["attempts"] == 1
        history = await temporal_client.get_workflow_handle(workflow_id).fetch_history()
        signals = [event for event in history.events if event.HasField("workflow_execution_signaled_event_attributes")]
        assert len(signals) == 1


async def test_a_message_to_a_closed_workflow_is_dropped_and_says_why(
    rows: Rows, quiet: Delivery, temporal_client: Client
) -> None:
    workflow_id = fresh_id()
    await intend(rows, workflow_id)
    await run_until_idle(quiet)
    await temporal_client.get_workflow_handle(workflow_id).terminate()
    await intend(rows, workflow_id, start=False, signals=1)
    await run_until_idle(quiet)
    message = (await rows.intents(workflow_id))[-1]
    assert (message["status"], message["last_error"]) == ("dropped", "the workflow is closed: it needs no message")


async def test_a_stopped_temporal_loses_nothing_and_keeps_nobody_waiting(
    rows: Rows, settings: Settings, dispatch: AsyncEngine, quiet: Delivery
) -> None:
    port = Ports(settings.home).choose("nobody listens")
    away = Delivery(dispatch, Temporal(settings.model_copy(update={"temporal_address": f"{HOST}:{port}"})))
    workflow_id = fresh_id()
    ids = await intend(rows, workflow_id, signals=1)

    began = time.monotonic()
    away.soon(rows.tenant, ids)
    assert time.monotonic() - began < 0.1
    await away.close()

    start, message = await rows.intents(workflow_id)
    assert (start["status"], start["attempts"]) == ("pending", 1)
    assert start["last_error"]
    assert (message["status"], message["last_error"]) == ("pending", "waits for the workflow's start")

    async def delivered() -> bool:
        await quiet.run_once()
        return await statuses(rows, workflow_id) == ["delivered"] * 2

    await eventually(delivered, "the dispatcher catches up")
