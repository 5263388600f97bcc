"""Refunds and reimbursements as people see them: ask, preview, approve, reject, cancel. The row decides; once it is
approved, a workflow carries it out (services/paying_out.py).

Locks are taken in one order: loan, payout. A refund beyond unapplied funds is withheld from its payment (ADR 0013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from domain.approval import check_second_person, needs_second_person
from domain.charges import check_positive
from domain.events import EventBody, PaymentReceived, Refunded, Reimbursed
from domain.history import standing
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.payouts import (
    PayoutAction,
    PayoutKind,
    PayoutStatus,
    Refundable,
    after,
    check_pays_out,
    check_promise,
    goes_beyond_unapplied,
)
from domain.restatement import CorrectionKind
from infra.db.models.processes import payouts
from infra.db.pipeline import Row
from infra.db.repositories import payments as payment_repository
from infra.db.repositories import payouts as repository
from infra.db.repositories.approval import approval_limit
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.corrections import (
    Corrected,
    Planned,
    carry_out,
    events_of_payment,
    foreseen,
    payment_of_loan,
    plan_amendments,
)
from services.replaying import Amendment, LockedLoan, amend, load_loan, lock_loan, today

WORKFLOW_TYPE: Final = "PayoutWorkflow"
CHANGED: Final = "changed"
"""The signal "look again": it carries nothing, the workflow reads the row."""


def workflow_id(payout_id: UUID) -> str:
    """The id of a payout's workflow."""
    return f"payout/{payout_id}"


