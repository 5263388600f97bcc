"""PaymentBatchWorkflow on a real Temporal server and database: every row once, and it stops when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy import select
from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Replayer, Worker

from activities.contracts import BatchProgress, BatchRound
from infra.db.models.payment_batches import payment_batches
from infra.db.models.servicing import loans, payments
from infra.ids import new_id
from services import payment_batches as service
from services.payments import RecordPayment, record
from tests.workflows import histories
from tests.workflows.platform import Platform, Rows, eventually
from worker import RUNNER
from workflows.messages import PaymentBatchInput
from workflows.payment_batch import PaymentBatchWorkflow


async def uploaded(platform: Platform, tenant: UUID, count: int) -> UUID:
    """A batch of so many payments of 1.00 on two loans."""
    rows = platform.rows(tenant)
    numbers = [(await rows.loan((await rows.borrowed()).loan_id))["loan_number"] for _ in range(2)]
    lines = [f"{numbers[n % 2]},1.00,X{n}-{numbers[0]}" for n in range(count)]
    content = "\n".join(["loan_number,amount,external_id", *lines]).encode()
    batch_id, _ = await platform.act(tenant, lambda uow: service.upload(uow, content))
    return UUID(str(batch_id))


async def status_of(rows: Rows, batch_id: UUID) -> str:
    found = await rows.all(select(payment_batches.c.status).where(payment_batches.c.id == batch_id))
    return str(found[0]["status"])


def workflow(platform: Platform, batch_id: UUID) -> WorkflowHandle[Any, Any]:
    return platform.client.get_workflow_handle(service.workflow_id(batch_id))


async def result_of(platform: Platform, batch_id: UUID) -> Any:
    async def started() -> bool:
        try:
            await workflow(platform, batch_id).describe()
        except RPCError:
            return False
        return True

    await eventually(started, "the workflow is started")
    return await workflow(platform, batch_id).result()


async def test_a_batch_is_posted_page_by_page(platform: Platform, tenant: UUID, replayer: Replayer) -> None:
    rows = platform.rows(tenant)
    batch_id = await uploaded(platform, tenant, 120)
    await platform.act(tenant, lambda uow: service.post(uow, batch_id, 120_00))

    result = await result_of(platform, batch_id)

    expected = {
        "step": "posted",
        "waiting_on": "nobody",
        "posted": 120,
        "already_there": 0,
        "rejected": 0,
        "left": 0,
    }
    assert result == expected
    assert len(await rows.all(select(payments.c.id))) == 120
    assert await status_of(rows, batch_id) == "posted"
    handle = workflow(platform, batch_id)
    assert await handle.query("status") == expected
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert metadata.current_details == "posted: 120 posted, 0 already there, 0 rejected, 0 left; waiting on nobody"
    described = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes["Stage"] == "done"
    assert attributes["WorkflowKind"] == "payment-batch"
    await replayer.replay_workflow(await histories.keep("PaymentBatchWorkflow.posted", handle))


async def test_one_that_is_cancelled_while_it_is_posted_stops_at_the_next_page(
    platform: Platform, tenant: UUID, replayer: Replayer
) -> None:
    """The loan is held, so that the first page is under way when the batch is cancelled."""
    rows = platform.rows(tenant)
    batch_id = await uploaded(platform, tenant, 120)
    loan = (await rows.all(select(loans.c.id)))[0]
    async with rows.uow() as uow:
        await record(uow, RecordPayment(loan["id"], 5_00, "cash"))
        await platform.act(tenant, lambda other: service.post(other, batch_id, 120_00))

        async def page_has_begun() -> bool:
            lock = select(payment_batches.c.id).where(payment_batches.c.id == batch_id).with_for_update(skip_locked=True)
            return not await rows.all(lock)

        await eventually(page_has_begun, "a page is being posted")
        cancelling = asyncio.create_task(platform.act(tenant, lambda other: service.cancel(other, batch_id, "stop")))
        await asyncio.sleep(0.3)
        await uow.commit()
    await cancelling

    result = await result_of(platform, batch_id)

    assert (result["step"], result["posted"] + result["left"]) == ("cancelled", 120)
    assert result["posted"] == service.PAGE
    assert len(await rows.all(select(payments.c.id))) == result["posted"] + 1
    await replayer.replay_workflow(await histories.keep("PaymentBatchWorkflow.cancelled", workflow(platform, batch_id)))


async def test_one_that_is_cancelled_before_it_starts_posts_nothing(platform: Platform, tenant: UUID) -> None:
    batch_id = await uploaded(platform, tenant, 3)

    async def post_and_cancel(uow: Any) -> None:
        await service.post(uow, batch_id, 3_00)
        await service.cancel(uow, batch_id, "at once")

    await platform.act(tenant, post_and_cancel)
    result = await result_of(platform, batch_id)
    assert (result["step"], result["posted"], result["left"]) == ("cancelled", 0, 3)


async def test_many_rounds_say_how_far_it_is(temporal_client: Client, platform: Platform, replayer: Replayer) -> None:
    """The rounds of a large file: each but the last comes back with something left."""
    rounds = iter([100, 200, 250])
    seen: list[BatchRound] = []

    @activity.defn(name="post_batch")
    async def post_batch(request: BatchRound) -> BatchProgress:
        seen.append(request)
        posted = next(rounds)
        return BatchProgress("posted" if posted == 250 else "posting", posted, 0, 0, 250 - posted)

    queue = f"queue-{new_id()}"
    request = PaymentBatchInput(new_id(), new_id())
    async with Worker(
        temporal_client,
        task_queue=queue,
        workflows=[PaymentBatchWorkflow],
        activities=[post_batch],
        workflow_runner=RUNNER,
    ):
        handle = await temporal_client.start_workflow(
            "PaymentBatchWorkflow", request, id=f"payment-batch/{request.batch_id}", task_queue=queue
        )
        result: Any = await handle.result()
    assert (result["step"], result["posted"], result["left"]) == ("posted", 250, 0)
    assert seen == [BatchRound(request.tenant_id, request.batch_id, 30)] * 3
    await replayer.replay_workflow(await histories.keep("PaymentBatchWorkflow.three_rounds", handle))
