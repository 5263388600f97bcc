"""What the autopay process does with an enrolment: look, prepare a draft. Each step is one transaction, and taking it twice
is taking it once. What is prepared is sent by a cutoff of the rail (services/sending.py).

Locks are taken in one order: loan, enrolment, draft, cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from domain.autopay import (
    AmountType,
    DraftStatus,
    EnrolmentStatus,
    Plan,
    PreparedDraft,
    decide,
    due_date_of,
    owed_through,
    process_instant,
)
from domain.happenings import Happening
from domain.loan import LoanStatus
from domain.payoff import payoff_quote
from domain.webhooks import WebhookType
from infra.calendar import bank_holidays
from infra.db.models.tenancy import tenants
from infra.db.queries.instruments import ach_refusal_of
from infra.db.repositories import autopay as repository
from infra.db.repositories import instruments
from infra.db.uow import UnitOfWork
from infra.settings import BusinessMode
from services import autopay, cutoffs, outbox
from services.replaying import LockedLoan, lock_loan, today

_ENDED_BY_LOAN: Final = {
    LoanStatus.PAID_OFF: autopay.PAID_OFF,
    LoanStatus.CHARGED_OFF: "the loan is charged off",
    LoanStatus.TRANSFERRED: "the loan was transferred",
    LoanStatus.CANCELLED: "the loan was cancelled",
}


async def plan(uow: UnitOfWork, enrolment_id: UUID) -> Plan:
    """Look at an enrolment. Ends it where its loan or its dates have ended, and a pause that has run out.

    Raises NotFound.
    """
    row = await repository.lock_enrolment(uow, enrolment_id)
    business_date = await uow.business_date()
    if row["status"] == EnrolmentStatus.PAUSED and row["paused_until"] and row["paused_until"] <= business_date:
        await autopay.resume_row(uow, row, tell=False)
        row = await repository.enrolment(uow, enrolment_id)
    if await conclude(uow, row, tell=False):
        row = await repository.enrolment(uow, enrolment_id)
    return await _plan(uow, row, business_date)


async def prepare_draft(uow: UnitOfWork, enrolment_id: UUID, process_date: date) -> PreparedDraft:
    """Decide a period's draft under the loan's lock, insert its row, and move the enrolment on to the next period.

    What is to be drafted stays pending until a cutoff sends it (services/sending.py), which looks again. Nothing to draft
    is a row too (not_drafted, with the reason). Raises NotFound.
    """
    loan = await lock_loan(uow, (await repository.enrolment(uow, enrolment_id))["loan_id"])
    row = await repository.lock_enrolment(uow, enrolment_id)
    existing = await repository.draft_of_period(uow, enrolment_id, process_date)
    wanted = row["status"] == EnrolmentStatus.ACTIVE and row["next_process_date"] == process_date
    if existing is not None:
        if wanted:  # paused and resumed on the day of its draft
            await _move_on(uow, row, process_date)
        return _prepared(existing)
    if not wanted:
        return PreparedDraft(None)
    decided = await decide_draft(uow, loan, row, process_date)
    await repository.insert_draft(
        uow,
        enrolment_id=enrolment_id,
        loan_id=loan.id,
        process_date=process_date,
        amount=decided.amount,
        status=str(DraftStatus.NOT_DRAFTED if decided.reason else DraftStatus.PENDING),
        reason=decided.reason,
    )
    draft = await repository.draft_of_period(uow, enrolment_id, process_date)
    assert draft is not None
    if decided.reason:
        await tell_not_drafted(uow, loan, draft, decided.reason)
    else:
        await cutoffs.call(uow)
    await _move_on(uow, row, process_date)
    return _prepared(draft)


@dataclass(frozen=True, slots=True)
class Decided:
    """How much to draft now, in minor units (0 with the reason why nothing is), from which instrument, and the date on
    which it counts."""

    amount: int
    reason: str | None
    instrument_id: UUID | None
    effective_date: date


async def decide_draft(uow: UnitOfWork, loan: LockedLoan, row: RowMapping, process_date: date) -> Decided:
    """What a draft of a locked loan takes now. It counts on its due date, though not before the loan was ours. The payoff
    is the one of that date, less what was paid since."""
    as_of = await today(uow, loan)
    state = loan.replay(as_of).state
    due = due_date_of(process_date, (instalment.due_date for instalment in state.instalments), bank_holidays())
    effective = max(due, state.opened_on or due)
    instrument_id: UUID | None = row["payment_instrument_id"]
    if state.status is not LoanStatus.ACTIVE:
        return Decided(0, f"the loan is {state.status}", instrument_id, effective)
    refusal = await _instrument_refusal(uow, instrument_id)
    if refusal is not None:
        return Decided(0, refusal, instrument_id, effective)
    then = state if effective == as_of else loan.replay(effective).state
    decision = decide(
        AmountType(row["amount_type"]),
        row["amount"],
        owed=owed_through(state, due),
        payoff=payoff_quote(then).total - (state.total_paid - then.total_paid),
        in_transit=await repository.promised(uow, loan.id),
    )
    return Decided(decision.amount, decision.reason, instrument_id, effective)


async def tell_not_drafted(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, reason: str) -> None:
    """Tell those who listen that a draft does not go out, and why."""
    happening = Happening(WebhookType.NOT_DRAFTED, {**facts_of(draft), "reason": reason[:200]})
    await outbox.tell(uow, [(loan.id, loan.last_number, happening)], has_listeners=loan.row["has_listeners"])


def facts_of(draft: RowMapping) -> dict[str, str]:
    """What every event about a draft says of it."""
    return {
        "draft_id": str(draft["id"]),
        "enrolment_id": str(draft["enrolment_id"]),
        "process_date": draft["process_date"].isoformat(),
    }


async def conclude(uow: UnitOfWork, row: RowMapping, *, tell: bool) -> bool:
    """End a locked enrolment whose loan or dates have ended; its workflow is told where somebody else does it (`tell`).
    Returns whether it was ended. The draft that is yet to be sent is waited for."""
    if row["status"] != EnrolmentStatus.ACTIVE:
        return False
    reason = await _ended_by_loan(uow, row["loan_id"]) or await _ended_by_dates(uow, row)
    if reason:
        await autopay.complete(uow, row, reason, tell=tell)
    return bool(reason)


async def _instrument_refusal(uow: UnitOfWork, instrument_id: UUID | None) -> str | None:
    """Why nothing can be drafted from an instrument, which stays as it is until this transaction ends; None when it can."""
    instrument = None if instrument_id is None else await instruments.hold(uow, instrument_id)
    return "the autopay has no payment instrument" if instrument is None else ach_refusal_of(instrument)


async def _move_on(uow: UnitOfWork, row: RowMapping, process_date: date) -> None:
    """Schedule the period after `process_date`, or end the enrolment when its loan has ended."""
    ended = await _ended_by_loan(uow, row["loan_id"])
    if ended:
        await autopay.complete(uow, row, ended)
        return
    not_before = process_date + timedelta(days=1)
    upcoming = await autopay.first_process_date(uow, row["loan_id"], AmountType(row["amount_type"]), not_before)
    await repository.change_enrolment(uow, row["id"], next_process_date=upcoming)


async def _ended_by_loan(uow: UnitOfWork, loan_id: UUID) -> str | None:
    return _ENDED_BY_LOAN.get(LoanStatus(await repository.loan_status(uow, loan_id)))


async def _ended_by_dates(uow: UnitOfWork, row: RowMapping) -> str | None:
    upcoming, end = row["next_process_date"], row["end_date"]
    if upcoming is not None and (end is None or upcoming <= end):
        return None
    if await repository.has_pending_draft(uow, row["id"]):
        return None
    return autopay.NOTHING_LEFT if upcoming is None else f"the end date {end} is reached"


async def _plan(uow: UnitOfWork, row: RowMapping, business_date: date) -> Plan:
    status, upcoming = EnrolmentStatus(row["status"]), row["next_process_date"]
    process_at = None
    if status is EnrolmentStatus.ACTIVE and upcoming is not None:
        tenant = await uow.one(select(tenants.c.mode, tenants.c.zone).where(tenants.c.id == uow.tenant_id), "tenant")
        if tenant["mode"] == BusinessMode.LIVE:
            process_at = process_instant(upcoming, tenant["zone"], row["id"])
    return Plan(
        status=status,
        business_date=business_date,
        next_process_date=upcoming,
        paused_until=row["paused_until"],
        process_at=process_at,
        due=_is_due(row, business_date),
        end_reason=row["end_reason"],
    )


def _is_due(row: RowMapping, business_date: date) -> bool:
    upcoming, end = row["next_process_date"], row["end_date"]
    open_ = row["status"] == EnrolmentStatus.ACTIVE and upcoming is not None and (end is None or upcoming <= end)
    return bool(open_ and upcoming <= business_date)


def _prepared(draft: RowMapping) -> PreparedDraft:
    return PreparedDraft(draft["id"], DraftStatus(draft["status"]), draft["amount"], draft["reason"])