@dataclass(frozen=True, slots=True)
class Refund:
    """What is asked for: `amount` minor units of a payment. `override`: also of what the payment has paid something with."""

    payment_id: UUID
    amount: int
    reason: str
    override: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a payout would be: its status at once, whether it goes beyond unapplied funds, and what it changes in the loan
    when it is approved."""

    status: PayoutStatus
    override: bool
    corrected: Corrected


async def refund(uow: UnitOfWork, command: Refund) -> UUID:
    """Refund a part of a payment. Returns the payout: approved and posted, its process starting after commit, or waiting
    for a second person where it is above the lender's limit.

    Raises NotFound; WrongState for a payment that is not completed, a loan that pays nothing out, more than is unapplied
    (without override), and when a later event would become impossible; InvalidInput at /amount for more than is left of
    the payment; Conflict when it takes what other refunds that wait for approval would take.
    """
    payment, loan = await payment_of_loan(uow, command.payment_id, lock=True)
    payout_id = new_id()
    planned, beyond = await _plan_refund(uow, payment, loan, command, payout_id)
    wanted = {"payment_id": payment["id"], "kind": str(PayoutKind.REFUND), "override": beyond}
    return await _ask(uow, loan, payout_id, command.amount, command.reason, wanted, planned)


async def preview_refund(uow: UnitOfWork, command: Refund) -> Asked:
    """What `refund` would do. Writes nothing, refuses what it refuses."""
    payment, loan = await payment_of_loan(uow, command.payment_id, lock=False)
    planned, beyond = await _plan_refund(uow, payment, loan, command, new_id())
    return Asked(await _status(uow, command.amount), beyond, await foreseen(uow, loan, planned))


async def reimburse(uow: UnitOfWork, loan_id: UUID, amount: int, reason: str) -> UUID:
    """Pay a borrower `amount` minor units of the lender's own money. Returns the payout, see `refund`.

    Raises NotFound; WrongState for a loan that pays nothing out; InvalidInput at /amount.
    """
    loan = await lock_loan(uow, loan_id)
    payout_id = new_id()
    planned = await _plan_reimbursement(uow, loan, payout_id, amount)
    wanted = {"kind": str(PayoutKind.REIMBURSEMENT), "override": False}
    return await _ask(uow, loan, payout_id, amount, reason, wanted, planned)


async def preview_reimbursement(uow: UnitOfWork, loan_id: UUID, amount: int) -> Asked:
    """What `reimburse` would do. Writes nothing, refuses what it refuses."""
    loan = await load_loan(uow, loan_id)
    planned = await _plan_reimbursement(uow, loan, new_id(), amount)
    return Asked(await _status(uow, amount), False, await foreseen(uow, loan, planned))


async def approve(uow: UnitOfWork, payout_id: UUID) -> UUID:
    """Approve a payout that waits for a second person: it is posted on the business date, and its process starts.

    Raises NotFound; WrongState unless it waits for approval; Forbidden for the one who asked; and what asking for it would
    be refused for by now.
    """
    row, loan = await _decide(uow, payout_id, PayoutAction.APPROVE)
    beyond = row["override"]
    if row["kind"] == PayoutKind.REFUND:
        (payment,) = await payment_repository.payment_rows(uow, [row["payment_id"]])
        command = Refund(payment["id"], row["amount"], row["reason"], row["override"])
        planned, beyond = await _plan_refund(uow, payment, loan, command, payout_id, waits=True)
    else:
        planned = await _plan_reimbursement(uow, loan, payout_id, row["amount"])
    status = {"status": str(PayoutStatus.APPROVED), "approved_on": await today(uow, loan)}
    await repository.change_payout(uow, payout_id, decided_by=uow.actor.id, override=beyond, **status)
    await _audit_decision(uow, row, PayoutStatus.APPROVED)
    await _post(uow, loan, row, planned)
    return payout_id


async def reject(uow: UnitOfWork, payout_id: UUID, reason: str) -> UUID:
    """Reject a payout that waits for a second person: nothing was posted, and nothing is.

    Raises NotFound; WrongState unless it waits for approval; Forbidden for the one who asked.
    """
    row, _ = await _decide(uow, payout_id, PayoutAction.REJECT)
    status = str(PayoutStatus.REJECTED)
    await repository.change_payout(uow, payout_id, status=status, decided_by=uow.actor.id, decision_reason=reason)
    await _audit_decision(uow, row, PayoutStatus.REJECTED, reason)
    return payout_id


async def cancel(uow: UnitOfWork, payout_id: UUID, reason: str) -> UUID:
    """Take an approved payout back that the rail has not taken yet: its entry (2010) is mirrored, what it was to give back
    is the loan's again, and its process ends.

    Raises NotFound; WrongState unless it is approved, once the rail has it, and (naming the event) when a later event would
    become impossible.
    """
    loan = await lock_loan(uow, (await repository.payout(uow, payout_id))["loan_id"])
    row = await repository.payout(uow, payout_id, lock=True)
    status = after(PayoutStatus(row["status"]), PayoutAction.CANCEL, row["goes_out_on"])
    planned = await _plan_cancel(uow, loan, row)
    by = {"cancelled_by": uow.actor.id, "cancelled_on": await today(uow, loan), "cancel_reason": reason}
    await repository.change_payout(uow, payout_id, status=str(status), **by)
    await _audit_decision(uow, row, status, reason)
    await _record(uow, loan, row, planned, reason)
    if row["payment_id"] is not None:
        await _add_to_refunded(uow, row, -row["amount"], reason)
    target, message = workflow_id(payout_id), f"cancelled {payout_id}"
    await uow.intend("signal", WORKFLOW_TYPE, target, {}, message_id=message, message_name=CHANGED)
    return payout_id


async def _plan_cancel(uow: UnitOfWork, loan: LockedLoan, row: Row) -> Planned:
    """The payout's event is voided; where its payment was made smaller by it, the payment is its size again."""
    stands = standing(loan.records).values()
    promised = next(r for r in stands if _names(r.body, row["id"]))
    amendments = [Amendment(None, promised.effective_date, promised)]
    received = next((r for r in stands if _names(r.body, row["payment_id"])), None)  # none: a bank returned it
    if received is not None and await _is_withheld(uow, loan, row, promised.position):
        assert isinstance(received.body, PaymentReceived)
        withheld = max(0, (received.body.withheld or 0) - row["amount"])
        larger = replace(received.body, withheld=withheld or None)
        amendments = [Amendment(larger, received.effective_date, received), *amendments]
    return await plan_amendments(uow, loan, amendments)


