"""A unit of work is one transaction of one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.engine import app_engine
from infra.db.models import metadata
from infra.db.models.servicing import programs
from infra.db.models.tenancy import audit_log
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import Settings

UowOf = Callable[[UUID], UnitOfWork]


async def count_programs(uow_of: UowOf, tenant: UUID) -> int:
    async with uow_of(tenant) as uow:
        return (await uow.execute(select(func.count()).select_from(programs))).scalar_one()


async def test_commit_keeps_the_rows(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        await uow.add(programs, name="p", current_version=1)
        await uow.commit()
    assert await count_programs(uow_of, tenant) == 1


async def test_leaving_without_commit_rolls_back(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        await uow.add(programs, name="p", current_version=1)
    assert await count_programs(uow_of, tenant) == 0


async def test_an_exception_rolls_back(uow_of: UowOf, tenant: UUID) -> None:
    with pytest.raises(RuntimeError, match="boom"):
        async with uow_of(tenant) as uow:
            await uow.add(programs, name="p", current_version=1)
            raise RuntimeError("boom")
    assert await count_programs(uow_of, tenant) == 0


async def test_a_row_cannot_be_written_for_another_tenant(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(DBAPIError, match="row-level security"):
            await uow.execute(programs.insert().values(tenant_id=new_id(), id=new_id(), name="p", current_version=1))


async def test_the_journal_of_changes_cannot_be_edited(uow_of: UowOf, tenant: UUID, owner: AsyncEngine) -> None:
    async with uow_of(tenant) as uow:
        await uow.audit("test", "program", new_id())
        await uow.commit()
    async with uow_of(tenant) as uow:
        with pytest.raises(DBAPIError, match="permission denied"):
            await uow.execute(audit_log.delete())
    async with owner.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("UPDATE audit_log SET action = 'forged'"))


async def test_row_level_security_is_forced_on_every_tenant_table(owner: AsyncEngine) -> None:
    open_tables = {"alembic_version", "tenant_directory", "login_directory"}
    async with owner.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
                "AND NOT (relrowsecurity AND relforcerowsecurity)"
            )
        )
        assert {row[0] for row in rows} == open_tables
    assert open_tables - {"alembic_version"} <= set(metadata.tables)


async def test_an_unset_tenant_sees_no_row(engine: AsyncEngine, uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        await uow.add(programs, name="p", current_version=1)
        await uow.commit()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM programs"))).scalar_one() == 0
        assert (await connection.execute(text("SELECT count(*) FROM tenants"))).scalar_one() == 0
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text("SELECT * FROM login_directory"))


async def test_connections_the_server_has_closed_while_they_waited_are_exchanged(
    settings: Settings, engine: AsyncEngine, tenant: UUID
) -> None:
    """As after a restart of the database: nobody sees it, however many connections there were."""
    other = app_engine(settings, pool_size=3)

    async def read(pause: float = 0.0) -> int:
        async with UnitOfWork(other, tenant, Actor(ActorKind.OPERATOR)) as uow:
            await asyncio.sleep(pause)
            number: int = (await uow.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            return number

    before = await asyncio.gather(*(read(0.1) for _ in range(3)))
    async with engine.connect() as connection:
        for number in before:
            await connection.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
    after = await asyncio.gather(*(read(0.1) for _ in range(3)))
    assert len(set(before)) == len(set(after)) == 3
    assert not set(before) & set(after)
    await other.dispose()


async def test_a_cancellation_in_any_moment_does_not_cost_the_pool_a_connection(settings: Settings, tenant: UUID) -> None:
    engine = app_engine(settings, pool_size=1)

    async def read() -> None:
        async with UnitOfWork(engine, tenant, Actor(ActorKind.OPERATOR)) as uow:
            await uow.execute(select(programs.c.id))

    await read()
    for number in range(150):
        task = asyncio.create_task(read())
        for _ in range(number % 25):  # how far it gets
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(read(), 5)
    await engine.dispose()
