"""Borrowers under concurrency, and what the audit trail says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.borrower import DetailKind
from domain.errors import Conflict, WrongState
from infra.crypto import Vault
from infra.db.models.servicing import borrower_details
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.settings import Settings
from services import borrowers as service

UowOf = Callable[[UUID], UnitOfWork]


@pytest.fixture(scope="module")
def vault(settings: Settings) -> Vault:
    return Vault.of(settings)


@pytest.fixture
async def borrower(uow_of: UowOf, tenant: UUID, vault: Vault) -> UUID:
    async with uow_of(tenant) as uow:
        borrower_id = await service.create(uow, vault, service.CreateBorrower("John", "Doe", external_id="B-1"))
        await uow.commit()
    return borrower_id


async def test_primary_entries_added_at_once_leave_one_primary(uow_of: UowOf, tenant: UUID, borrower: UUID) -> None:
    async def add(number: int) -> None:
        data = {"number": f"+1212555{number:04d}"}
        async with uow_of(tenant) as uow:
            await service.add_detail(uow, borrower, service.NewDetail(DetailKind.PHONE, data, is_primary=True))
            await uow.commit()

    await asyncio.gather(*(add(number) for number in range(8)))
    async with uow_of(tenant) as uow:
        flags = list((await uow.execute(select(borrower_details.c.is_primary))).scalars())
    assert sorted(flags) == [0] * 7 + [1]


async def test_an_ssn_given_twice_at_once_is_known_once(uow_of: UowOf, tenant: UUID, borrower: UUID, vault: Vault) -> None:
    async def give(ssn: str) -> bool:
        async with uow_of(tenant) as uow:
            try:
                await service.change(uow, vault, borrower, {"ssn": ssn})
            except WrongState:
                return False
            await uow.commit()
            return True

    assert sorted(await asyncio.gather(give("123-45-6789"), give("123-45-6780"))) == [False, True]


async def test_the_audit_trail_says_what_was_and_what_is(uow_of: UowOf, tenant: UUID, borrower: UUID, vault: Vault) -> None:
    async with uow_of(tenant) as uow:
        await service.change(uow, vault, borrower, {"first_name": "Jack", "last_name": "Doe"})
        await service.change(uow, vault, borrower, {"first_name": "Jack"})
        rows = await uow.all(select(audit_log).where(audit_log.c.action == "borrower.changed"))
    assert [(row["before"], row["after"]) for row in rows] == [({"first_name": "John"}, {"first_name": "Jack"})]


async def test_a_note_is_never_changed(uow_of: UowOf, tenant: UUID, borrower: UUID) -> None:
    async with uow_of(tenant) as uow:
        note = await service.add_detail(uow, borrower, service.NewDetail(DetailKind.NOTE, {"text": "Called."}))
        with pytest.raises(WrongState):
            await service.change_detail(uow, borrower, DetailKind.NOTE, note, {"text": "Did not call."})
        with pytest.raises(WrongState):
            await service.remove_detail(uow, borrower, DetailKind.NOTE, note)


async def test_an_external_id_belongs_to_one(uow_of: UowOf, tenant: UUID, borrower: UUID, vault: Vault) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(Conflict):
            await service.create(uow, vault, service.CreateBorrower("Jane", "Roe", external_id="B-1"))