def _names(body: EventBody | None, wanted: UUID | None) -> bool:
    """Whether an event is that of a payout being approved, or of a payment being received, with the id `wanted`."""
    match body:
        case Refunded(name) | Reimbursed(name) | PaymentReceived(payment_id=name):
            return name == str(wanted)
        case _:
            return False


async def _is_withheld(uow: UnitOfWork, loan: LockedLoan, row: Row, position: int) -> bool:
    """Whether a refund, first recorded as the event of that number, is withheld from its payment: one that goes beyond
    unapplied funds is, with all the refunds of the payment that were there before it."""
    if row["override"]:
        return True
    beyond = await repository.overriding_refunds_of(uow, row["payment_id"])
    recorded = (r for r in loan.records if isinstance(r.body, Refunded) and r.body.refund_id in beyond)
    return any(r.position > position for r in recorded)


async def _decide(uow: UnitOfWork, payout_id: UUID, action: PayoutAction) -> tuple[Row, LockedLoan]:
    """A payout and its loan, both locked, where the actor may decide on it."""
    loan = await lock_loan(uow, (await repository.payout(uow, payout_id))["loan_id"])
    row = await repository.payout(uow, payout_id, lock=True)
    after(PayoutStatus(row["status"]), action, row["goes_out_on"])
    check_second_person(row["requested_by"], uow.actor.id)
    return row, loan


async def _ask(
    uow: UnitOfWork, loan: LockedLoan, payout_id: UUID, amount: int, reason: str, wanted: dict[str, Any], planned: Planned
) -> UUID:
    status = await _status(uow, amount)
    business_date = await today(uow, loan)
    await uow.add(
        payouts,
        id=payout_id,
        loan_id=loan.id,
        amount=amount,
        reason=reason,
        status=str(status),
        requested_by=uow.actor.id,
        requested_on=business_date,
        approved_on=business_date if status is PayoutStatus.APPROVED else None,
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
        **wanted,
    )
    facts = {name: str(value) for name, value in wanted.items() if name != "override"}
    facts |= {"loan_id": str(loan.id), "amount": format_amount(amount), "status": str(status)}
    facts |= {"override": wanted["override"]}
    await uow.audit("payout.requested", "payout", payout_id, after=facts, reason=reason)
    if status is PayoutStatus.APPROVED:
        await _post(uow, loan, await repository.payout(uow, payout_id), planned)
    return payout_id


async def _post(uow: UnitOfWork, loan: LockedLoan, row: Row, planned: Planned) -> None:
    """Post an approved payout (2010), and have its process start after commit."""
    await _record(uow, loan, row, planned, row["reason"])
    if row["payment_id"] is not None:
        await _add_to_refunded(uow, row, row["amount"], row["reason"])
    target = workflow_id(row["id"])
    payload = {"tenant_id": str(uow.tenant_id), "payout_id": str(row["id"])}
    attributes = {
        "TenantId": str(uow.tenant_id),
        "LoanId": str(loan.id),
        "WorkflowKind": "payout",
        "BusinessDate": (await today(uow, loan)).isoformat(),
        "Stage": str(PayoutStatus.APPROVED),
    }
    await uow.intend("start", WORKFLOW_TYPE, target, payload, search_attributes=attributes)


async def _record(uow: UnitOfWork, loan: LockedLoan, row: Row, planned: Planned, reason: str) -> None:
    """What supersedes something is a correction of the loan's history, and may restate archived days."""
    if any(item.supersedes is not None for item in planned.amendments):
        await carry_out(uow, loan, planned, CorrectionKind.REFUND, reason, payment_id=row["payment_id"])
    else:
        await amend(uow, loan, planned.amendments, reason)


