"""Reversals of payments: one a payment that was not rejected."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from infra.db.models.processes import payment_reversals
from infra.db.queries import reversals as queries
from infra.db.queries.borrowers import addressee
from infra.db.uow import UnitOfWork


async def reversal(uow: UnitOfWork, reversal_id: UUID, *, lock: bool = False) -> RowMapping:
    """One reversal; its loan's lock, where both are needed, is taken before. Raises NotFound."""
    found = select(payment_reversals).where(payment_reversals.c.id == reversal_id)
    return await uow.one(found.with_for_update() if lock else found, "reversal")


async def latest_of(uow: UnitOfWork, payment_id: UUID, *, lock: bool = False) -> RowMapping | None:
    """The newest reversal of a payment, or None."""
    found = queries.latest_of(payment_id)
    return await uow.one_or_none(found.with_for_update() if lock else found)


async def change(uow: UnitOfWork, reversal_id: UUID, **values: Any) -> None:
    """Set columns of a reversal that is locked."""
    table = payment_reversals
    await uow.execute(update(table).where(table.c.id == reversal_id).values(updated_at=uow.recorded_at, **values))


async def borrower_of(uow: UnitOfWork, loan_id: UUID) -> RowMapping:
    """Name and address of a loan's borrower."""
    return await uow.one(addressee(loan_id), "borrower")
