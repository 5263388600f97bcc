"""Reversals of payments: ask for one, decide it, and what follows from it.

What it does to the loan is one transaction: that of the request or, above the tenant's limit, that of the second person's
approval. What follows (autopay, archived days, the borrower's letter) is a workflow's; each step is one transaction under
the lock of the loan, and taking it twice is taking it once, because the row says which step is next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.ach_returns import Action
from domain.approval import check_second_person, needs_second_person
from domain.errors import NotFound, WrongState
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.reversal import (
    REVERSIBLE,
    AutopayOutcome,
    NoticeOutcome,
    ReversalStatus,
    ReversalStep,
    check_decidable,
)
from infra.db.models.processes import payment_reversals
from infra.db.pipeline import Row
from infra.db.repositories import reversals as repository
from infra.db.repositories.approval import approval_limit
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.notifier import Mail
from services import autopay, corrections, letters, restating
from services.corrections import Corrected
from services.replaying import LockedLoan, lock_loan, today
from services.users import tenant_name

WORKFLOW_TYPE: Final = "PaymentReversalWorkflow"
DECIDED: Final = "decided"
"""The signal "look again, it is decided": it carries nothing, the workflow reads the row."""
FOLLOWS: Final = {
    str(Action.RETRY): "We will ask your bank for the same amount once more in a few days. Please see that it is there.",
    str(Action.CORRECT_INSTRUMENT): "Nothing more is taken from this account. Please give us another one, or correct it.",
    str(Action.NEW_AUTHORIZATION): "Your automatic payments are stopped. If you want them again, authorize them anew.",
}
"""What a borrower is told of what follows from a return, by what follows."""


def workflow_id(reversal_id: UUID) -> str:
    """The id of a reversal's workflow."""
    return f"payment-reversal/{reversal_id}"


@dataclass(frozen=True, slots=True)
class Reversal:
    """A reversal as it was asked for or decided. `corrected`: what it did to the loan; None while it waits for approval."""

    id: UUID
    corrected: Corrected | None


@dataclass(frozen=True, slots=True)
class Promised:
    """What a reversal would do, and whether a second person would have to agree first."""

    corrected: Corrected
    approval_needed: bool


async def request(uow: UnitOfWork, payment_id: UUID, reason: str, *, assess_nsf_fee: bool = False) -> Reversal:
    """Ask for a completed payment to be reversed; its process starts after commit.

    Up to the tenant's approval limit the payment is reversed at once. Above it nothing is posted until `approve`.
    Raises NotFound, what `corrections.plan_reverse` raises, and WrongState (code reversal_pending) while a reversal waits
    for approval.
    """
    payment, loan = await corrections.payment_of_loan(uow, payment_id, lock=True)
    plan, approval_needed = await _promise(uow, payment, loan, assess_nsf_fee)
    reversal_id = new_id()
    await uow.add(
        payment_reversals,
        id=reversal_id,
        payment_id=payment_id,
        loan_id=loan.id,
        amount=payment["amount"],
        reason=reason,
        assess_nsf_fee=assess_nsf_fee,
        status=str(ReversalStatus.PENDING_APPROVAL),
        step=str(ReversalStep.APPROVAL),
        step_since=uow.recorded_at,
        requested_by=uow.actor.id,
        requested_on=await uow.business_date(),
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
    )
    facts = {"payment_id": str(payment_id), "loan_id": str(loan.id), "amount": format_amount(payment["amount"])}
    after = {**facts, "assess_nsf_fee": assess_nsf_fee, "approval_needed": approval_needed}
    await uow.audit("payment_reversal.requested", "payment_reversal", reversal_id, after=after, reason=reason)
    corrected = None
    if not approval_needed:
        corrected = await _apply(uow, await repository.reversal(uow, reversal_id), payment, loan, plan)
    await start(uow, reversal_id, loan.id, corrected)
    return Reversal(reversal_id, corrected)


async def preview(uow: UnitOfWork, payment_id: UUID, *, assess_nsf_fee: bool = False) -> Promised:
    """What `request` would do, and at once or after an approval. Writes nothing, refuses what it refuses."""
    payment, loan = await corrections.payment_of_loan(uow, payment_id, lock=False)
    plan, approval_needed = await _promise(uow, payment, loan, assess_nsf_fee)
    return Promised(await corrections.foreseen(uow, loan, plan), approval_needed)


