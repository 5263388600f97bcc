"""RestatementWorkflow on a real Temporal server and database: archived days are restated, however often its worker dies."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.worker import Replayer

from infra.db.models.archive import loan_corrections, status_restatements
from infra.ids import new_id
from infra.settings import Settings
from infra.temporal import Temporal
from services import corrections, restating
from services.intents import Delivery
from services.payments import RecordPayment, record
from tests.services.lending import advance, assert_consistent
from tests.workflows import histories
from tests.workflows.platform import Platform, Rows, eventually
from worker import make_worker


async def backdated(platform: Platform, tenant: UUID) -> tuple[UUID, UUID]:
    """A loan whose payment of 12 September counts from the 10th after all; its correction."""
    rows = platform.rows(tenant)
    loan_id = (await rows.borrowed()).loan_id
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 12))
    paid = await platform.act(tenant, lambda uow: record(uow, RecordPayment(loan_id, 297_47, "check")))
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 14))
    done = await platform.act(tenant, lambda uow: corrections.backdate(uow, paid.id, date(2020, 9, 10)))
    return loan_id, done.id


async def ended(platform: Platform, rows: Rows, correction_id: UUID) -> Any:
    workflow_id = restating.workflow_id(correction_id)

    async def started() -> bool:
        await platform.delivery.run_once()
        return all(row["status"] == "delivered" for row in await rows.intents(workflow_id))

    await eventually(started, "the workflow is started")
    return await platform.client.get_workflow_handle(workflow_id).result()


async def assert_restated(rows: Rows, correction_id: UUID) -> None:
    days = await rows.all(select(status_restatements.c.as_of).order_by(status_restatements.c.as_of))
    assert [row["as_of"] for row in days] == [date(2020, 9, day) for day in range(10, 15)]
    (row,) = await rows.all(select(loan_corrections))
    assert (row["id"], row["restated_through"]) == (correction_id, date(2020, 9, 14))
    assert row["finished_at"] is not None


async def test_a_backdated_payment_has_its_archived_days_restated(
    platform: Platform, tenant: UUID, replayer: Replayer
) -> None:
    rows = platform.rows(tenant)
    loan_id, correction_id = await backdated(platform, tenant)
    assert await ended(platform, rows, correction_id) == {"step": "done", "waiting_on": "nobody"}
    await assert_restated(rows, correction_id)
    handle = platform.client.get_workflow_handle(restating.workflow_id(correction_id))
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert metadata.current_details == "done; waiting on nobody"
    history = await histories.keep("RestatementWorkflow.restated", handle)
    await replayer.replay_workflow(history)
    assert "John Doe" not in history.to_json()
    async with rows.uow() as uow:
        await assert_consistent(uow, loan_id)


async def test_a_correction_while_no_worker_runs_is_followed_up_by_the_next(
    temporal_settings: Settings,
    temporal_client: Client,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    tenant: UUID,
    no_intents_of_others: None,
) -> None:
    settings = temporal_settings.model_copy(update={"task_queue": f"restarted-{new_id().hex}"})
    platform = Platform(engine, temporal_client, Delivery(dispatch, Temporal(settings)))
    rows = platform.rows(tenant)
    _, correction_id = await backdated(platform, tenant)
    async with rows.uow() as uow:  # the worker that had begun died in its second page
        await restating.restate_page(uow, correction_id, 2)
        await uow.commit()
    async with make_worker(settings, temporal_client, engine):
        await ended(platform, rows, correction_id)
    await assert_restated(rows, correction_id)
