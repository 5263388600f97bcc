"""What the tests of processes do: book a loan, enrol it, move the date, look at what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from domain.rails import cutoff_workflow_id
from domain.terms import LoanTerms
from infra.crypto import Vault
from infra.db.models.processes import autopay_drafts, autopay_enrolments, rail_transfers, workflow_intents
from infra.db.models.servicing import loans, payments
from infra.db.models.tenancy import date_advances
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.settings import Settings
from services import autopay, dates, instruments
from services.intents import Delivery
from tests.conftest import SECRET_KEY
from tests.domain.loans import EXAMPLE
from tests.services.lending import active_loan

PATIENCE = 60.0
VAULT = Vault.of(Settings(secret_key=SECRET_KEY))
ACCOUNT = {
    "instrument_type": "bank_account",
    "account_holder_name": "John Doe",
    "routing_number": "021000021",
    "account_number": "000123456789",
    "account_type": "checking",
}
"""A bank account that can be drafted."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A loan and the account it may be drafted from."""

    loan_id: UUID
    instrument_id: UUID


async def eventually(holds: Callable[[], Awaitable[Any]], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of `holds()`; fails the test when there is none in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        value = await holds()
        if value:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a tenant, as the database has them now."""

    engine: AsyncEngine
    tenant: UUID

    def uow(self) -> UnitOfWork:
        return UnitOfWork(self.engine, self.tenant, Actor(ActorKind.OPERATOR))

    async def all(self, statement: Any) -> Sequence[RowMapping]:
        async with self.uow() as uow:
            return await uow.all(statement)

    async def business_date(self) -> date:
        async with self.uow() as uow:
            return await uow.business_date()

    async def enrolment(self, enrolment_id: UUID) -> RowMapping:
        table = autopay_enrolments
        return (await self.all(select(table).where(table.c.id == enrolment_id)))[0]

    async def drafts(self, enrolment_id: UUID) -> Sequence[RowMapping]:
        table = autopay_drafts
        return await self.all(
            select(table).where(table.c.enrolment_id == enrolment_id).order_by(table.c.process_date, table.c.attempt)
        )

    async def payments(self, loan_id: UUID) -> Sequence[RowMapping]:
        return await self.all(select(payments).where(payments.c.loan_id == loan_id).order_by(payments.c.effective_date))

    async def transfers(self) -> Sequence[RowMapping]:
        return await self.all(select(rail_transfers))

    async def loan(self, loan_id: UUID) -> RowMapping:
        return (await self.all(select(loans).where(loans.c.id == loan_id)))[0]

    async def intents(self, workflow_id: str) -> Sequence[RowMapping]:
        table = workflow_intents
        return await self.all(select(table).where(table.c.workflow_id == workflow_id).order_by(table.c.id))

    async def advance(self, advance_id: UUID) -> RowMapping:
        return (await self.all(select(date_advances).where(date_advances.c.id == advance_id)))[0]

    async def borrowed(self, terms: LoanTerms = EXAMPLE) -> Borrowed:
        """An active loan of a borrower with a bank account."""
        loan_id = await active_loan(lambda tenant: self.uow(), self.tenant, terms)
        async with self.uow() as uow:
            loan = await uow.one(select(loans.c.borrower_id).where(loans.c.id == loan_id), "loan")
            instrument_id = await instruments.add(uow, VAULT, loan["borrower_id"], ACCOUNT)
            await uow.commit()
        return Borrowed(loan_id, instrument_id)


@dataclass(frozen=True, slots=True)
class Platform:
    """Does what the API does: a transaction, then delivery of its intents."""

    engine: AsyncEngine
    client: Client
    delivery: Delivery

    def rows(self, tenant: UUID) -> Rows:
        return Rows(self.engine, tenant)

    async def act(self, tenant: UUID, action: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
        async with self.rows(tenant).uow() as uow:
            result = await action(uow)
            await uow.commit()
        self.delivery.soon(tenant, uow.intents)
        return result

    async def enrol(self, tenant: UUID, borrowed: Borrowed, **terms: Any) -> UUID:
        command = autopay.Enrol(borrowed.loan_id, borrowed.instrument_id, **terms)
        enrolment_id: UUID = await self.act(tenant, lambda uow: autopay.enrol(uow, command))
        return enrolment_id

    def autopay(self, enrolment_id: UUID) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(autopay.workflow_id(enrolment_id))

    async def first_run(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """The first run of a workflow that has continued as new."""
        description = await self.client.get_workflow_handle(workflow_id).describe()
        first = description.raw_description.workflow_execution_info.first_run_id
        return self.client.get_workflow_handle(workflow_id, run_id=first)

    async def until_step(self, enrolment_id: UUID, step: str) -> None:
        """Wait until the enrolment's workflow has started and says it is at this step."""

        async def reached() -> bool:
            try:
                status = await self.autopay(enrolment_id).query("status")
            except RPCError:
                return False
            return bool(status["step"] == step)

        await eventually(reached, f"the workflow is {step}")

    async def move_date(self, tenant: UUID, to: date) -> UUID:
        """Move the business date and wait until it is there and everything due has happened; then tell who is to be told,
        as the dispatcher does."""
        advance_id: UUID = await self.act(tenant, lambda uow: dates.request_advance(uow, to))
        workflow_id = dates.workflow_id(advance_id)
        rows = self.rows(tenant)

        async def delivered() -> bool:
            return all(row["status"] == "delivered" for row in await rows.intents(workflow_id))

        await eventually(delivered, "the advance is started")
        await self.client.get_workflow_handle(workflow_id).result()
        await self.delivery.run_once()
        return advance_id

    def cutoff(self, tenant: UUID, on: date, number: int = 1) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(cutoff_workflow_id(tenant, on, number))
