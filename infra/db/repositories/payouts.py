"""SQL of payouts: what is promised, what is to go out, and on which day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, func, or_, select, update
from sqlalchemy.engine import RowMapping

from domain.payouts import PayoutKind, PayoutStatus
from infra.db.models.processes import payouts
from infra.db.uow import UnitOfWork

_PENDING = and_(payouts.c.kind == str(PayoutKind.REFUND), payouts.c.status == str(PayoutStatus.PENDING_APPROVAL))


async def payout(uow: UnitOfWork, payout_id: UUID, *, lock: bool = False) -> RowMapping:
    """One payout, locked or only looked at. Raises NotFound. A loan's lock, where both are needed, is taken before."""
    found = select(payouts).where(payouts.c.id == payout_id)
    return await uow.one(found.with_for_update() if lock else found, "payout")


async def status_of(uow: UnitOfWork, name: str) -> str | None:
    """The status of the payout that an event names; None where it names none: events recorded by hand have other names."""
    row = await uow.one_or_none(select(payouts.c.status).where(cast(payouts.c.id, String) == name))
    return None if row is None else str(row["status"])


async def change_payout(uow: UnitOfWork, payout_id: UUID, **values: Any) -> None:
    """Set columns of a payout that is locked."""
    await uow.execute(update(payouts).where(payouts.c.id == payout_id).values(updated_at=uow.recorded_at, **values))


async def asked(uow: UnitOfWork, payment_id: UUID, but: UUID | None) -> int:
    """Minor units that refunds of a payment ask for and that wait for approval, without the refund `but`."""
    return await _sum(uow, payouts.c.payment_id == payment_id, but)


async def promised(uow: UnitOfWork, loan_id: UUID, but: UUID | None = None) -> int:
    """Minor units of a loan's unapplied funds that refunds waiting for approval would take, without the refund `but`."""
    return await _sum(uow, and_(payouts.c.loan_id == loan_id, payouts.c.override.is_(False)), but)


async def standing_refunds_of(uow: UnitOfWork, payment_id: UUID) -> Sequence[RowMapping]:
    """A payment's approved refunds, sent or not, in the order in which they were asked for."""
    given = payouts.c.status.in_([str(PayoutStatus.APPROVED), str(PayoutStatus.SENT)])
    return await uow.all(select(payouts).where(payouts.c.payment_id == payment_id, given).order_by(payouts.c.id))


async def refunds_of(uow: UnitOfWork, payment_id: UUID) -> set[str]:
    """The names that the events of a payment's approved refunds carry."""
    return {str(row["id"]) for row in await standing_refunds_of(uow, payment_id)}


async def overriding_refunds_of(uow: UnitOfWork, payment_id: UUID) -> set[str]:
    """The names that the events of a payment's refunds beyond unapplied funds carry: also of those cancelled since."""
    posted = payouts.c.approved_on.is_not(None)
    found = select(payouts.c.id).where(payouts.c.payment_id == payment_id, payouts.c.override, posted)
    return {str(row["id"]) for row in await uow.all(found)}


async def _sum(uow: UnitOfWork, of: ColumnElement[bool], but: UUID | None) -> int:
    amount = payouts.c.amount
    total = func.coalesce(func.sum(amount), 0, type_=amount.type).label("total")
    found = select(total).where(_PENDING, of)
    row = await uow.one(found if but is None else found.where(payouts.c.id != but), "sum")
    return int(row["total"])


def _acts(on: date) -> ColumnElement[bool]:
    """Payouts with something to do by a business date: to be handed over, or to go out."""
    comes = or_(payouts.c.goes_out_on.is_(None), payouts.c.goes_out_on <= on)
    return and_(payouts.c.status == str(PayoutStatus.APPROVED), comes)


async def acting(uow: UnitOfWork, on: date, after: UUID | None, limit: int) -> Sequence[UUID]:
    """A page, in the order of ids, of the payouts with something to do by a business date."""
    found = select(payouts.c.id).where(_acts(on)).order_by(payouts.c.id).limit(limit)
    if after is not None:
        found = found.where(payouts.c.id > after)
    return [row["id"] for row in await uow.all(found)]


async def count_pending(uow: UnitOfWork, on: date) -> int:
    """How many payouts still have something to do by a business date."""
    return int((await uow.execute(select(func.count()).select_from(payouts).where(_acts(on)))).scalar_one())
