"""Real processes, killed while they draft or follow a reversal up: each step happens once, and nothing asked for is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.roles import Role
from infra.clock import utc_now
from infra.crypto import Vault
from infra.db.models.servicing import borrowers
from infra.settings import Settings
from services import autopay, dates, ledger, payment_batches
from services.auth import Platform, open_session
from services.payments import RecordPayment, record
from services.users import create_user
from standalone.binaries import locate_temporal
from standalone.stack import Stack
from tests.api.mailbox import Mailbox
from tests.conftest import Database, MakeTenant, drop_pending_intents
from tests.services.lending import advance, assert_consistent
from tests.workflows.platform import Borrowed, Rows, eventually

pytestmark = [
    pytest.mark.skipif(locate_temporal() is None, reason="no Temporal: run `python -m standalone.binaries`"),
    pytest.mark.timeout(600),
]

LOANS = 5
PAYMENTS = 160
DUE = date(2020, 10, 9)
RECOVERY_SECONDS = 120.0
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def stack(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Temporal, API and worker as processes of their own, on the tests' database."""
    drop_pending_intents(database)
    home: Path = tmp_path_factory.mktemp("crash")
    with Stack(home, settings=settings) as stack:
        yield stack


@contextmanager
def held(database: Database, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Nobody can write to a table: whoever comes to it waits in the middle of its transaction."""
    url = make_url(database.owner_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield connection
        connection.rollback()


async def is_waited_for(connection: psycopg.Connection[Any], table: str) -> bool:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)"
    return connection.execute(waiting, [table]).fetchone() is not None


async def start(stack: Stack, name: str) -> None:
    await asyncio.to_thread(stack.start_component, name)


async def test_a_worker_killed_while_it_drafts_drafts_once(
    stack: Stack, database: Database, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Killed before the draft is prepared, when its payment is being recorded, when the rail takes it, and at moments
    nobody chose."""
    tenant = await make_tenant(date(2020, 10, 8))
    rows = Rows(engine, tenant)
    loans = [await rows.borrowed() for _ in range(LOANS)]
    async with rows.uow() as uow:
        enrolments = [await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id)) for loan in loans]
        advance_id = await dates.request_advance(uow, date(2020, 10, 14))
        await uow.commit()

    for table in ("autopay_drafts", "payments", "rail_transfers"):
        with held(database, table) as connection:

            async def reached(connection: Any = connection, table: str = table) -> bool:
                return await is_waited_for(connection, table)

            await eventually(reached, f"the worker writes to {table}", RECOVERY_SECONDS)
            stack.kill("worker")
        await start(stack, "worker")
    for _ in range(2):
        await asyncio.sleep(random.uniform(0.0, 3.0))
        stack.kill("worker")
        await start(stack, "worker")

    async def arrived() -> bool:
        return bool((await rows.advance(advance_id))["status"] == "done")

    await eventually(arrived, "the date is moved after all", RECOVERY_SECONDS)
    for loan, enrolment_id in zip(loans, enrolments, strict=True):
        await assert_drafted_once(rows, loan, enrolment_id)
    assert len(await rows.transfers()) == LOANS


async def assert_drafted_once(rows: Rows, loan: Borrowed, enrolment_id: UUID) -> None:
    (draft,) = await rows.drafts(enrolment_id)
    (payment,) = await rows.payments(loan.loan_id)
    assert (draft["status"], draft["amount"], draft["payment_id"]) == ("settled", 29747, payment["id"])
    assert (payment["amount"], payment["effective_date"], payment["status"]) == (29747, DUE, "completed")
    assert (await rows.loan(loan.loan_id))["next_due_date"] == date(2020, 11, 9)


