"""Payments and where their money went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, String, Uuid, any_, bindparam, select, update

from domain.loan import Allocation
from domain.payments import PaymentStatus
from infra.db.models.servicing import payment_allocations, payments
from infra.db.pipeline import Asked, Query, Row, Write
from infra.db.repositories.loans import CacheKey, differences, sync
from infra.db.uow import UnitOfWork

_NOTHING: Final = {
    "principal_applied": 0,
    "interest_applied": 0,
    "fees_applied": 0,
    "unapplied_amount": 0,
    "due_from_borrower_applied": 0,
}


_BY_IDS: Final = Query(
    select(payments).where(payments.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))).order_by(payments.c.id)
)
_BY_NAMES: Final = Query(select(payments).where(payments.c.external_id == any_(bindparam("names", type_=ARRAY(String)))))


def payments_by_ids(payment_ids: Sequence[UUID]) -> Asked:
    """The rows of some payments, in the order of their ids."""
    return _BY_IDS(ids=list(payment_ids))


def payments_by_names(external_ids: Iterable[str]) -> Asked:
    """The rows of the payments that have these external ids for ever."""
    return _BY_NAMES(names=list(external_ids))


async def payment_rows(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> Sequence[Row]:
    """The rows of some payments, in the order of their ids."""
    (rows,) = await uow.fetch(payments_by_ids(payment_ids))
    return rows


async def payments_by_external_id(uow: UnitOfWork, external_ids: Iterable[str]) -> dict[str, Row]:
    """The payments that have these external ids for ever."""
    (rows,) = await uow.fetch(payments_by_names(external_ids))
    return {row["external_id"]: row for row in rows}


def add_payments(uow: UnitOfWork, rows: list[dict[str, Any]]) -> None:
    """Insert payments, all of the same columns, with what else is to be written."""
    uow.later(Write(payments, rows))


async def set_settled(uow: UnitOfWork, payment_ids: list[UUID]) -> None:
    """Payments whose money has arrived."""
    await uow.execute(
        update(payments)
        .where(payments.c.id.in_(payment_ids))
        .values(status=str(PaymentStatus.COMPLETED), settlement_status="settled")
    )


async def set_effective_date(uow: UnitOfWork, payment_id: UUID, effective_date: date) -> None:
    """The day from which a payment counts."""
    await uow.execute(update(payments).where(payments.c.id == payment_id).values(effective_date=effective_date))


async def set_refunded(uow: UnitOfWork, payment_id: UUID, refunded: int) -> None:
    """How much of a payment is given back, in minor units."""
    await uow.execute(update(payments).where(payments.c.id == payment_id).values(refunded_amount=refunded))


async def set_reversed(uow: UnitOfWork, payment_id: UUID) -> None:
    """A payment that was taken back pays nothing."""
    await uow.execute(
        update(payments).where(payments.c.id == payment_id).values(status=str(PaymentStatus.REVERSED), **_NOTHING)
    )
    await sync(uow, payment_allocations, "payment_id", [payment_id], {})


async def set_returned(uow: UnitOfWork, payment_id: UUID, code: str) -> None:
    """A payment that its bank took back, for the reason of the code, pays nothing."""
    returned = {"status": str(PaymentStatus.RETURNED), "settlement_status": "returned", "return_code": code, **_NOTHING}
    await uow.execute(update(payments).where(payments.c.id == payment_id).values(**returned))
    await sync(uow, payment_allocations, "payment_id", [payment_id], {})


async def save_allocations(
    uow: UnitOfWork,
    wanted: Mapping[UUID, Mapping[str, Allocation]],
    since: date,
    *,
    stored: Mapping[UUID, Mapping[str, Allocation]] | None = None,
    written: Collection[UUID] = (),
) -> None:
    """Cache where the money of each payment effective from `since` on went (`wanted`: by loan, then payment id).

    `stored`: of which loans what is cached is known; of the others it is read. `written`: payments whose rows say where
    their money went already, and of which no line is there.
    """
    allocations = {
        UUID(payment_id): allocation
        for loan_id, of_loan in wanted.items()
        for payment_id, allocation in of_loan.items()
        if allocation.effective_date >= since and (stored or {}).get(loan_id, {}).get(payment_id) != allocation
    }
    new = {payment_id: allocation for payment_id, allocation in allocations.items() if payment_id in written}
    lines = line_rows(new).items()
    rows = [{"tenant_id": uow.tenant_id, "payment_id": at[0], "line": at[1], **values} for at, values in lines]
    uow.later(Write(payment_allocations, rows))
    allocations = {payment_id: allocation for payment_id, allocation in allocations.items() if payment_id not in new}
    if not allocations:
        return
    changed = await _changed_sums(uow, allocations)
    if changed:
        await uow.execute(update(payments).where(payments.c.id == bindparam("key")), changed)
    await sync(uow, payment_allocations, "payment_id", list(allocations), line_rows(allocations))


async def differing_loans(uow: UnitOfWork, wanted: Mapping[UUID, Mapping[str, Allocation]]) -> set[UUID]:
    """The loans (`wanted`: by loan, then payment id) that have a payment whose cached allocation is another."""
    rows = await uow.all(select(payments).where(payments.c.loan_id.in_(list(wanted))))
    owners: dict[UUID, UUID] = {row["id"]: row["loan_id"] for row in rows}
    allocations = {UUID(name): allocation for of_loan in wanted.values() for name, allocation in of_loan.items()}
    sums = {payment_id: _sums(allocation) for payment_id, allocation in allocations.items()}
    wrong = {row["id"] for row in rows if any(row[n] != v for n, v in sums.get(row["id"], _NOTHING).items())}
    lines, gone = await differences(uow, payment_allocations, "payment_id", list(owners), line_rows(allocations))
    return {owners[payment_id] for payment_id in [*wrong, *(at[0] for at in lines), *(at[0] for at in gone)]}


def line_rows(allocations: Mapping[UUID, Allocation]) -> dict[CacheKey, dict[str, Any]]:
    """The rows that cache where the money of some payments went."""
    return {
        (payment_id, number): {
            "component": str(line.component),
            "instalment_number": line.instalment_number,
            "fee_key": line.fee_key,
            "amount": line.amount,
        }
        for payment_id, allocation in allocations.items()
        for number, line in enumerate(allocation.lines, 1)
    }


async def _changed_sums(uow: UnitOfWork, allocations: Mapping[UUID, Allocation]) -> list[dict[str, Any]]:
    columns = [payments.c[name] for name in _NOTHING]
    result = []
    for row in await uow.all(select(payments.c.id, *columns).where(payments.c.id.in_(list(allocations)))):
        values = _sums(allocations[row["id"]])
        if any(row[name] != value for name, value in values.items()):
            result.append({"key": row["id"], **values})
    return result


def _sums(allocation: Allocation) -> dict[str, int]:
    return {
        "principal_applied": allocation.principal,
        "interest_applied": allocation.interest,
        "fees_applied": allocation.fees,
        "unapplied_amount": allocation.unapplied,
        "due_from_borrower_applied": allocation.due_from_borrower,
    }
