"""Programs under concurrency: one version a change, one program a name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from domain.errors import Conflict
from domain.program_form import program_to_dict
from infra.db.models.servicing import program_versions
from infra.db.models.servicing import programs as table
from infra.db.uow import UnitOfWork
from services import programs
from tests.domain.loans import EXAMPLE_PROGRAM

UowOf = Callable[[UUID], UnitOfWork]
TERMS = program_to_dict(EXAMPLE_PROGRAM)


@pytest.fixture
async def program(uow_of: UowOf, tenant: UUID) -> UUID:
    async with uow_of(tenant) as uow:
        program_id = await programs.create(uow, name="Example", description="", terms=TERMS)
        await uow.commit()
    return program_id


async def test_changes_at_once_make_a_version_each(uow_of: UowOf, tenant: UUID, program: UUID) -> None:
    async def change(days: int) -> int:
        async with uow_of(tenant) as uow:
            terms = {**TERMS, "grace_days": days}
            version = await programs.replace(uow, program, name="Example", description="", terms=terms)
            await uow.commit()
            return version

    assert sorted(await asyncio.gather(*(change(days) for days in range(20, 26)))) == [2, 3, 4, 5, 6, 7]
    async with uow_of(tenant) as uow:
        rows = await uow.all(select(program_versions.c.terms).order_by(program_versions.c.version))
    assert rows[0]["terms"] == TERMS
    assert {row["terms"]["grace_days"] for row in rows[1:]} == set(range(20, 26))


async def test_a_name_asked_for_at_once_is_one_program(uow_of: UowOf, tenant: UUID) -> None:
    async def ensure() -> UUID:
        async with uow_of(tenant) as uow:
            found = await programs.ensure(uow, "Shared", EXAMPLE_PROGRAM)
            await uow.commit()
            return found

    assert len(set(await asyncio.gather(*(ensure() for _ in range(6))))) == 1
    async with uow_of(tenant) as uow:
        assert len(await uow.all(select(table.c.id))) == 1
        assert len(await uow.all(select(program_versions.c.version))) == 1
        with pytest.raises(Conflict):
            await programs.create(uow, name="Shared", description="", terms=TERMS)


async def test_a_version_is_never_edited(uow_of: UowOf, tenant: UUID, program: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(DBAPIError, match="permission denied"):
            await uow.execute(program_versions.update().values(terms={}))