async def approve(uow: UnitOfWork, payment_id: UUID, reason: str | None = None) -> Reversal:
    """Agree, as the second person: the payment is reversed in this transaction, and the process goes on.

    Raises NotFound; WrongState naming the status of a reversal that is decided already, or the state the payment has come
    to meanwhile; Forbidden for whoever asked for it; and what `corrections.plan_reverse` raises.
    """
    row, payment, loan = await _to_decide(uow, payment_id)
    if payment["status"] != REVERSIBLE:
        raise WrongState(
            f"The payment has become {payment['status']} since its reversal was asked for: only a completed payment is "
            "reversed. The reversal can be rejected.",
            state=payment["status"],
            allowed=["reject"],
            code="payment_changed",
        )
    plan = await corrections.plan_reverse(uow, payment, loan, assess_nsf_fee=row["assess_nsf_fee"])
    corrected = await _apply(uow, row, payment, loan, plan, decided_by=uow.actor.id, decision_reason=reason)
    await _audit_decision(uow, row, "approved", ReversalStatus.APPLIED, reason)
    await tell(uow, row["id"])
    return Reversal(row["id"], corrected)


async def reject(uow: UnitOfWork, payment_id: UUID, reason: str) -> Reversal:
    """Refuse, as the second person: the payment stays as it is, and may be asked to be reversed again.

    Raises NotFound, WrongState and Forbidden as `approve` does, whatever the payment has become.
    """
    row, _, _ = await _to_decide(uow, payment_id)
    await repository.change(
        uow,
        row["id"],
        status=str(ReversalStatus.REJECTED),
        decided_by=uow.actor.id,
        decided_at=uow.recorded_at,
        decision_reason=reason,
        finished_at=uow.recorded_at,
        **_step(uow, ReversalStep.DONE),
    )
    await _audit_decision(uow, row, "rejected", ReversalStatus.REJECTED, reason)
    await tell(uow, row["id"])
    return Reversal(row["id"], None)


async def progress(uow: UnitOfWork, reversal_id: UUID) -> tuple[ReversalStatus, ReversalStep]:
    """Where a reversal is, for its workflow. Raises NotFound."""
    row = await repository.reversal(uow, reversal_id)
    return ReversalStatus(row["status"]), ReversalStep(row["step"])


async def replan_autopay(uow: UnitOfWork, reversal_id: UUID) -> None:
    """Have the loan's autopay look again, and record what that meant. Again does nothing. Raises NotFound."""
    loan = await lock_loan(uow, (await repository.reversal(uow, reversal_id))["loan_id"])
    row = await repository.reversal(uow, reversal_id, lock=True)
    if row["step"] != ReversalStep.AUTOPAY:
        return
    outcome, enrolment_id = await autopay.replan(uow, loan.id, row["applied_on"], reopened=row["loan_reopened"])
    await repository.change(
        uow,
        reversal_id,
        autopay_outcome=str(outcome),
        autopay_enrolment_id=enrolment_id,
        **_step(uow, ReversalStep.SNAPSHOTS),
    )


async def restate_page(uow: UnitOfWork, reversal_id: UUID, limit: int = restating.DAYS_PER_PAGE) -> bool:
    """Record which of the next `limit` archived days the reversal restates. Returns whether no day is left; again then does
    nothing. Raises NotFound."""
    if (await repository.reversal(uow, reversal_id))["step"] != ReversalStep.SNAPSHOTS:
        return True
    done = await restating.restate_page(uow, reversal_id, limit)  # takes the loan's lock, which comes before the row's
    if done and (await repository.reversal(uow, reversal_id, lock=True))["step"] == ReversalStep.SNAPSHOTS:
        await repository.change(uow, reversal_id, **_step(uow, ReversalStep.NOTICE))
    return done


async def letter(uow: UnitOfWork, reversal_id: UUID) -> Mail | None:
    """The letter that tells the borrower; None when that step is over, or there is no address. The same each time, with
    the same key, so that a second sending is no second letter. Raises NotFound."""
    row = await repository.reversal(uow, reversal_id)
    to = await repository.borrower_of(uow, row["loan_id"])
    if row["step"] != ReversalStep.NOTICE or not to["email"]:
        return None
    more = [FOLLOWS[row["follow_up"]]] if row["follow_up"] in FOLLOWS else []
    if row["nsf_fee"]:
        more.append(f"A fee of {format_amount(row['nsf_fee'])} for the returned payment was added, as your contract says.")
    if row["loan_reopened"]:
        more.append("Your loan had been paid off by it; it is open again, and its instalments are due.")
    if row["autopay_outcome"] == AutopayOutcome.ENDED:
        more.append("Your automatic payments ended when the loan was paid off. They do not begin again by themselves.")
    if row["autopay_outcome"] == AutopayOutcome.REPLANNED:
        more.append("Your automatic payments include what is due again.")
    amount, name = format_amount(row["amount"]), f"{to['first_name']} {to['last_name']}"
    key = f"payment-reversal-{reversal_id}"
    if row["return_code"]:
        return letters.payment_returned(
            await tenant_name(uow), to["email"], name, amount, row["effective_date"], row["reason"], more, key
        )
    return letters.payment_reversed(await tenant_name(uow), to["email"], name, amount, row["effective_date"], more, key)


