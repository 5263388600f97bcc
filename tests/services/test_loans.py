"""Booking and disbursing under concurrency: once, and never under terms that have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import WrongState
from domain.program_form import program_to_dict
from infra.db.models.servicing import borrowers, journal_entries, loan_events, loans
from infra.db.uow import UnitOfWork
from services import loans as service
from services import programs
from tests.domain.loans import EXAMPLE_PROGRAM

UowOf = Callable[[UUID], UnitOfWork]
TERMS = program_to_dict(EXAMPLE_PROGRAM)


async def command(uow: UnitOfWork, program_id: UUID) -> service.CreateLoan:
    return service.CreateLoan(
        borrower_id=await uow.add(borrowers, first_name="John", last_name="Doe"),
        program_id=program_id,
        principal_amount=1_000_000,
        interest_rate=Fraction(45, 1000),
        term_months=36,
        origination_date=date(2020, 9, 9),
        first_payment_date=date(2020, 10, 9),
    )


@pytest.fixture
async def program(uow_of: UowOf, tenant: UUID) -> UUID:
    async with uow_of(tenant) as uow:
        program_id = await programs.create(uow, name="Example", description="", terms=TERMS)
        await uow.commit()
    return program_id


async def test_many_disbursements_at_once_are_one(uow_of: UowOf, tenant: UUID, program: UUID) -> None:
    async with uow_of(tenant) as uow:
        loan_id = await service.create(uow, await command(uow, program))
        await uow.commit()

    async def disburse() -> str:
        async with uow_of(tenant) as uow:
            try:
                await service.disburse(uow, loan_id)
            except WrongState as error:
                return error.state
            await uow.commit()
            return "done"

    outcomes = await asyncio.gather(*(disburse() for _ in range(8)))
    assert sorted(outcomes) == ["active"] * 7 + ["done"]
    async with uow_of(tenant) as uow:
        assert len(await uow.all(select(loan_events.c.id))) == 1
        assert len(await uow.all(select(journal_entries.c.id))) == 1


async def test_a_booked_loan_owes_nothing_and_is_in_no_book(uow_of: UowOf, tenant: UUID, program: UUID) -> None:
    async with uow_of(tenant) as uow:
        loan_id = await service.create(uow, await command(uow, program))
        stands = await service.position(uow, loan_id)
        assert (stands.state.principal_balance, stands.state.instalments, stands.payoff) == (0, (), None)
        assert await uow.all(select(journal_entries.c.id)) == []
        row = await uow.one(select(loans).where(loans.c.id == loan_id), "loan")
        assert (row["status"], row["principal_balance"], row["next_due_date"]) == ("boarding", 0, None)


async def test_archiving_waits_for_the_loan_that_is_being_booked(uow_of: UowOf, tenant: UUID, program: UUID) -> None:
    async def archive() -> None:
        async with uow_of(tenant) as uow:
            await programs.archive(uow, program)
            await uow.commit()

    async with uow_of(tenant) as uow:
        await service.create(uow, await command(uow, program))
        waiting = asyncio.ensure_future(archive())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await uow.commit()
    await waiting
    async with uow_of(tenant) as uow:
        with pytest.raises(WrongState, match="archived"):
            await service.create(uow, await command(uow, program))
