"""PaymentReversalWorkflow on a real Temporal server and database: what follows from a reversed payment, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.registry import activities
from domain.autopay import EnrolmentStatus
from infra.db.models.archive import status_restatements
from infra.db.models.processes import payment_reversals
from infra.db.models.servicing import borrowers
from infra.db.models.tenancy import tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import SEARCH_ATTRIBUTES, Temporal
from services import corrections, payments, reversals
from services.intents import Delivery
from services.payments import RecordPayment
from tests.api.mailbox import Mailbox
from tests.conftest import MakeTenant
from tests.services.lending import advance, assert_consistent
from tests.services.reversing import OFFICER, SECOND
from tests.workflows import histories
from tests.workflows.platform import Borrowed, Platform, Rows, eventually
from worker import RUNNER, WORKFLOWS, make_worker

LEVEL = 297_47


def handle_of(platform: Platform, reversal_id: UUID) -> WorkflowHandle[Any, Any]:
    return platform.client.get_workflow_handle(reversals.workflow_id(reversal_id))


async def staff(platform: Platform, tenant: UUID, user: UUID, action: Any) -> Any:
    """What a member of staff does over the API: a transaction, then delivery of its intents."""
    async with UnitOfWork(platform.engine, tenant, Actor(ActorKind.USER, user)) as uow:
        result = await action(uow)
        await uow.commit()
    platform.delivery.soon(tenant, uow.intents)
    return result


async def paid(rows: Rows, amount: int = LEVEL, email: str | None = None) -> tuple[Borrowed, UUID]:
    """A loan of a borrower with an address (None: without one), and its payment."""
    borrowed = await rows.borrowed()
    async with rows.uow() as uow:
        await uow.execute(update(borrowers).values(email=email))
        recorded = await payments.record(uow, RecordPayment(borrowed.loan_id, amount, "check"))
        await uow.commit()
    return borrowed, recorded.id


async def set_limit(rows: Rows, limit: int) -> None:
    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == rows.tenant).values(approval_limit=limit))
        await uow.commit()


async def reverse(platform: Platform, tenant: UUID, payment_id: UUID) -> UUID:
    asked = await staff(platform, tenant, OFFICER, lambda uow: reversals.request(uow, payment_id, "nsf"))
    reversal_id: UUID = asked.id
    return reversal_id


async def approve(platform: Platform, tenant: UUID, payment_id: UUID) -> None:
    await staff(platform, tenant, SECOND, lambda uow: reversals.approve(uow, payment_id))


async def reversal_row(rows: Rows, reversal_id: UUID) -> RowMapping:
    return (await rows.all(select(payment_reversals).where(payment_reversals.c.id == reversal_id)))[0]


async def until_step(platform: Platform, reversal_id: UUID, step: str) -> dict[str, Any]:
    """Wait until the workflow says it is at a step; what it says then."""

    async def reached() -> Any:
        await platform.delivery.run_once()
        try:
            status = await handle_of(platform, reversal_id).query("status")
        except RPCError:
            return None
        return status if status["step"] == step else None

    status: dict[str, Any] = await eventually(reached, f"the reversal is at the step {step}")
    return status


async def ended(platform: Platform, tenant: UUID, reversal_id: UUID) -> dict[str, Any]:
    """How the workflow ended, once it has been told all that there is to tell."""
    workflow_id = reversals.workflow_id(reversal_id)

    async def told() -> bool:
        await platform.delivery.run_once()
        return all(row["status"] != "pending" for row in await platform.rows(tenant).intents(workflow_id))

    await eventually(told, "the workflow is started and told")
    result: dict[str, Any] = await handle_of(platform, reversal_id).result()
    return result


async def assert_books_hold(rows: Rows, loan_id: UUID) -> None:
    async with rows.uow() as uow:
        await assert_consistent(uow, loan_id)
        assert (await corrections.equivalence(uow, loan_id)).equal


async def attributes_of(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """Our search attributes of a workflow."""
    found = (await handle.describe()).typed_search_attributes
    return {pair.key.name: pair.value for pair in found if pair.key.name in SEARCH_ATTRIBUTES}


async def details_of(client: Client, handle: WorkflowHandle[Any, Any]) -> str:
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(Notifier(settings).outbox)


COMPLETED = {"status": "completed", "step": "done", "waiting_on": "nobody", "told": True}


async def test_a_reversal_within_the_limit_is_followed_up(
    platform: Platform, tenant: UUID, replayer: Replayer, mailbox: Mailbox
) -> None:
    """An instalment that had been paid ahead: its draft goes out after all, on its date and once."""
    rows = platform.rows(tenant)
    address = f"jane-{new_id().hex}@example.com"
    borrowed, payment_id = await paid(rows, email=address)
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.until_step(enrolment_id, "waiting")
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 11))

    reversal_id = await reverse(platform, tenant, payment_id)
    assert await ended(platform, tenant, reversal_id) == COMPLETED

    row = await reversal_row(rows, reversal_id)
    assert (row["status"], row["autopay_outcome"], row["notice"]) == ("completed", "replanned", "sent")
    days = await rows.all(select(status_restatements.c.as_of).order_by(status_restatements.c.as_of))
    assert [day["as_of"] for day in days] == [date(2020, 9, 10), date(2020, 9, 11)]
    (mail,) = mailbox.to(address)
    assert "297.47 of 2020-09-09 has been reversed" in mail.get_content()
    assert "automatic payments include what is due again" in mail.get_content()
    handle = handle_of(platform, reversal_id)
    assert await details_of(platform.client, handle) == "completed, step done; waiting on nobody"
    history = await histories.keep("PaymentReversalWorkflow.direct", handle)
    await replayer.replay_workflow(history)
    for personal in ("John Doe", address):  # longer than what a sealed payload shows by chance
        assert personal not in history.to_json()

    await platform.delivery.run_once()  # the autopay is told
    await platform.move_date(tenant, date(2020, 10, 9))
    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["process_date"], draft["amount"], draft["status"]) == (date(2020, 10, 9), LEVEL, "sent")
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    await assert_books_hold(rows, borrowed.loan_id)


async def test_a_reversal_that_reopens_a_loan_has_it_drafted_again(platform: Platform, tenant: UUID) -> None:
    rows = platform.rows(tenant)
    borrowed, _ = await paid(rows, 100_00)
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.until_step(enrolment_id, "waiting")  # or it would end when it first looks
    payoff = await platform.act(tenant, lambda uow: payments.record(uow, RecordPayment(borrowed.loan_id, 9_900_00, "check")))
    assert (await rows.loan(borrowed.loan_id))["status"] == "paid_off"

    reversal_id = await reverse(platform, tenant, payoff.id)
    assert (await ended(platform, tenant, reversal_id))["told"], "nobody has an address to tell"
    row = await reversal_row(rows, reversal_id)
    assert (row["loan_reopened"], row["autopay_outcome"], row["notice"]) == (True, "told", "no_address")
    await platform.delivery.run_once()
    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["process_date"], draft["status"]) == (date(2020, 10, 9), "sent")
    loan = await rows.loan(borrowed.loan_id)
    assert (loan["status"], loan["days_past_due"]) == ("active", 0)
    await assert_books_hold(rows, borrowed.loan_id)


async def test_an_autopay_that_ended_with_the_loan_is_told_of_and_not_begun_again(
    platform: Platform, make_tenant: MakeTenant, mailbox: Mailbox
) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    address = f"jane-{new_id().hex}@example.com"
    borrowed, _ = await paid(rows, 100_00, address)
    enrolment_id = await platform.enrol(tenant, borrowed)
    payoff = await platform.act(
        tenant, lambda uow: payments.record(uow, RecordPayment(borrowed.loan_id, 10_000_00, "check"))
    )
    await platform.move_date(tenant, date(2020, 10, 9))
    assert (await platform.autopay(enrolment_id).result())["reason"] == "the loan is paid off"

    reversal_id = await reverse(platform, tenant, payoff.id)
    assert await ended(platform, tenant, reversal_id) == COMPLETED

    row = await reversal_row(rows, reversal_id)
    assert (row["autopay_outcome"], row["autopay_enrolment_id"]) == ("ended", enrolment_id)
    assert (await rows.enrolment(enrolment_id))["status"] == str(EnrolmentStatus.COMPLETED)
    (mail,) = mailbox.to(address)
    assert "They do not begin again by themselves" in mail.get_content()
    await assert_books_hold(rows, borrowed.loan_id)


async def test_above_the_limit_it_waits_for_a_second_person_who_approves(
    platform: Platform, tenant: UUID, replayer: Replayer
) -> None:
    rows = platform.rows(tenant)
    borrowed, payment_id = await paid(rows)
    await set_limit(rows, LEVEL - 1)
    reversal_id = await reverse(platform, tenant, payment_id)

    status = await until_step(platform, reversal_id, "approval")
    assert status == {"status": "pending_approval", "step": "approval", "waiting_on": "a second person", "told": None}
    handle = handle_of(platform, reversal_id)
    assert await details_of(platform.client, handle) == "pending_approval, step approval; waiting on a second person"
    attributes = await attributes_of(handle)
    assert attributes == {
        "TenantId": str(tenant),
        "LoanId": str(borrowed.loan_id),
        "WorkflowKind": "payment-reversal",
        "BusinessDate": "2020-09-09",
        "Stage": "pending_approval",
    }
    await handle.signal("decided")  # told of nothing: it looks at the row and goes on waiting
    assert (await rows.payments(borrowed.loan_id))[0]["status"] == "completed"

    await approve(platform, tenant, payment_id)
    assert await ended(platform, tenant, reversal_id) == COMPLETED
    assert (await rows.payments(borrowed.loan_id))[0]["status"] == "reversed"
    assert (await attributes_of(handle))["Stage"] == "completed"
    await replayer.replay_workflow(await histories.keep("PaymentReversalWorkflow.approved", handle))
    await assert_books_hold(rows, borrowed.loan_id)


async def test_a_rejected_one_ends_and_nothing_follows(
    platform: Platform, tenant: UUID, replayer: Replayer, mailbox: Mailbox
) -> None:
    rows = platform.rows(tenant)
    address = f"jane-{new_id().hex}@example.com"
    borrowed, payment_id = await paid(rows, email=address)
    await set_limit(rows, 0)
    reversal_id = await reverse(platform, tenant, payment_id)
    await until_step(platform, reversal_id, "approval")

    await staff(platform, tenant, SECOND, lambda uow: reversals.reject(uow, payment_id, "it was honoured"))

    result = await ended(platform, tenant, reversal_id)
    assert result == {"status": "rejected", "step": "done", "waiting_on": "nobody", "told": None}
    assert (await rows.payments(borrowed.loan_id))[0]["status"] == "completed"
    assert mailbox.to(address) == []
    handle = handle_of(platform, reversal_id)
    await replayer.replay_workflow(await histories.keep("PaymentReversalWorkflow.rejected", handle))
    await assert_books_hold(rows, borrowed.loan_id)


async def test_a_decision_while_no_worker_runs_is_carried_out_by_the_next(
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
    borrowed, payment_id = await paid(rows)
    await set_limit(rows, 0)
    async with make_worker(settings, temporal_client, engine):
        reversal_id = await reverse(platform, tenant, payment_id)
        await until_step(platform, reversal_id, "approval")

    await approve(platform, tenant, payment_id)
    assert (await reversal_row(rows, reversal_id))["step"] == "autopay"

    async with make_worker(settings, temporal_client, engine):
        assert await ended(platform, tenant, reversal_id) == COMPLETED
    assert (await reversal_row(rows, reversal_id))["status"] == "completed"
    await assert_books_hold(rows, borrowed.loan_id)


class TestSkippingTime:
    @asynccontextmanager
    async def worker(
        self, skipping: WorkflowEnvironment, settings: Settings, engine: AsyncEngine, dispatch: AsyncEngine
    ) -> AsyncIterator[Platform]:
        address = skipping.client.service_client.config.target_host
        temporal = Temporal(settings.model_copy(update={"temporal_address": address}))
        async with Worker(
            skipping.client,
            task_queue=settings.task_queue,
            workflows=WORKFLOWS,
            activities=activities(settings, engine, skipping.client, Notifier(settings)),
            workflow_runner=RUNNER,
            max_cached_workflows=0,  # every task is a replay of the whole history
        ):
            yield Platform(engine, skipping.client, Delivery(dispatch, temporal))

    async def test_it_waits_for_months(
        self,
        skipping: WorkflowEnvironment,
        settings: Settings,
        engine: AsyncEngine,
        dispatch: AsyncEngine,
        tenant: UUID,
        no_intents_of_others: None,
    ) -> None:
        async with self.worker(skipping, settings, engine, dispatch) as platform:
            rows = platform.rows(tenant)
            borrowed, payment_id = await paid(rows)
            await set_limit(rows, 0)
            reversal_id = await reverse(platform, tenant, payment_id)
            await until_step(platform, reversal_id, "approval")
            await skipping.sleep(timedelta(days=200))
            assert (await until_step(platform, reversal_id, "approval"))["waiting_on"] == "a second person"
            await approve(platform, tenant, payment_id)
            assert await ended(platform, tenant, reversal_id) == COMPLETED
            await assert_books_hold(rows, borrowed.loan_id)

    async def test_a_mail_server_that_is_away_for_a_day_is_given_up_and_that_is_shown(
        self,
        skipping: WorkflowEnvironment,
        settings: Settings,
        engine: AsyncEngine,
        dispatch: AsyncEngine,
        tenant: UUID,
        replayer: Replayer,
        no_intents_of_others: None,
    ) -> None:
        away = settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:1")})
        async with self.worker(skipping, away, engine, dispatch) as platform:
            rows = platform.rows(tenant)
            borrowed, payment_id = await paid(rows, email="jane@example.com")
            reversal_id = await reverse(platform, tenant, payment_id)
            await until_step(platform, reversal_id, "notice")

            async def given_up() -> Any:
                await skipping.sleep(timedelta(hours=3))
                return (await reversal_row(rows, reversal_id))["finished_at"]

            await eventually(given_up, "the letter is given up")
            row = await reversal_row(rows, reversal_id)
            assert (row["status"], row["step"], row["notice"]) == ("completed", "done", "failed")
            handle = handle_of(platform, reversal_id)
            assert await handle.result() == COMPLETED | {"told": False}
            await replayer.replay_workflow(await histories.keep("PaymentReversalWorkflow.not_told", handle))
            await assert_books_hold(rows, borrowed.loan_id)