async def finish(uow: UnitOfWork, reversal_id: UUID, notice: NoticeOutcome) -> None:
    """Record what became of the letter, with which the process ends. Again does nothing. Raises NotFound."""
    row = await repository.reversal(uow, reversal_id, lock=True)
    if row["step"] != ReversalStep.NOTICE:
        return
    status = ReversalStatus.COMPLETED
    await repository.change(
        uow,
        reversal_id,
        status=str(status),
        notice=str(notice),
        finished_at=uow.recorded_at,
        **_step(uow, ReversalStep.DONE),
    )
    after = {"status": str(status), "autopay": row["autopay_outcome"], "notice": str(notice)}
    before = {"status": row["status"]}
    await uow.audit("payment_reversal.completed", "payment_reversal", reversal_id, before=before, after=after)


async def _promise(
    uow: UnitOfWork, payment: Row, loan: LockedLoan, assess_nsf_fee: bool
) -> tuple[corrections.Planned, bool]:
    """What reversing adds to the history, and whether a second person would have to agree first."""
    plan = await corrections.plan_reverse(uow, payment, loan, assess_nsf_fee=assess_nsf_fee)
    pending = await repository.latest_of(uow, payment["id"])
    if pending is not None and pending["status"] == ReversalStatus.PENDING_APPROVAL:
        raise WrongState(
            f"The payment's reversal {pending['id']} waits for a second person: it is approved or rejected first.",
            state=pending["status"],
            allowed=["approve", "reject"],
            code="reversal_pending",
        )
    return plan, needs_second_person(payment["amount"], await approval_limit(uow))


async def _apply(
    uow: UnitOfWork, row: Row, payment: Row, loan: LockedLoan, plan: corrections.Planned, **decision: Any
) -> Corrected:
    """Reverse the payment as planned, all of it in this transaction, and make the rest the workflow's."""
    fee = loan.terms.program.nsf_fee if row["assess_nsf_fee"] else None
    corrected = await corrections.reverse(uow, payment, loan, plan, row["reason"], followed_up_as=row["id"])
    before, after = corrected.correction.before.status, corrected.correction.after.status
    if decision:
        decision["decided_at"] = uow.recorded_at
    await repository.change(
        uow,
        row["id"],
        status=str(ReversalStatus.APPLIED),
        applied_on=await today(uow, loan),
        effective_date=payment["effective_date"],
        nsf_fee=fee,
        loan_reopened=before is LoanStatus.PAID_OFF and after is not LoanStatus.PAID_OFF,
        **decision,
        **_step(uow, ReversalStep.AUTOPAY),
    )
    return corrected


async def start(uow: UnitOfWork, reversal_id: UUID, loan_id: UUID, corrected: Corrected | None) -> None:
    """Have a reversal's workflow begin after commit; `corrected` None: it waits for approval."""
    status = ReversalStatus.PENDING_APPROVAL if corrected is None else ReversalStatus.APPLIED
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(reversal_id),
        {"tenant_id": str(uow.tenant_id), "reversal_id": str(reversal_id)},
        search_attributes={
            "TenantId": str(uow.tenant_id),
            "LoanId": str(loan_id),
            "WorkflowKind": "payment-reversal",
            "BusinessDate": (await uow.business_date()).isoformat(),
            "Stage": str(status),
        },
    )


async def tell(uow: UnitOfWork, reversal_id: UUID) -> None:
    """Tell a reversal's workflow that it is decided. That happens once, so its own id names the message."""
    await uow.intend(
        "signal", WORKFLOW_TYPE, workflow_id(reversal_id), {}, message_id=str(reversal_id), message_name=DECIDED
    )


async def _to_decide(uow: UnitOfWork, payment_id: UUID) -> tuple[Row, Row, LockedLoan]:
    """The payment's reversal, locked after its loan, if the actor may decide it."""
    payment, loan = await corrections.payment_of_loan(uow, payment_id, lock=True)
    row = await repository.latest_of(uow, payment_id, lock=True)
    if row is None:
        raise NotFound("reversal of this payment")
    check_decidable(ReversalStatus(row["status"]))
    check_second_person(row["requested_by"], uow.actor.id)
    return row, payment, loan


async def _audit_decision(uow: UnitOfWork, row: Row, what: str, status: ReversalStatus, reason: str | None) -> None:
    before, after = {"status": row["status"]}, {"status": str(status), "payment_id": str(row["payment_id"])}
    await uow.audit(f"payment_reversal.{what}", "payment_reversal", row["id"], before=before, after=after, reason=reason)


def _step(uow: UnitOfWork, step: ReversalStep) -> dict[str, Any]:
    return {"step": str(step), "step_since": uow.recorded_at}
