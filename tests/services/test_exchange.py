"""Statements that are sent together, on connections that others use too: what is prepared is there when it is needed."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import Integer, String, bindparam, func, literal, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from infra.db import exchange
from infra.db.models.tenancy import business_days, tenants
from infra.db.pipeline import Query, Write
from infra.db.uow import UnitOfWork
from tests.services.lending import UowOf

ASKED = Query(select(tenants.c.id, bindparam("n", type_=Integer).label("n")))


async def ask(uow: UnitOfWork, number: int) -> int:
    (rows,) = await uow.fetch(ASKED(n=number))
    assert [row["id"] for row in rows] == [uow.tenant_id]
    found: int = rows[0]["n"]
    return found


async def let_psycopg_prepare(uow: UnitOfWork) -> None:
    """What psycopg prepared is what it has the server forget after a rollback: all of it, ours too."""
    for _ in range(8):
        await uow.execute(select(func.count()).select_from(business_days))


async def test_what_was_prepared_is_prepared_anew_after_a_rollback(uow_of: UowOf, tenant: UUID) -> None:
    for number in range(20):
        async with uow_of(tenant) as uow:
            assert await ask(uow, number) == number
            await let_psycopg_prepare(uow)


async def test_and_after_a_savepoint_was_given_up(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        for number in range(10):
            assert await ask(uow, number) == number
            await let_psycopg_prepare(uow)
            with pytest.raises(ZeroDivisionError):
                async with uow.savepoint():
                    await ask(uow, number)
                    raise ZeroDivisionError


async def test_what_fails_leaves_a_connection_on_which_others_go_on(uow_of: UowOf, tenant: UUID) -> None:
    for number in range(10):
        with pytest.raises(IntegrityError):
            async with uow_of(tenant) as uow:
                row = {"tenant_id": tenant, "business_date": await uow.business_date()}
                uow.later(Write(business_days, [row]))
                await ask(uow, number)
        async with uow_of(tenant) as uow:
            assert await ask(uow, number) == number


async def test_a_value_that_cannot_be_sent_leaves_nothing_behind(uow_of: UowOf, tenant: UUID) -> None:
    named = Query(select(tenants.c.id).where(tenants.c.name == bindparam("name", type_=String)))
    for _ in range(3):
        with pytest.raises(DBAPIError, match="NUL"):
            async with uow_of(tenant) as uow:
                await uow.fetch(named(name="a\0b"))
        async with uow_of(tenant) as uow:
            assert await uow.fetch(named(name="nobody")) == [[]]


async def test_what_a_socket_does_not_take_at_once_is_sent_all_the_same(uow_of: UowOf, tenant: UUID) -> None:
    length = Query(select(func.length(bindparam("text", type_=String)).label("length")))
    text = "x" * 30_000_000
    async with asyncio.timeout(60), uow_of(tenant) as uow:
        assert await uow.fetch(length(text=text), length(text=text)) == [[{"length": len(text)}]] * 2


async def test_a_connection_that_is_lost_is_told_as_such(uow_of: UowOf, tenant: UUID) -> None:
    """Also where SQLAlchemy has a transaction open on it: who answers for it says that it is worth another try."""
    with pytest.raises(OperationalError):
        async with uow_of(tenant) as uow:
            me = (await uow.execute(select(func.pg_backend_pid()))).scalar_one()
            async with uow_of(tenant) as other:
                await other.execute(select(func.pg_terminate_backend(me)))
            await ask(uow, 1)
    async with uow_of(tenant) as uow:
        assert await ask(uow, 2) == 2


async def test_a_commit_that_was_none_is_told(uow_of: UowOf, tenant: UUID) -> None:
    """Who goes on after an error of the database has nothing to commit, and must not believe that he has."""
    async with uow_of(tenant) as uow:
        await ask(uow, 1)
        with pytest.raises(DBAPIError):
            await uow.fetch(Query(select(literal(1) / bindparam("n", type_=Integer)))(n=0))
        with pytest.raises(DBAPIError, match="rolled back"):
            await uow.commit()


async def test_a_connection_keeps_so_many_statements_and_those_used_last(
    uow_of: UowOf, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_KEPT", 3)
    queries = [Query(select(literal(number).label(f"n{number}"))) for number in range(7)]
    async with uow_of(tenant) as uow:
        for number in [*range(7), 0, 6, 5, 4, 3, 2, 1, 0]:
            ((row,),) = await uow.fetch(queries[number]())
            assert row[f"n{number}"] == number
        driver = await uow.driver()
        prepared = await driver.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'perdiem%%'")
        (count,) = await prepared.fetchone() or (0,)
        assert count <= 3 + 1, "one that is to go is closed before the next statement"
