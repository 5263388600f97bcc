"""PayoutWorkflow on a real Temporal server and database: money goes out once, on a banking day, and the borrower is told."""

from __future__ import annotations

from datetime import date
from email import message_from_bytes
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from domain.program import ExtraMoney
from infra.db.models.processes import payouts, rail_payouts
from infra.db.models.servicing import borrowers, loans
from infra.db.models.tenancy import tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.notifier import Notifier
from infra.settings import Settings
from infra.temporal import Temporal
from services import ledger
from services import payouts as service
from services.intents import Delivery
from services.payments import RecordPayment, record
from tests.conftest import MakeTenant
from tests.domain.loans import LEVEL, under
from tests.services.lending import accounts_of
from tests.workflows import histories
from tests.workflows.platform import Platform, eventually
from worker import make_worker

KEPT = under(extra_money=ExtraMoney.UNAPPLIED)
MAIL = "payee@example.com"


async def owed(platform: Platform, tenant: UUID) -> tuple[UUID, UUID]:
    """A loan of a borrower with a mail address, and its payment of today, of which 100.00 are unapplied."""
    rows = platform.rows(tenant)
    loan_id = (await rows.borrowed(KEPT)).loan_id

    async def pay(uow: Any) -> UUID:
        loan = await uow.one(select(loans.c.borrower_id).where(loans.c.id == loan_id), "loan")
        await uow.execute(update(borrowers).where(borrowers.c.id == loan["borrower_id"]).values(email=MAIL))
        return (await record(uow, RecordPayment(loan_id, LEVEL + 100_00, "check"))).id

    return loan_id, await platform.act(tenant, pay)


async def refund(platform: Platform, tenant: UUID, payment_id: UUID, amount: int) -> UUID:
    command = service.Refund(payment_id, amount, "paid twice")
    payout_id: UUID = await platform.act(tenant, lambda uow: service.refund(uow, command))
    return payout_id


def handle_of(platform: Platform, payout_id: UUID) -> WorkflowHandle[Any, Any]:
    return platform.client.get_workflow_handle(service.workflow_id(payout_id))


async def until(platform: Platform, tenant: UUID, payout_id: UUID, column: str, value: Any) -> None:
    async def holds() -> bool:
        (row,) = await platform.rows(tenant).all(select(payouts).where(payouts.c.id == payout_id))
        return bool(row[column] == value)

    await eventually(holds, f"{column} of the payout is {value}")


def letters(settings: Settings) -> list[str]:
    """The bodies of the mails to the borrower."""
    found = [message_from_bytes(path.read_bytes()) for path in Notifier(settings).outbox.glob("*.eml")]
    return [str(mail.get_payload()) for mail in found if mail["To"] == MAIL]


async def test_a_refund_goes_out_on_its_banking_day_and_the_borrower_is_told(
    platform: Platform,
    tenant: UUID,
    temporal_settings: Settings,
    replayer: Replayer,
) -> None:
    loan_id, payment_id = await owed(platform, tenant)
    already = len(letters(temporal_settings))
    payout_id = await refund(platform, tenant, payment_id, 60_00)
    await until(platform, tenant, payout_id, "status", "sent")
    handle = handle_of(platform, payout_id)
    result = await handle.result()
    assert result == {"step": "sent", "waiting_on": "nobody", "goes_out_on": "2020-09-09"}

    rows = platform.rows(tenant)
    (row,) = await rows.all(select(payouts))
    assert (row["status"], row["sent_on"], row["goes_out_on"]) == ("sent", date(2020, 9, 9), date(2020, 9, 9))
    assert row["told_at"] is not None
    (mail,) = letters(temporal_settings)[already:]
    assert "2020-09-09 we sent you 60.00: a refund" in mail
    sent_twice = Notifier(temporal_settings).outbox / f"payout-{row['id']}.eml"
    assert sent_twice.exists(), "sent again after a crash it is the same message"
    async with rows.uow() as uow:
        net = await accounts_of(uow, loan_id)
        assert (net[2000], net[2010]) == (-40_00, 0)
        assert ledger.reconciled(await ledger.reconcile(uow))
    await replayer.replay_workflow(await histories.keep("PayoutWorkflow.sent_at_once", handle))


