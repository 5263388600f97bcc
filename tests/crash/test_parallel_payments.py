"""Many clients at one loan at the same moment, over HTTP, against a real API process: sums are exact and nothing fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.money import format_amount
from infra.db.models.processes import payment_reversals
from infra.db.models.servicing import payments
from infra.ids import new_id
from infra.settings import Settings
from services.replaying import lock_loan
from standalone.binaries import locate_temporal
from standalone.stack import Stack
from tests.api.lending import EXAMPLE_TERMS, make_borrower, make_loan, make_program
from tests.conftest import Database, MakeTenant, drop_pending_intents
from tests.crash.budget import chance, either
from tests.crash.lender import Lender
from tests.services.lending import assert_consistent
from tests.workflows.platform import eventually

pytestmark = [
    pytest.mark.skipif(locate_temporal() is None, reason="no Temporal: run `python -m standalone.binaries`"),
    pytest.mark.timeout(either(600, 5400)),
]

CLIENTS = 100
ROUNDS = either(3, 200)
RACES = either(1, 200)
OPENED, TODAY = date(2020, 9, 9), date(2020, 10, 20)
PRINCIPAL = 10_000_00
TERMS = {**EXAMPLE_TERMS, "nsf_fee": "25.00"}


@pytest.fixture(scope="module")
def stack(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The API as a process of its own, on the tests' database."""
    drop_pending_intents(database)
    with Stack(tmp_path_factory.mktemp("parallel"), settings=settings, with_worker=False) as stack:
        yield stack


@pytest.fixture(scope="module")
async def lender(stack: Stack, engine: AsyncEngine, make_tenant: MakeTenant) -> Lender:
    return Lender.of(stack.settings, engine, await make_tenant(TODAY))


@pytest.fixture(scope="module")
async def program(lender: Lender) -> dict[str, str]:
    """What loans are made of."""
    async with lender.staff() as admin:
        return {"program_id": await make_program(admin, TERMS), "borrower_id": await make_borrower(admin)}


async def loan_of(client: httpx.AsyncClient, program: dict[str, str]) -> UUID:
    """The example loan, disbursed on its first day."""
    loan = await make_loan(client, disbursed=False, **program)
    done = await client.post(f"/api/v1/loans/{loan['id']}/disburse", json={"date": OPENED.isoformat()})
    assert done.status_code == 200, done.text
    return UUID(loan["id"])


def body_of(amount: int, **more: str) -> dict[str, str]:
    return {"amount": format_amount(amount), "payment_method": "check", "external_id": new_id().hex, **more}


def expect(response: httpx.Response, done: int, *refusals: str) -> bool:
    """Whether it was done. Fails the test unless it was, or was refused with one of these codes and a sentence."""
    if response.status_code == done:
        return True
    said = response.json()
    assert response.status_code in (409, 422), (response.status_code, said)
    assert said["code"] in refusals, said
    assert said["detail"]
    return False


@asynccontextmanager
async def watched(client: httpx.AsyncClient, loan_id: UUID) -> AsyncIterator[None]:
    """The loan is looked at all the while: at no moment is less than nothing owed."""
    seen: list[Decimal] = []

    async def look() -> None:
        while True:
            shown = await client.get(f"/api/v1/loans/{loan_id}")
            assert shown.status_code == 200, shown.text
            seen.append(Decimal(shown.json()["principal_balance"]))
            await asyncio.sleep(0.2)

    looking = asyncio.create_task(look())
    yield
    if looking.done():
        looking.result()
    looking.cancel()
    assert seen
    assert min(seen) >= 0


async def assert_sums(lender: Lender, loan_id: UUID, amounts: list[int]) -> None:
    """The payments that count are exactly these, and the loan, its schedule and its books say so to the cent."""
    row = await lender.loan(loan_id)
    rows = [paid for paid in await lender.payments(loan_id) if paid["status"] == "completed"]
    assert sorted(paid["amount"] for paid in rows) == sorted(amounts)
    assert sum(amounts) == row["total_paid"]
    assert row["principal_balance"] == PRINCIPAL - sum(paid["principal_applied"] for paid in rows) >= 0
    async with lender.uow() as uow:
        await assert_consistent(uow, loan_id)


async def test_a_hundred_payments_at_once_on_one_loan_round_after_round(lender: Lender, program: dict[str, str]) -> None:
    """In every other round they are together more than the loan owes: then those that find it paid off are refused."""
    random = chance("a hundred payments")
    for number in range(ROUNDS):
        most = 80_00 if number % 2 else 250_00
        amounts = [random.randint(1, most) for _ in range(CLIENTS)]
        async with lender.staff() as client:
            loan_id = await loan_of(client, program)
            posts = [client.post(f"/api/v1/loans/{loan_id}/payments", json=body_of(amount)) for amount in amounts]
            async with watched(client, loan_id):
                answers = await asyncio.gather(*posts)
        taken = [expect(answer, 201, "loan_paid_off") for answer in answers]
        if sum(amounts) < PRINCIPAL:
            assert all(taken)
        await assert_sums(lender, loan_id, [amount for amount, one in zip(amounts, taken, strict=True) if one])