async def _add_to_refunded(uow: UnitOfWork, row: Row, amount: int, reason: str) -> None:
    """Count `amount` minor units more (or, below 0, fewer) as given back of a payout's payment."""
    (payment,) = await payment_repository.payment_rows(uow, [row["payment_id"]])
    before, now = payment["refunded_amount"], payment["refunded_amount"] + amount
    await payment_repository.set_refunded(uow, payment["id"], now)
    await uow.audit(
        "payment.refunded",
        "payment",
        payment["id"],
        before={"refunded_amount": format_amount(before)},
        after={"refunded_amount": format_amount(now), "payout_id": str(row["id"])},
        reason=reason,
    )


async def _status(uow: UnitOfWork, amount: int) -> PayoutStatus:
    second = needs_second_person(amount, await approval_limit(uow))
    return PayoutStatus.PENDING_APPROVAL if second else PayoutStatus.APPROVED


async def _plan_reimbursement(uow: UnitOfWork, loan: LockedLoan, payout_id: UUID, amount: int) -> Planned:
    on = await today(uow, loan)
    check_pays_out(LoanStatus(loan.replay(on).state.status))
    check_positive(amount)
    return await plan_amendments(uow, loan, [Amendment(Reimbursed(str(payout_id), amount), on)])


async def _plan_refund(
    uow: UnitOfWork, payment: Row, loan: LockedLoan, command: Refund, payout_id: UUID, *, waits: bool = False
) -> tuple[Planned, bool]:
    """What a refund adds to the history, and whether it goes beyond unapplied funds. `waits`: the payout is a row already,
    so that what it asks for itself stands in nobody's way."""
    but = payout_id if waits else None
    on = await today(uow, loan)
    replayed = loan.replay(on)
    check_pays_out(LoanStatus(replayed.state.status))
    name = str(payment["id"])
    promised = await repository.promised(uow, loan.id, but)
    of = Refundable(
        status=payment["status"],
        paid=payment["amount"],
        refunded=payment["refunded_amount"],
        charged_back=sum(back.amount for back in replayed.chargebacks.values() if back.payment_id == name),
        asked=await repository.asked(uow, payment["id"], but),
        unapplied=replayed.state.unapplied,
        promised=promised,
    )
    beyond = goes_beyond_unapplied(of, command.amount, override=command.override)
    refunded = Refunded(str(payout_id), command.amount)
    if not beyond:
        return await plan_amendments(uow, loan, [Amendment(refunded, on)]), False
    planned = await _plan_withheld(uow, loan, payment, refunded)
    check_promise(planned.corrected.correction.after.unapplied, promised)
    return planned, True


async def _plan_withheld(uow: UnitOfWork, loan: LockedLoan, payment: Row, refunded: Refunded) -> Planned:
    """The payment is superseded by one of which all its refunds are withheld, each on the payment's own day: what it paid
    is owed as if it had been smaller, and nothing that falls due in between takes what was given back."""
    received, _ = events_of_payment(loan, payment["id"])
    body, on = received.body, received.effective_date
    assert isinstance(body, PaymentReceived)
    withheld = payment["refunded_amount"] + refunded.amount
    names = await repository.refunds_of(uow, payment["id"])
    earlier = [
        Amendment(record.body, on, record)
        for record in standing(loan.records).values()
        if isinstance(record.body, Refunded) and record.body.refund_id in names and record.effective_date != on
    ]
    smaller = Amendment(replace(body, withheld=withheld), on, received)
    return await plan_amendments(uow, loan, [smaller, *earlier, Amendment(refunded, on)])


async def _audit_decision(uow: UnitOfWork, row: Row, status: PayoutStatus, reason: str | None = None) -> None:
    await uow.audit(
        f"payout.{status}",
        "payout",
        row["id"],
        before={"status": row["status"]},
        after={"status": str(status), "amount": format_amount(row["amount"])},
        reason=reason,
    )