async def test_over_a_weekend_it_waits_for_the_business_date_and_the_date_waits_for_it(
    platform: Platform,
    make_tenant: MakeTenant,
    replayer: Replayer,
) -> None:
    tenant = await make_tenant(date(2020, 10, 10))  # a Saturday; Monday is Columbus Day
    loan_id, _ = await owed(platform, tenant)
    payout_id: UUID = await platform.act(tenant, lambda uow: service.reimburse(uow, loan_id, 25_00, "our mistake"))
    handle = handle_of(platform, payout_id)
    await until(platform, tenant, payout_id, "goes_out_on", date(2020, 10, 13))
    waiting = {"step": "on the rail", "waiting_on": "the business date 2020-10-13", "goes_out_on": "2020-10-13"}

    async def says_so() -> bool:
        return bool(await handle.query("status") == waiting)

    await eventually(says_so, "the workflow waits for Tuesday")
    await platform.move_date(tenant, date(2020, 10, 12))
    (row,) = await platform.rows(tenant).all(select(payouts))
    assert (row["status"], row["sent_on"]) == ("approved", None)
    await platform.move_date(tenant, date(2020, 10, 13))
    (row,) = await platform.rows(tenant).all(select(payouts))
    assert (row["status"], row["sent_on"]) == ("sent", date(2020, 10, 13)), "the date is there when it has happened"
    assert (await handle.result())["step"] == "sent"
    await replayer.replay_workflow(await histories.keep("PayoutWorkflow.over_a_weekend", handle))


async def test_above_the_limit_its_workflow_starts_when_it_is_approved(platform: Platform, tenant: UUID) -> None:
    _, payment_id = await owed(platform, tenant)
    await platform.act(tenant, lambda uow: uow.execute(update(tenants).values(approval_limit=0)))
    payout_id = await refund(platform, tenant, payment_id, 60_00)
    rows = platform.rows(tenant)
    assert await rows.intents(service.workflow_id(payout_id)) == []
    await platform.move_date(tenant, date(2020, 9, 10))  # nothing waits for a person
    async with UnitOfWork(platform.engine, tenant, Actor(ActorKind.USER, new_id())) as uow:
        await service.approve(uow, payout_id)
        await uow.commit()
    platform.delivery.soon(tenant, uow.intents)
    await until(platform, tenant, payout_id, "status", "sent")
    assert (await handle_of(platform, payout_id).result())["goes_out_on"] == "2020-09-10"


async def test_a_borrower_without_an_address_is_not_told_and_paid_all_the_same(platform: Platform, tenant: UUID) -> None:
    rows = platform.rows(tenant)
    loan_id = (await rows.borrowed(KEPT)).loan_id
    payout_id: UUID = await platform.act(tenant, lambda uow: service.reimburse(uow, loan_id, 25_00, "our mistake"))
    await until(platform, tenant, payout_id, "status", "sent")
    await handle_of(platform, payout_id).result()
    (row,) = await rows.all(select(payouts))
    assert row["told_at"] is None
    assert len(await rows.all(select(rail_payouts))) == 1


async def test_one_that_was_cancelled_while_no_worker_ran_ends_and_nobody_is_paid_or_told(
    temporal_settings: Settings,
    temporal_client: Client,
    engine: AsyncEngine,
    dispatch: AsyncEngine,
    tenant: UUID,
    replayer: Replayer,
    no_intents_of_others: None,
) -> None:
    settings = temporal_settings.model_copy(update={"task_queue": f"restarted-{new_id().hex}"})
    platform = Platform(engine, temporal_client, Delivery(dispatch, Temporal(settings)))
    loan_id, payment_id = await owed(platform, tenant)
    already = len(letters(temporal_settings))
    payout_id = await refund(platform, tenant, payment_id, 60_00)
    await platform.act(tenant, lambda uow: service.cancel(uow, payout_id, "keep it"))
    rows = platform.rows(tenant)

    async def delivered() -> bool:
        await platform.delivery.run_once()
        return all(row["status"] == "delivered" for row in await rows.intents(service.workflow_id(payout_id)))

    await eventually(delivered, "the workflow is started and told")
    async with make_worker(settings, temporal_client, engine):
        handle = handle_of(platform, payout_id)
        assert await handle.result() == {"step": "cancelled", "waiting_on": "nobody", "goes_out_on": None}
        await replayer.replay_workflow(await histories.keep("PayoutWorkflow.cancelled", handle))
    assert await rows.all(select(rail_payouts)) == []
    assert len(letters(temporal_settings)) == already
    async with rows.uow() as uow:
        net = await accounts_of(uow, loan_id)
        assert (net[2000], net[2010]) == (-100_00, 0)
        assert ledger.reconciled(await ledger.reconcile(uow))