async def test_a_worker_killed_in_the_middle_of_a_page_of_payments_posts_each_once(
    stack: Stack, database: Database, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Killed while the seventh payment of a page waits, some before it being written; and at moments nobody chose."""
    tenant = await make_tenant(date(2020, 10, 8))
    rows = Rows(engine, tenant)
    loans = [(await rows.borrowed()).loan_id for _ in range(LOANS)]
    numbers = [(await rows.loan(loan_id))["loan_number"] for loan_id in loans]
    lines = [f"{numbers[n % LOANS]},{n + 1}.00,X{n}-{tenant}" for n in range(PAYMENTS)]
    async with rows.uow() as uow:
        content = "\n".join(["loan_number,amount,external_id", *lines]).encode()
        batch_id, _ = await payment_batches.upload(uow, content)
        await payment_batches.post(uow, batch_id, PAYMENTS * (PAYMENTS + 1) // 2 * 100)
        blocked = lines[6].split(",")[2]
        async with rows.uow() as other:  # whoever records this external id waits to see what becomes of it here
            await record(other, RecordPayment((await rows.borrowed()).loan_id, 1_00, "cash", external_id=blocked))
            await uow.commit()

            async def waits() -> bool:
                statement = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
                return (await other.execute(text(statement))).first() is not None

            await eventually(waits, "the worker comes to the seventh payment", RECOVERY_SECONDS)
            stack.kill("worker")
    await start(stack, "worker")
    for _ in range(2):
        await asyncio.sleep(random.uniform(0.0, 2.0))
        stack.kill("worker")
        await start(stack, "worker")

    async def posted() -> bool:
        async with rows.uow() as uow:
            return (await payment_batches.progress(uow, batch_id)).status == "posted"

    await eventually(posted, "the batch is posted after all", RECOVERY_SECONDS)
    async with rows.uow() as uow:
        assert await payment_batches.progress(uow, batch_id) == payment_batches.Progress("posted", PAYMENTS, 0, 0, 0)
        for loan_id in loans:
            await assert_consistent(uow, loan_id)
        assert sum(line.net for line in await ledger.trial_balance(uow, date(2020, 10, 8))) == 0
    made = [payment for loan_id in loans for payment in await rows.payments(loan_id)]
    assert sorted(payment["external_id"] for payment in made) == sorted(line.split(",")[2] for line in lines)
    assert sum(payment["amount"] for payment in made) == PAYMENTS * (PAYMENTS + 1) // 2 * 100


async def test_what_the_api_accepted_while_temporal_was_away_is_carried_out(
    stack: Stack, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Temporal is stopped, the API accepts an enrolment and is killed before it could start anything."""
    tenant = await make_tenant(DUE)
    rows = Rows(engine, tenant)
    loan = await rows.borrowed()
    headers = {"Authorization": f"Bearer {await access_token(stack, engine, tenant)}"}
    url = f"{stack.settings.public_url}/api/v1/loans/{loan.loan_id}/autopay"
    stack.stop_component("temporal")

    async with httpx.AsyncClient(headers=headers, timeout=10) as client:
        response = await client.post(url, json={"payment_instrument_id": str(loan.instrument_id)})
        stack.kill("api")
    assert response.status_code == 201, response.text
    assert response.elapsed.total_seconds() < 1.0
    (intent,) = await rows.intents(response.json()["workflow_id"])
    assert intent["status"] == "pending"

    await start(stack, "temporal")
    enrolment_id = UUID(response.json()["id"])

    async def drafted() -> bool:
        return [row["status"] for row in await rows.drafts(enrolment_id)] == ["pending"]

    await eventually(drafted, "the draft of today is prepared", RECOVERY_SECONDS)
    await start(stack, "api")
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:

        async def answers() -> Any:
            return (await client.get(url)).json()["workflow"]

        state = await eventually(answers, "the workflow says where it is")
    assert state == {
        "step": "waiting",
        "waiting_on": "the business date 2020-11-09",
        "next_process_date": "2020-11-09",
        "drafts": 1,
    }
    assert await rows.payments(loan.loan_id) == []  # they come with the date's cutoff


async def test_a_worker_killed_while_it_follows_a_reversal_up_does_each_step_once(
    stack: Stack, database: Database, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Killed while it plans the autopay anew, while it records the restated days, and when the letter is sent but not
    recorded yet."""
    tenant = await make_tenant(date(2020, 9, 9))
    rows = Rows(engine, tenant)
    loan = await rows.borrowed()
    address = f"jane-{tenant.hex}@example.com"
    async with rows.uow() as uow:
        await uow.execute(update(borrowers).values(email=address))
        paid = await record(uow, RecordPayment(loan.loan_id, 29747, "check"))
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
        await uow.commit()
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 12))
    stack.kill("worker")
    headers = {"Authorization": f"Bearer {await access_token(stack, engine, tenant)}"}
    url = f"{stack.settings.public_url}/api/v1/payments/{paid.id}"
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:
        response = await client.post(f"{url}/reverse", json={"reason": "nsf"})
    assert response.status_code == 200, response.text

    for table in ("autopay_enrolments", "status_restatements", "audit_log"):
        with held(database, table) as connection:
            await start(stack, "worker")

            async def reached(connection: Any = connection, table: str = table) -> bool:
                return await is_waited_for(connection, table)

            await eventually(reached, f"the worker writes to {table}", RECOVERY_SECONDS)
            stack.kill("worker")
    await start(stack, "worker")

    async with httpx.AsyncClient(headers=headers, timeout=10) as client:

        async def followed_up() -> Any:
            shown = (await client.get(f"{url}/reversal")).json()
            return shown if shown["status"] == "completed" else None

        shown = await eventually(followed_up, "the reversal is completed after all", RECOVERY_SECONDS)
    assert (shown["autopay"], shown["notice"], shown["restated"]["days"]) == ("replanned", "sent", 3)
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == DUE
    told = [row for row in await rows.intents(autopay.workflow_id(enrolment_id)) if row["action"] == "signal"]
    assert len(told) == 1
    assert len(Mailbox(stack.settings.home / "outbox").to(address)) == 1
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def test_a_worker_killed_while_it_restates_days_of_a_backdated_payment_records_each_once(
    stack: Stack, database: Database, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Killed twice: before it records the days, and before it says that it has."""
    tenant = await make_tenant(date(2020, 9, 9))
    rows = Rows(engine, tenant)
    loan = await rows.borrowed()
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 12))
    async with rows.uow() as uow:
        paid = await record(uow, RecordPayment(loan.loan_id, 29747, "check"))
        await uow.commit()
    await advance(lambda _: rows.uow(), tenant, date(2020, 9, 14))
    stack.kill("worker")
    headers = {"Authorization": f"Bearer {await access_token(stack, engine, tenant)}"}
    url = f"{stack.settings.public_url}/api/v1"
    body = {"effective_date": "2020-09-10"}
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:
        promised = (await client.post(f"{url}/payments/{paid.id}/backdate/preview", json=body)).json()
        response = await client.post(f"{url}/payments/{paid.id}/backdate", json=body)
    assert response.status_code == 200, response.text

    for table in ("status_restatements", "loan_corrections"):
        with held(database, table) as connection:
            await start(stack, "worker")

            async def reached(connection: Any = connection, table: str = table) -> bool:
                return await is_waited_for(connection, table)

            await eventually(reached, f"the worker writes to {table}", RECOVERY_SECONDS)
            stack.kill("worker")
    await start(stack, "worker")

    async with httpx.AsyncClient(headers=headers, timeout=10) as client:

        async def restated() -> Any:
            shown = (await client.get(f"{url}/corrections/{response.json()['correction_id']}")).json()
            return shown if shown["finished_at"] else None

        shown = await eventually(restated, "the days are restated after all", RECOVERY_SECONDS)
    archive = promised["archive"]
    assert shown["restated"]["days"] == archive["days"] == 5
    assert (shown["restated"]["first"], shown["restated"]["last"]) == (archive["first"], archive["last"])
    assert shown["restated"]["figures"] == [figure["figure"] for figure in archive["figures"]]
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def access_token(stack: Stack, engine: AsyncEngine, tenant: UUID) -> str:
    vault = Vault.of(stack.settings)
    async with Rows(engine, tenant).uow() as uow:
        user_id = await create_user(
            uow, vault, email="officer@example.com", full_name="Test Officer", role=Role.LOAN_OFFICER, password=PASSWORD
        )
        tokens = await open_session(Platform(engine, vault, utc_now), uow, user_id)
        await uow.commit()
    return tokens.access
