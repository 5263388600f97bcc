"""Cases: what people have to look at. One is opened once, and closes itself when what it was about is over."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from domain.cases import OPEN, CaseKind, CaseStatus, check_resolvable
from infra.db.models.rails import cases
from infra.db.uow import UnitOfWork
from infra.ids import new_id


async def open_once(uow: UnitOfWork, kind: CaseKind, loan_id: UUID, payment_id: UUID, detail: str) -> None:
    """Open a case about a payment, unless one of this kind is open."""
    case_id = new_id()
    added = await uow.execute(
        insert(cases)
        .values(
            tenant_id=uow.tenant_id,
            id=case_id,
            kind=str(kind),
            loan_id=loan_id,
            payment_id=payment_id,
            status=str(CaseStatus.OPEN),
            opened_on=await uow.business_date(),
            detail=detail[:500],
            created_at=uow.recorded_at,
            updated_at=uow.recorded_at,
        )
        .on_conflict_do_nothing()
        .returning(cases.c.id)
    )
    if added.one_or_none() is not None:
        after = {"kind": str(kind), "loan_id": str(loan_id), "payment_id": str(payment_id), "detail": detail[:500]}
        await uow.audit("case.opened", "case", case_id, after=after)


async def close_for(uow: UnitOfWork, kind: CaseKind, payment_ids: Sequence[UUID], reason: str) -> None:
    """Close the open cases of a kind about payments, because what they were about is over."""
    which = (cases.c.kind == str(kind), cases.c.payment_id.in_(payment_ids), cases.c.status.in_(OPEN))
    values = {"status": str(CaseStatus.CLOSED), "ended_on": await uow.business_date(), "resolution": reason}
    closed = update(cases).where(*which).values(updated_at=uow.recorded_at, **values).returning(cases.c.id)
    for (case_id,) in (await uow.execute(closed)).all():
        await uow.audit("case.closed", "case", case_id, after={"status": str(CaseStatus.CLOSED)}, reason=reason)


async def resolve(uow: UnitOfWork, case_id: UUID, resolution: str) -> None:
    """Say how a case was dealt with, which ends it. Raises NotFound, WrongState for one that has ended."""
    row = await uow.one(select(cases).where(cases.c.id == case_id).with_for_update(), "case")
    check_resolvable(CaseStatus(row["status"]))
    values = {"status": str(CaseStatus.RESOLVED), "resolution": resolution, "resolved_by": uow.actor.id}
    ended = {"ended_on": await uow.business_date(), "updated_at": uow.recorded_at}
    await uow.execute(update(cases).where(cases.c.id == case_id).values(**values, **ended))
    before, after = {"status": row["status"]}, {"status": values["status"]}
    await uow.audit("case.resolved", "case", case_id, before=before, after=after, reason=resolution)
