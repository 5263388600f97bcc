"""PaymentBatchPreviewWorkflow on a real Temporal server and database: every row is previewed, whatever happens meanwhile."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.contracts import BatchRound, PreviewProgress
from activities.payment_batches import PaymentBatchActivities
from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.models.servicing import payments
from infra.ids import new_id
from services import payment_batches as service
from tests.workflows import histories
from tests.workflows.platform import Platform, Rows, eventually
from worker import RUNNER
from workflows.messages import PaymentBatchInput
from workflows.payment_batch_preview import PaymentBatchPreviewWorkflow

UNKNOWN = 2 * service.PREVIEW_PAGE
KNOWN = 80


async def content_of(rows: Rows) -> bytes:
    """Two pages of rows of loans that are not there, which come first, and payments of 1.00 on two loans among them."""
    numbers = [(await rows.loan((await rows.borrowed()).loan_id))["loan_number"] for _ in range(2)]
    lines = [f"A-{n},1.00,A{n}-{numbers[0]}" for n in range(UNKNOWN)]
    for n in range(KNOWN):
        lines.insert(n * 6, f"{numbers[n % 2]},1.00,X{n}-{numbers[0]}")
    return "\n".join(["loan_number,amount,external_id", *lines]).encode()


async def batch_of(rows: Rows, batch_id: UUID) -> Any:
    return (await rows.all(select(payment_batches).where(payment_batches.c.id == batch_id)))[0]


async def outcomes(rows: Rows, batch_id: UUID) -> list[str]:
    table = payment_batch_rows
    found = await rows.all(select(table.c.outcome).where(table.c.batch_id == batch_id).order_by(table.c.line))
    return [row["outcome"] for row in found]


def expected_outcomes() -> list[str]:
    result = ["rejected"] * UNKNOWN
    for n in range(KNOWN):
        result.insert(n * 6, "acceptable")
    return result


def workflow(client: Client, batch_id: UUID) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(service.preview_workflow_id(batch_id))


async def result_of(platform: Platform, batch_id: UUID) -> Any:
    async def started() -> bool:
        try:
            await workflow(platform.client, batch_id).describe()
        except RPCError:
            return False
        return True

    await eventually(started, "the workflow is started")
    return await workflow(platform.client, batch_id).result()


async def test_a_file_is_previewed_page_by_page_and_then_posted(
    platform: Platform, tenant: UUID, replayer: Replayer
) -> None:
    rows = platform.rows(tenant)
    content = await content_of(rows)
    batch_id, _ = await platform.act(tenant, lambda uow: service.upload(uow, content))

    result = await result_of(platform, batch_id)

    count = UNKNOWN + KNOWN
    expected = {"step": "previewed", "waiting_on": "nobody", "rows": count, "previewed": count, "rejected": UNKNOWN}
    assert result == expected
    assert await outcomes(rows, batch_id) == expected_outcomes()
    batch = await batch_of(rows, batch_id)
    assert (batch["status"], batch["control_total"]) == ("previewed", KNOWN * 100)
    assert await rows.all(select(payments.c.id)) == []
    handle = workflow(platform.client, batch_id)
    assert await handle.query("status") == expected
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert metadata.current_details == f"previewed: {count} of {count} rows previewed, {UNKNOWN} rejected; waiting on nobody"
    described = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert (attributes["Stage"], attributes["WorkflowKind"]) == ("done", "payment-batch-preview")
    await replayer.replay_workflow(await histories.keep("PaymentBatchPreviewWorkflow.previewed", handle))

    await platform.act(tenant, lambda uow: service.post(uow, batch_id, KNOWN * 100))

    async def posted() -> bool:
        return bool((await batch_of(rows, batch_id))["status"] == "posted")

    await eventually(posted, "the batch is posted")
    assert len(await rows.all(select(payments.c.id))) == KNOWN


async def test_one_that_is_cancelled_while_it_is_previewed_stops_at_the_next_page(
    platform: Platform, tenant: UUID, replayer: Replayer
) -> None:
    """The batch is held from the first page of the workflow on, and cancelled by who holds it."""
    rows = platform.rows(tenant)
    content = await content_of(rows)
    async with rows.uow() as uow:
        batch_id, _ = await service.upload(uow, content)
        await uow.commit()
    async with rows.uow() as holding:
        await service.cancel(holding, batch_id, "stop")
        platform.delivery.soon(tenant, uow.intents)

        async def previewing() -> bool:
            try:
                described = await workflow(platform.client, batch_id).describe()
            except RPCError:
                return False
            return any(pending.attempt == 1 for pending in described.raw_description.pending_activities)

        await eventually(previewing, "the workflow has begun")
        await holding.commit()

    result = await result_of(platform, batch_id)

    count = UNKNOWN + KNOWN
    assert (result["step"], result["rows"], result["previewed"]) == ("cancelled", count, service.PREVIEW_PAGE)
    assert (await outcomes(rows, batch_id)).count("waiting") == count - service.PREVIEW_PAGE
    handle = workflow(platform.client, batch_id)
    await replayer.replay_workflow(await histories.keep("PaymentBatchPreviewWorkflow.cancelled", handle))


async def test_many_rounds_say_how_far_it_is(temporal_client: Client, replayer: Replayer) -> None:
    """The rounds of a large file: each but the last comes back with rows that wait."""
    rounds = iter([100, 200, 250])
    seen: list[BatchRound] = []

    @activity.defn(name="preview_batch")
    async def preview_batch(request: BatchRound) -> PreviewProgress:
        seen.append(request)
        previewed = next(rounds)
        return PreviewProgress("previewed" if previewed == 250 else "previewing", 250, previewed, 3)

    queue = f"queue-{new_id()}"
    request = PaymentBatchInput(new_id(), new_id())
    async with Worker(
        temporal_client,
        task_queue=queue,
        workflows=[PaymentBatchPreviewWorkflow],
        activities=[preview_batch],
        workflow_runner=RUNNER,
    ):
        handle = await temporal_client.start_workflow(
            "PaymentBatchPreviewWorkflow", request, id=service.preview_workflow_id(request.batch_id), task_queue=queue
        )
        result: Any = await handle.result()
    assert (result["step"], result["rows"], result["previewed"], result["rejected"]) == ("previewed", 250, 250, 3)
    assert seen == [BatchRound(request.tenant_id, request.batch_id, 10)] * 3
    await replayer.replay_workflow(await histories.keep("PaymentBatchPreviewWorkflow.three_rounds", handle))


async def test_what_fails_is_tried_again_for_hours_and_goes_on_where_it_was(
    skipping: WorkflowEnvironment, engine: AsyncEngine, tenant: UUID, replayer: Replayer
) -> None:
    """Each step previews some rows and dies, as often as that; then it lives. The clock is moved over the waits between."""
    rows = Rows(engine, tenant)
    content = await content_of(rows)
    async with rows.uow() as uow:
        batch_id, _ = await service.upload(uow, content)
        await uow.commit()
    previewed: list[int] = []
    real = PaymentBatchActivities(engine)

    @activity.defn(name="preview_batch")
    async def preview_batch(request: BatchRound) -> PreviewProgress:
        if len(previewed) < 200:
            async with rows.uow() as uow:
                await service.preview_page(uow, batch_id, 1)
                await uow.commit()
            async with rows.uow() as uow:
                previewed.append((await service.preview_progress(uow, batch_id)).previewed)
            raise RuntimeError("killed")
        return await real.preview_batch(request)

    queue = f"queue-{new_id()}"
    began = await skipping.get_current_time()
    async with Worker(
        skipping.client,
        task_queue=queue,
        workflows=[PaymentBatchPreviewWorkflow],
        activities=[preview_batch],
        workflow_runner=RUNNER,
        max_cached_workflows=0,
    ):
        handle: WorkflowHandle[Any, Any] = await skipping.client.start_workflow(
            "PaymentBatchPreviewWorkflow",
            PaymentBatchInput(tenant, batch_id),
            id=service.preview_workflow_id(batch_id),
            task_queue=queue,
        )
        result: Any = await handle.result()
    assert (await skipping.get_current_time() - began).total_seconds() > 60 * 60
    assert previewed == list(range(service.PREVIEW_PAGE + 1, service.PREVIEW_PAGE + 201))
    assert (result["step"], result["previewed"]) == ("previewed", UNKNOWN + KNOWN)
    assert await outcomes(rows, batch_id) == expected_outcomes()
    await replayer.replay_workflow(await histories.keep("PaymentBatchPreviewWorkflow.tried_again", handle))
