"""Set and clear the flags of a loan. Under the loan's lock, so that a draft is decided before a flag or with it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from domain.errors import NotFound
from domain.flags import LoanFlag
from domain.happenings import Happening
from domain.webhooks import WebhookType
from infra.db.models.servicing import loan_flags
from infra.db.queries import flags
from infra.db.uow import UnitOfWork
from services import outbox
from services.replaying import LockedLoan, lock_loan


async def flags_of(uow: UnitOfWork, loan_id: UUID) -> frozenset[LoanFlag]:
    """The flags that are set on a loan; none where there is no such loan."""
    (rows,) = await uow.fetch(flags.FLAGS(loan=loan_id))
    return flags.named(rows)


async def set_flag(uow: UnitOfWork, loan_id: UUID, flag: LoanFlag, reason: str) -> None:
    """Set a flag on a loan, in any status, from the business date on. One that is set stays as it is: who set it, when and
    why. Raises NotFound for the loan."""
    loan = await lock_loan(uow, loan_id)
    before = await flags_of(uow, loan_id)
    if flag in before:
        return
    await uow.add(
        loan_flags,
        loan_id=loan_id,
        flag=str(flag),
        set_on=await uow.business_date(),
        set_by=uow.actor.id,
        reason=reason,
        created_at=uow.recorded_at,
    )
    await _audit(uow, loan_id, "set", before, before | {flag}, reason)
    await _tell(uow, loan, WebhookType.LOAN_FLAGGED, flag)


async def clear_flag(uow: UnitOfWork, loan_id: UUID, flag: LoanFlag, reason: str) -> None:
    """Clear a flag: what it forbade goes on. That it was set stays in the audit trail. Raises NotFound for the loan, and for
    a flag that is not set."""
    loan = await lock_loan(uow, loan_id)
    before = await flags_of(uow, loan_id)
    if flag not in before:
        raise NotFound("flag on this loan")
    await uow.execute(delete(loan_flags).where(loan_flags.c.loan_id == loan_id, loan_flags.c.flag == str(flag)))
    await _audit(uow, loan_id, "cleared", before, before - {flag}, reason)
    await _tell(uow, loan, WebhookType.LOAN_FLAG_CLEARED, flag)


async def _audit(
    uow: UnitOfWork, loan_id: UUID, what: str, before: frozenset[LoanFlag], after: frozenset[LoanFlag], reason: str
) -> None:
    was, now = ({"flags": [str(flag) for flag in sorted(side)]} for side in (before, after))
    await uow.audit(f"loan.flag_{what}", "loan", loan_id, before=was, after=now, reason=reason)


async def _tell(uow: UnitOfWork, loan: LockedLoan, kind: WebhookType, flag: LoanFlag) -> None:
    """Tell others of it, without the reason: people write names into it."""
    happening = Happening(kind, {"flag": str(flag)})
    await outbox.tell(uow, [(loan.id, loan.last_number, happening)], has_listeners=loan.row["has_listeners"])
