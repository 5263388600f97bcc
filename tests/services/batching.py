"""Files of payments that the tests of lockbox batches upload, post, and look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.models.servicing import loans, payments
from infra.db.uow import UnitOfWork
from services import payment_batches as batches
from tests.services.lending import UowOf, book_loans, disburse, jump, loan_row

TODAY = date(2020, 10, 21)
HEADER = "loan_number,amount,date,method,external_id"


def file_of(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode()


async def upload(uow_of: UowOf, tenant: UUID, *rows: str) -> UUID:
    async with uow_of(tenant) as uow:
        batch_id, _ = await batches.upload(uow, file_of(*rows))
        await uow.commit()
    return batch_id


async def preview_page(uow_of: UowOf, tenant: UUID, batch_id: UUID, page: int = 2) -> bool:
    async with uow_of(tenant) as uow:
        more = await batches.preview_page(uow, batch_id, page)
        await uow.commit()
    return more


async def begin(uow_of: UowOf, tenant: UUID, batch_id: UUID) -> None:
    async with uow_of(tenant) as uow:
        await batches.post(uow, batch_id, (await batch_of(uow, batch_id))["control_total"])
        await uow.commit()


async def post(uow_of: UowOf, tenant: UUID, batch_id: UUID, *, page: int = 2) -> None:
    """Post all of a batch in pages."""
    await begin(uow_of, tenant, batch_id)
    while await post_page(uow_of, tenant, batch_id, page):
        pass


async def post_page(uow_of: UowOf, tenant: UUID, batch_id: UUID, page: int = 2) -> bool:
    async with uow_of(tenant) as uow:
        more = await batches.post_page(uow, batch_id, page)
        await uow.commit()
    return more


async def batch_of(uow: UnitOfWork, batch_id: UUID) -> RowMapping:
    return await uow.one(select(payment_batches).where(payment_batches.c.id == batch_id), "batch")


async def rows_of(uow: UnitOfWork, batch_id: UUID) -> Sequence[RowMapping]:
    table = payment_batch_rows
    return await uow.all(select(table).where(table.c.batch_id == batch_id).order_by(table.c.line))


async def outcomes(uow_of: UowOf, tenant: UUID, batch_id: UUID) -> list[tuple[str, str | None]]:
    async with uow_of(tenant) as uow:
        return [(row["outcome"], row["code"]) for row in await rows_of(uow, batch_id)]


async def paid(uow_of: UowOf, tenant: UUID) -> list[tuple[str, int]]:
    """The payments of a tenant: external id and amount."""
    async with uow_of(tenant) as uow:
        found = await uow.all(select(payments).order_by(payments.c.external_id))
    return [(row["external_id"], row["amount"]) for row in found]


async def id_of(uow: UnitOfWork, number: str) -> UUID:
    loan_id: UUID = (await uow.one(select(loans.c.id).where(loans.c.loan_number == number), "loan"))["id"]
    return loan_id


async def past_due(uow_of: UowOf, tenant: UUID) -> list[str]:
    """The numbers of three active loans, each past due with a late fee; the business date is TODAY."""
    async with uow_of(tenant) as uow:
        ids = await book_loans(uow, 3)
        for loan_id in ids:
            await disburse(uow, loan_id)
        await uow.commit()
    await jump(uow_of, tenant, TODAY)
    async with uow_of(tenant) as uow:
        return [(await loan_row(uow, loan_id))["loan_number"] for loan_id in ids]
