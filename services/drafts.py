"""What the autopay process does with an enrolment: look, prepare a draft, send it. Each step is one transaction, and
taking it twice is taking it once.

Locks are taken in one order: loan, enrolment, draft.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from domain.autopay import (
    AmountType,
    Decision,
    DraftStatus,
    EnrolmentStatus,
    Plan,
    PreparedDraft,
    decide,
    due_date_of,
    owed_through,
    process_instant,
)
from domain.errors import Refusal
from domain.happenings import Happening
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.payoff import payoff_quote
from domain.webhooks import WebhookType
from infra.calendar import bank_holidays
from infra.db.models.tenancy import tenants
from infra.db.queries.instruments import ach_refusal_of
from infra.db.repositories import autopay as repository
from infra.db.repositories import instruments
from infra.db.uow import UnitOfWork
from infra.rails import sandbox
from infra.settings import BusinessMode
from services import autopay, outbox, payments
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
    if row["status"] == EnrolmentStatus.ACTIVE:
        reason = await _ended_by_loan(uow, row["loan_id"]) or _ended_by_dates(row)
        if reason:
            await autopay.complete(uow, row, reason)
            row = await repository.enrolment(uow, enrolment_id)
    return await _plan(uow, row, business_date)


async def prepare_draft(uow: UnitOfWork, enrolment_id: UUID, process_date: date) -> PreparedDraft:
    """Decide a period's draft under the loan's lock, and insert its row.

    Nothing to draft is a row too (not_drafted, with the reason), and moves the enrolment on. Raises NotFound.
    """
    loan = await lock_loan(uow, (await repository.enrolment(uow, enrolment_id))["loan_id"])
    row = await repository.lock_enrolment(uow, enrolment_id)
    existing = await repository.draft_of_period(uow, enrolment_id, process_date)
    wanted = row["status"] == EnrolmentStatus.ACTIVE and row["next_process_date"] == process_date
    if existing is not None:
        if wanted and existing["status"] != DraftStatus.PENDING:  # paused and resumed on the day of its draft
            await _move_on(uow, row, process_date)
        return _prepared(existing)
    if not wanted:
        return PreparedDraft(None)
    decision, _ = await _decide(uow, loan, row, process_date)
    await repository.insert_draft(
        uow,
        enrolment_id=enrolment_id,
        loan_id=loan.id,
        process_date=process_date,
        amount=decision.amount,
        status=str(DraftStatus.NOT_DRAFTED if decision.reason else DraftStatus.PENDING),
        reason=decision.reason,
    )
    draft = await repository.draft_of_period(uow, enrolment_id, process_date)
    assert draft is not None
    if decision.reason:
        await _tell_not_drafted(uow, loan, draft, decision.reason)
        await _move_on(uow, row, process_date)
    return _prepared(draft)


async def send_draft(uow: UnitOfWork, draft_id: UUID) -> DraftStatus:
    """Give a prepared draft to the rail and record its payment, after looking again at everything that could forbid it.

    A draft counts as paid on its due date. Whatever happens the next period stays scheduled. Raises NotFound.
    """
    draft = await repository.draft(uow, draft_id)
    loan = await lock_loan(uow, draft["loan_id"])
    row = await repository.lock_enrolment(uow, draft["enrolment_id"])
    draft = await repository.draft(uow, draft_id, lock=True)
    if draft["status"] != DraftStatus.PENDING:
        return DraftStatus(draft["status"])
    wanted = row["status"] == EnrolmentStatus.ACTIVE and row["next_process_date"] == draft["process_date"]
    if not wanted:
        return await _not_drafted(uow, loan, draft, f"the autopay is {row['status']}")
    decision, effective = await _decide(uow, loan, row, draft["process_date"])
    if not decision.reason:
        # what was prepared may have been paid in part since; never more than was announced
        decision = await _send(uow, loan, row, draft, min(decision.amount, draft["amount"]), effective)
    await _move_on(uow, row, draft["process_date"])
    return await _not_drafted(uow, loan, draft, decision.reason) if decision.reason else DraftStatus.SENT


async def _send(
    uow: UnitOfWork, loan: LockedLoan, row: RowMapping, draft: RowMapping, amount: int, effective: date
) -> Decision:
    try:
        async with uow.connection.begin_nested():
            reference = await sandbox.accept(uow, draft["id"], amount, await uow.business_date())
            payment = payments.RecordPayment(
                loan_id=draft["loan_id"],
                amount=amount,
                payment_method="ach",
                effective_date=effective,
                payment_instrument_id=row["payment_instrument_id"],
                source="autopay",
                status="processing",
                settlement_status="in_transit",
                payment_id=draft["id"],  # the draft's own id, so that one draft can only be one payment
            )
            recorded = await payments.record(uow, payment)
    except Refusal as refusal:  # the loan does not take it: the period is lost, the next one is not
        return Decision(0, refusal.detail)
    values = {"amount": amount, "payment_id": recorded.id, "rail_reference": str(reference)}
    await repository.change_draft(uow, draft["id"], status=str(DraftStatus.SENT), **values)
    data = {**_of_draft(draft), "amount": format_amount(amount), "effective_date": effective.isoformat()}
    number = await repository.last_event_number(uow, loan.id)  # the payment's: `loan` was read before it
    await _tell(uow, loan, number, Happening(WebhookType.DRAFT_SENT, data, str(recorded.id)))
    return Decision(amount)


async def _not_drafted(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, reason: str) -> DraftStatus:
    status = DraftStatus.NOT_DRAFTED
    await repository.change_draft(uow, draft["id"], status=str(status), amount=0, reason=reason[:200])
    await _tell_not_drafted(uow, loan, draft, reason)
    return status


async def _tell_not_drafted(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, reason: str) -> None:
    data = {**_of_draft(draft), "reason": reason[:200]}
    await _tell(uow, loan, loan.last_number, Happening(WebhookType.NOT_DRAFTED, data))


async def _tell(uow: UnitOfWork, loan: LockedLoan, number: int, happening: Happening) -> None:
    await outbox.tell(uow, [(loan.id, number, happening)], has_listeners=loan.row["has_listeners"])


def _of_draft(draft: RowMapping) -> dict[str, str]:
    return {
        "draft_id": str(draft["id"]),
        "enrolment_id": str(draft["enrolment_id"]),
        "process_date": draft["process_date"].isoformat(),
    }


async def _decide(uow: UnitOfWork, loan: LockedLoan, row: RowMapping, process_date: date) -> tuple[Decision, date]:
    """How much to draft of a locked loan now, and the date it counts on: the due date, though not before the loan was
    ours. The payoff is the one of that date, less what was paid since."""
    as_of = await today(uow, loan)
    state = loan.replay(as_of).state
    due = due_date_of(process_date, (instalment.due_date for instalment in state.instalments), bank_holidays())
    effective = max(due, state.opened_on or due)
    if state.status is not LoanStatus.ACTIVE:
        return Decision(0, f"the loan is {state.status}"), effective
    refusal = await _instrument_refusal(uow, row["payment_instrument_id"])
    if refusal is not None:
        return Decision(0, refusal), effective
    then = state if effective == as_of else loan.replay(effective).state
    decision = decide(
        AmountType(row["amount_type"]),
        row["amount"],
        owed=owed_through(state, due),
        payoff=payoff_quote(then).total - (state.total_paid - then.total_paid),
        in_transit=await repository.promised(uow, loan.id),
    )
    return decision, effective


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


def _ended_by_dates(row: RowMapping) -> str | None:
    if row["next_process_date"] is None:
        return autopay.NOTHING_LEFT
    if row["end_date"] is not None and row["next_process_date"] > row["end_date"]:
        return f"the end date {row['end_date']} is reached"
    return None


async def _plan(uow: UnitOfWork, row: RowMapping, business_date: date) -> Plan:
    status, upcoming = EnrolmentStatus(row["status"]), row["next_process_date"]
    process_at = None
    if status is EnrolmentStatus.ACTIVE:
        tenant = await uow.one(select(tenants.c.mode, tenants.c.zone).where(tenants.c.id == uow.tenant_id), "tenant")
        if tenant["mode"] == BusinessMode.LIVE:
            process_at = process_instant(upcoming, tenant["zone"], row["id"])
    return Plan(
        status=status,
        business_date=business_date,
        next_process_date=upcoming,
        paused_until=row["paused_until"],
        process_at=process_at,
        due=status is EnrolmentStatus.ACTIVE and upcoming <= business_date,
        end_reason=row["end_reason"],
    )


def _prepared(draft: RowMapping) -> PreparedDraft:
    return PreparedDraft(draft["id"], DraftStatus(draft["status"]), draft["amount"], draft["reason"])