async def test_payments_race_with_backdates_and_reversals_of_the_same_loan(lender: Lender, program: dict[str, str]) -> None:
    """Whatever the order in which they get the loan's lock: a payment counts once or not at all, on one day."""
    random = chance("payments among backdates and reversals")
    for _ in range(RACES):
        async with lender.staff() as client:
            loan_id = await loan_of(client, program)
            early = {UUID(paid["id"]): amount for paid, amount in await _pay_one_by_one(client, loan_id, random)}
            late = [random.randint(1, 150_00) for _ in range(CLIENTS - 2 * len(early))]
            async with watched(client, loan_id):
                paying = [client.post(f"/api/v1/loans/{loan_id}/payments", json=body_of(amount)) for amount in late]
                moving = [_backdate(client, payment, random) for payment in early]
                reversing = [_reverse(client, payment) for payment in list(early)[::2] * 2]
                calls = [*paying, *moving, *reversing]
                order = random.sample(range(len(calls)), len(calls))
                answers = dict(zip(order, await asyncio.gather(*(calls[at] for at in order)), strict=True))
        taken = [expect(answers[at], 201, "loan_paid_off") for at in range(len(late))]
        for at in range(len(late), len(late) + len(moving)):
            expect(answers[at], 200, "wrong_state", "same_effective_date", "payment_changed")
        taken_back = [expect(answers[at], 200, "wrong_state") for at in range(len(late) + len(moving), len(calls))]
        await _assert_reversed_once(lender, list(early)[::2], taken_back)
        kept = [amount for at, amount in enumerate(early.values()) if at % 2]
        await assert_sums(lender, loan_id, kept + [amount for amount, one in zip(late, taken, strict=True) if one])


async def test_fifty_identical_requests_are_one_payment(lender: Lender, program: dict[str, str]) -> None:
    """By an Idempotency-Key, or by the external id alone."""
    for number in range(either(2, 50)):
        headers = {"Idempotency-Key": new_id().hex} if number % 2 else {}
        body = body_of(50_00)
        async with lender.staff() as client:
            loan_id = await loan_of(client, program)
            calls = [client.post(f"/api/v1/loans/{loan_id}/payments", json=body, headers=headers) for _ in range(50)]
            answers = await asyncio.gather(*calls)
        statuses = Counter(answer.status_code for answer in answers)
        if headers:
            assert statuses.keys() <= {201, 409}, statuses
            assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"request_in_flight"}
        else:
            assert statuses == {201: 1, 200: 49}
        assert len({answer.json()["id"] for answer in answers if answer.is_success}) == 1
        await assert_sums(lender, loan_id, [50_00])


async def test_a_loan_that_is_held_keeps_nobody_else_waiting(lender: Lender, program: dict[str, str]) -> None:
    """However many wait for one loan, there is a connection for the payment of another."""
    async with lender.staff() as client, lender.uow() as holding:
        held, other = await loan_of(client, program), await loan_of(client, program)
        await lock_loan(holding, held)
        posts = [client.post(f"/api/v1/loans/{held}/payments", json=body_of(1_00)) for _ in range(30)]
        waiting = [asyncio.create_task(post) for post in posts]
        await eventually(lambda: _somebody_waits(lender), "a payment waits for the loan")
        paid = await client.post(f"/api/v1/loans/{other}/payments", json=body_of(2_00), timeout=15)
        assert paid.status_code == 201, paid.text
        assert not any(task.done() for task in waiting)
        await holding.commit()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {201}


async def _somebody_waits(lender: Lender) -> bool:
    async with lender.uow() as uow:
        return (await uow.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted"))).first() is not None


async def _pay_one_by_one(client: httpx.AsyncClient, loan_id: UUID, random: Random) -> list[tuple[Any, int]]:
    """Twenty payments of several days, there before the race begins."""
    result = []
    for _ in range(CLIENTS // 5):
        amount, on = random.randint(1, 50_00), OPENED + timedelta(days=random.randint(0, 41))
        paid = await client.post(f"/api/v1/loans/{loan_id}/payments", json=body_of(amount, effective_date=on.isoformat()))
        assert paid.status_code == 201, paid.text
        result.append((paid.json(), amount))
    return result


async def _backdate(client: httpx.AsyncClient, payment_id: UUID, random: Random) -> httpx.Response:
    on = OPENED + timedelta(days=random.randint(0, 41))
    return await client.post(f"/api/v1/payments/{payment_id}/backdate", json={"effective_date": on.isoformat()})


async def _reverse(client: httpx.AsyncClient, payment_id: UUID) -> httpx.Response:
    return await client.post(f"/api/v1/payments/{payment_id}/reverse", json={"reason": "nsf", "assess_nsf_fee": True})


async def _assert_reversed_once(lender: Lender, payment_ids: list[UUID], done: list[bool]) -> None:
    """Of two requests for each payment exactly one reversed it."""
    half = len(payment_ids)
    assert [a + b for a, b in zip(done[:half], done[half:], strict=True)] == [1] * half
    table = payment_reversals
    counted = select(table.c.payment_id, func.count().label("times")).group_by(table.c.payment_id)
    times = {row["payment_id"]: row["times"] for row in await lender.all(counted.where(table.c.payment_id.in_(payment_ids)))}
    assert times == dict.fromkeys(payment_ids, 1)
    wanted = select(payments.c.status).where(payments.c.id.in_(payment_ids))
    assert {row["status"] for row in await lender.all(wanted)} == {"reversed"}
