"""Members of staff who ask for reversals and decide them, for the tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from infra.db.models.processes import payment_reversals
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import corrections, reversals
from services.corrections import Corrected

OFFICER: Final = new_id()
SECOND: Final = new_id()
UowBy = Callable[[UUID], UnitOfWork]
"""A unit of work of a member of staff."""


async def row_of(uow: UnitOfWork, reversal_id: UUID) -> RowMapping:
    return await uow.one(select(payment_reversals).where(payment_reversals.c.id == reversal_id), "reversal")


async def asked(uow_by: UowBy, payment_id: UUID, **options: Any) -> reversals.Reversal:
    """A reversal that the officer asks for, committed."""
    async with uow_by(OFFICER) as uow:
        result = await reversals.request(uow, payment_id, "nsf", **options)
        await uow.commit()
    return result


async def reverse(uow: UnitOfWork, payment_id: UUID, reason: str, **options: Any) -> Corrected:
    """Reverse a payment within the tenant's limit, and return what that did to its loan."""
    done = await reversals.request(uow, payment_id, reason, **options)
    assert done.corrected is not None
    return done.corrected


async def preview_reverse(uow: UnitOfWork, payment_id: UUID, **options: Any) -> Corrected:
    """What `reverse` would do."""
    return (await reversals.preview(uow, payment_id, **options)).corrected


async def reverse_past_its_approval(uow: UnitOfWork, payment_id: UUID, reason: str) -> None:
    """Reverse a payment while a reversal of it waits for a second person."""
    payment, loan = await corrections.payment_of_loan(uow, payment_id, lock=True)
    plan = await corrections.plan_reverse(uow, payment, loan, assess_nsf_fee=False)
    await corrections.reverse(uow, payment, loan, plan, reason, followed_up_as=new_id())
