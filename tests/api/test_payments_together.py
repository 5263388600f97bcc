"""Payments that come at the same moment share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest
from httpx import Response
from sqlalchemy import func, literal_column, select
from sqlalchemy.exc import DataError, OperationalError

from api import together
from infra.db.models.servicing import payments
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.payments import PaymentRecord, RecordPayment
from tests.api.conftest import ApiClient, LoginAs
from tests.services.lending import UowOf, active_loan, assert_consistent

COUNT = 12
FIFTY = {"amount": "50.00", "payment_method": "check"}
TRANSACTION = literal_column("payments.xmin::text")


@pytest.fixture
async def loans(uow_of: UowOf, tenant: UUID) -> list[UUID]:
    return [await active_loan(uow_of, tenant) for _ in range(COUNT)]


async def pay_all(client: ApiClient, loans: list[UUID], *bodies: dict[str, str]) -> list[Response]:
    """Pay all at once: each with its body, or 50.00."""
    each = [*bodies, *[FIFTY] * (len(loans) - len(bodies))]
    return await asyncio.gather(
        *(client.post(f"/api/v1/loans/{loan}/payments", json=body) for loan, body in zip(loans, each, strict=True))
    )


async def test_many_at_once_take_few_transactions_and_each_is_recorded_as_if_alone(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID, loans: list[UUID]
) -> None:
    responses = await pay_all(loan_officer, loans)
    assert [response.status_code for response in responses] == [201] * COUNT
    assert [response.json()["loan_id"] for response in responses] == [str(loan) for loan in loans]
    async with uow_of(tenant) as uow:
        transactions = (await uow.execute(select(func.count(TRANSACTION.distinct())).select_from(payments))).scalar_one()
        assert transactions < COUNT
        for loan, response in zip(loans, responses, strict=True):
            row = await uow.one(select(payments).where(payments.c.loan_id == loan), "payment")
            assert (str(row["id"]), row["amount"]) == (response.json()["id"], 50_00)
            await assert_consistent(uow, loan)


async def test_what_is_refused_of_one_is_not_felt_by_the_others(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID, loans: list[UUID]
) -> None:
    unknown, future = new_id(), loans[3]
    asked = [loans[0], unknown, loans[2], future, *loans[4:]]
    late = {**FIFTY, "effective_date": "2031-01-01"}
    responses = await pay_all(loan_officer, asked, FIFTY, FIFTY, FIFTY, late)
    assert [response.status_code for response in responses] == [201, 404, 201, 422, *[201] * (COUNT - 4)]
    assert responses[3].json()["errors"][0]["pointer"] == "/effective_date"
    async with uow_of(tenant) as uow:
        paid = set((await uow.execute(select(payments.c.loan_id))).scalars())
        assert paid == {loan for loan in asked if loan not in (unknown, future)}


async def test_nor_is_an_error_of_one(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID, loans: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the database cannot take of one loan, it takes of the others."""
    bad, recording = loans[1], together.record_many

    async def record_many(uow: UnitOfWork, commands: Sequence[RecordPayment]) -> list[PaymentRecord]:
        recorded = await recording(uow, commands)
        if any(command.loan_id == bad for command in commands):
            raise DataError("", None, psycopg.errors.NumericValueOutOfRange("numeric field overflow"))
        return recorded

    with monkeypatch.context() as patched:
        patched.setattr(together, "record_many", record_many)
        responses = await pay_all(loan_officer, loans)
    assert [response.status_code for response in responses] == [201, 422, *[201] * (COUNT - 2)]
    async with uow_of(tenant) as uow:
        paid = set((await uow.execute(select(payments.c.loan_id))).scalars())
        assert paid == set(loans) - {bad}


async def test_an_external_id_belongs_to_one_of_two_that_come_at_once(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID, loans: list[UUID]
) -> None:
    named = {**FIFTY, "external_id": "X-1"}
    responses = await pay_all(loan_officer, loans, named, named)
    assert sorted(response.status_code for response in responses[:2]) == [201, 409]
    assert [response.status_code for response in responses[2:]] == [201] * (COUNT - 2)
    async with uow_of(tenant) as uow:
        assert (await uow.execute(select(func.count()).select_from(payments))).scalar_one() == COUNT - 1


async def test_the_audit_trail_names_who_recorded_each(
    uow_of: UowOf, login_as: LoginAs, tenant: UUID, loans: list[UUID]
) -> None:
    one, other = await login_as(tenant, "loan_officer"), await login_as(tenant, "loan_officer")
    half = COUNT // 2
    mine, theirs = await asyncio.gather(pay_all(one, loans[:half]), pay_all(other, loans[half:]))
    async with uow_of(tenant) as uow:
        rows = await uow.all(select(audit_log).where(audit_log.c.action == "payment.recorded"))
    actors = {str(row["object_id"]): row["actor_id"] for row in rows}
    assert [actors[response.json()["id"]] for response in mine] == [one.user_id] * half
    assert [actors[response.json()["id"]] for response in theirs] == [other.user_id] * half


async def test_where_nobody_knows_whether_it_was_committed_nothing_is_tried_again(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID, loans: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after COMMIT was sent: who asked is told that it may have been recorded, and it is, once."""
    commit = UnitOfWork.commit

    async def lost(uow: UnitOfWork) -> None:
        await commit(uow)
        raise OperationalError("COMMIT", None, ConnectionError("lost"))

    with monkeypatch.context() as patched:
        patched.setattr(UnitOfWork, "commit", lost)
        responses = await pay_all(loan_officer, loans)
    assert [response.status_code for response in responses] == [503] * COUNT
    async with uow_of(tenant) as uow:
        assert (await uow.execute(select(func.count()).select_from(payments))).scalar_one() == COUNT
