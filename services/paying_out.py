"""What the payout process does with an approved payout: hand it to the rail, post that it was sent, tell the borrower.
Each step is one transaction, and taking it twice is taking it once.

Locks are taken in one order: loan, payout.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.events import RefundSent, ReimbursementSent
from domain.payouts import PayoutAction, PayoutKind, PayoutPlan, PayoutStatus, after
from infra.db.queries.borrowers import addressee
from infra.db.repositories import payouts as repository
from infra.db.uow import UnitOfWork
from infra.notifier import Mail
from infra.rails import sandbox
from services import letters
from services.replaying import apply_event, lock_loan
from services.users import tenant_name


async def plan(uow: UnitOfWork, payout_id: UUID) -> PayoutPlan:
    """Look at a payout. Raises NotFound."""
    return await _plan(uow, await repository.payout(uow, payout_id))


async def hand_over(uow: UnitOfWork, payout_id: UUID) -> PayoutPlan:
    """Hand an approved payout to the rail, which says on which banking day it goes out; again does nothing.

    Raises NotFound.
    """
    row = await repository.payout(uow, payout_id, lock=True)
    if row["status"] != PayoutStatus.APPROVED or row["goes_out_on"] is not None:
        return await _plan(uow, row)
    on = max(await uow.business_date(), row["approved_on"])
    goes_out_on = await sandbox.pay_out(uow, payout_id, row["amount"], on)
    await repository.change_payout(uow, payout_id, goes_out_on=goes_out_on)
    await uow.audit("payout.handed_over", "payout", payout_id, after={"goes_out_on": goes_out_on.isoformat()})
    return await plan(uow, payout_id)


async def send(uow: UnitOfWork, payout_id: UUID) -> PayoutPlan:
    """Post that the rail has sent a payout (2010 / 1000), on its banking day; before that day, or again, does nothing.

    Raises NotFound.
    """
    loan = await lock_loan(uow, (await repository.payout(uow, payout_id))["loan_id"])
    row = await repository.payout(uow, payout_id, lock=True)
    if not (await _plan(uow, row)).due:
        return await _plan(uow, row)
    status, name, on = after(PayoutStatus(row["status"]), PayoutAction.SEND), str(payout_id), row["goes_out_on"]
    refund = row["kind"] == PayoutKind.REFUND
    await apply_event(uow, loan, RefundSent(name) if refund else ReimbursementSent(name), on)
    await repository.change_payout(uow, payout_id, status=str(status), sent_on=on)
    sent = {"status": str(status), "sent_on": on.isoformat()}
    await uow.audit("payout.sent", "payout", payout_id, before={"status": row["status"]}, after=sent)
    return await plan(uow, payout_id)


async def letter(uow: UnitOfWork, payout_id: UUID) -> Mail | None:
    """The mail that tells the borrower of a payout that was sent; None when they were told, or have no address."""
    row = await repository.payout(uow, payout_id)
    if row["status"] != PayoutStatus.SENT or row["told_at"] is not None:
        return None
    to = await uow.one(addressee(row["loan_id"]), "borrower")
    if not to["email"]:
        return None
    name, kind = f"{to['first_name']} {to['last_name']}", PayoutKind(row["kind"])
    sender, key = await tenant_name(uow), f"payout-{payout_id}"
    return letters.payout_sent(sender, to["email"], name, kind, row["amount"], row["sent_on"], key)


async def mark_told(uow: UnitOfWork, payout_id: UUID) -> None:
    """The borrower was told of a payout, once."""
    row = await repository.payout(uow, payout_id, lock=True)
    if row["told_at"] is None:
        await repository.change_payout(uow, payout_id, told_at=uow.recorded_at)


async def _plan(uow: UnitOfWork, row: RowMapping) -> PayoutPlan:
    return PayoutPlan(PayoutStatus(row["status"]), await uow.business_date(), row["goes_out_on"])
