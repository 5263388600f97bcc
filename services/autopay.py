"""Autopay as people see it: enrol, pause, resume, change, cancel. The row decides; the workflow is told to look again.

What the workflow does with an enrolment is in services/drafts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.ach_returns import Action
from domain.autopay import (
    AmountType,
    EnrolmentAction,
    EnrolmentStatus,
    after,
    check_terms,
    next_process_date,
)
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.reversal import AutopayOutcome
from infra.calendar import bank_holidays
from infra.db.models.processes import autopay_enrolments
from infra.db.queries.instruments import ach_refusal_of
from infra.db.repositories import autopay as repository
from infra.db.repositories import instruments
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.replaying import lock_loan

WORKFLOW_TYPE: Final = "AutopayWorkflow"
CHANGED: Final = "changed"
"""The signal "look again": it carries nothing, the workflow reads the row."""
PAID_OFF: Final = "the loan is paid off"
NOTHING_LEFT: Final = "nothing is left to draft"
"""Why an enrolment was completed: the two reasons which the reversal of a payment takes away."""


def workflow_id(enrolment_id: UUID) -> str:
    """The id of an enrolment's workflow."""
    return f"autopay/{enrolment_id}"


@dataclass(frozen=True, slots=True)
class Enrol:
    """An authorization to draft. `amount` in minor units, for a static amount only; `start_date` None is today."""

    loan_id: UUID
    payment_instrument_id: UUID
    amount_type: AmountType = AmountType.NEXT_DUE
    amount: int | None = None
    start_date: date | None = None
    end_date: date | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a borrower may change of an open enrolment; None leaves it. `amount_type` next_due forgets the amount."""

    amount_type: AmountType | None = None
    amount: int | None = None
    payment_instrument_id: UUID | None = None


async def enrol(uow: UnitOfWork, command: Enrol) -> UUID:
    """Enrol a loan; the process starts after commit. Returns the enrolment's id.

    Raises NotFound for the loan; WrongState unless it is active; Conflict naming the open enrolment when there is one;
    InvalidInput naming /amount, /start_date, /end_date or /payment_instrument_id.
    """
    loan = (await lock_loan(uow, command.loan_id)).row
    if loan["status"] != LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {loan['status']}: only an active loan can be enrolled in autopay.",
            state=loan["status"],
            allowed=[str(LoanStatus.ACTIVE)],
            code="loan_not_active",
        )
    existing = await repository.open_enrolment(uow, command.loan_id)
    if existing is not None:
        raise Conflict(
            f"The loan is already enrolled: autopay {existing['id']} is {existing['status']}. Change or cancel that one.",
            code="autopay_already_enrolled",
        )
    today = await uow.business_date()
    start = command.start_date or today
    check_terms(command.amount_type, command.amount, start, command.end_date, today)
    await check_instrument(uow, command.payment_instrument_id, loan["borrower_id"])
    first = await first_process_date(uow, command.loan_id, command.amount_type, start)
    if first is None or (command.end_date is not None and first > command.end_date):
        found = "no due date is left" if first is None else f"the first draft would be on {first}"
        raise InvalidInput.at("/end_date" if first else "/start_date", f"leaves nothing to draft: {found}")
    return await _open(uow, command, start, first)


async def _open(uow: UnitOfWork, command: Enrol, start: date, first: date) -> UUID:
    enrolment_id = new_id()
    await uow.add(
        autopay_enrolments,
        id=enrolment_id,
        loan_id=command.loan_id,
        payment_instrument_id=command.payment_instrument_id,
        status=str(EnrolmentStatus.ACTIVE),
        amount_type=str(command.amount_type),
        amount=command.amount,
        start_date=start,
        end_date=command.end_date,
        next_process_date=first,
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
    )
    row = await repository.enrolment(uow, enrolment_id)
    await uow.audit("autopay.enrolled", "autopay_enrolment", enrolment_id, after=_facts(row))
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(enrolment_id),
        {"tenant_id": str(uow.tenant_id), "enrolment_id": str(enrolment_id)},
        search_attributes={
            "TenantId": str(uow.tenant_id),
            "LoanId": str(command.loan_id),
            "WorkflowKind": "autopay",
            "BusinessDate": first.isoformat(),
            "Stage": str(EnrolmentStatus.ACTIVE),
        },
    )
    return enrolment_id


async def pause(uow: UnitOfWork, loan_id: UUID, until: date | None = None) -> UUID:
    """Stop drafting until `until` (a business date, when it resumes by itself) or until resumed. Returns the enrolment.

    Raises NotFound when the loan has no open autopay, WrongState unless it is active, InvalidInput for a date that is not
    after the business date.
    """
    row = await _locked_open(uow, loan_id)
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.PAUSE)
    today = await uow.business_date()
    if until is not None and until <= today:
        raise InvalidInput.at("/paused_until", f"must be after the business date {today}")
    return await _apply(uow, row, EnrolmentAction.PAUSE, status=str(status), paused_until=until)


async def resume(uow: UnitOfWork, loan_id: UUID) -> UUID:
    """Draft again, from the next due date on. A draft that follows the dues then also takes what is past due.

    Raises NotFound when the loan has no open autopay, WrongState unless it is paused.
    """
    row = await _locked_open(uow, loan_id)
    return await resume_row(uow, row)


async def resume_row(uow: UnitOfWork, row: RowMapping, *, tell: bool = True) -> UUID:
    """Resume a locked, paused enrolment: by hand, or (`tell` False: its workflow does it) because its pause has run out.

    Raises WrongState."""
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.RESUME)
    today = await uow.business_date()
    upcoming = await first_process_date(uow, row["loan_id"], AmountType(row["amount_type"]), today)
    values: dict[str, Any] = {"status": str(status), "paused_until": None, "next_process_date": upcoming}
    return await _apply(uow, row, EnrolmentAction.RESUME, tell=tell, **values)


async def cancel(uow: UnitOfWork, loan_id: UUID, reason: str) -> UUID:
    """End the loan's autopay for good. A draft not sent yet will not go out. Returns the enrolment.

    Raises NotFound when the loan has no open autopay.
    """
    row = await _locked_open(uow, loan_id)
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.CANCEL)
    return await _apply(uow, row, EnrolmentAction.CANCEL, reason=reason, **_ended(status, reason))


async def complete(uow: UnitOfWork, row: RowMapping, reason: str, *, tell: bool = False) -> None:
    """End a locked enrolment because there is nothing left to draft (`tell`: by somebody else than its workflow). Raises
    WrongState when it is ended already."""
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.COMPLETE)
    await _apply(uow, row, EnrolmentAction.COMPLETE, tell=tell, reason=reason, **_ended(status, reason))


async def change(uow: UnitOfWork, loan_id: UUID, command: Change) -> UUID:
    """Change amount or instrument of the loan's open autopay. Returns the enrolment.

    Raises NotFound when there is none, InvalidInput naming /amount or /payment_instrument_id.
    """
    loan = (await lock_loan(uow, loan_id)).row
    row = await _locked_open(uow, loan_id)
    values: dict[str, Any] = {}
    if command.amount_type is not None or command.amount is not None:
        kind = command.amount_type or AmountType(row["amount_type"])
        today = await uow.business_date()
        check_terms(kind, command.amount, today, None, today)
        values |= {"amount_type": str(kind), "amount": command.amount}
    if command.payment_instrument_id is not None:
        await check_instrument(uow, command.payment_instrument_id, loan["borrower_id"])
        values |= {"payment_instrument_id": command.payment_instrument_id, **await reinstated(uow, row)}
    if not values:
        raise InvalidInput("Nothing to change was given.", code="nothing_to_change")
    await change_row(uow, row, "changed", values)
    return await _tell(uow, row)


async def draw_on(uow: UnitOfWork, row: RowMapping, instrument_id: UUID, reason: str) -> None:
    """Let a locked enrolment draw on another payment instrument, one that `check_instrument` has let pass."""
    values = {"payment_instrument_id": instrument_id, **await reinstated(uow, row)}
    await change_row(uow, row, "changed", values, reason)
    await _tell(uow, row)


async def check_instrument(
    uow: UnitOfWork, instrument_id: UUID, borrower_id: UUID, pointer: str = "/payment_instrument_id"
) -> None:
    """Refuse (InvalidInput at `pointer`) an instrument that is not the borrower's, or cannot be drafted over ACH. It stays
    as it is until this transaction ends."""
    row = await instruments.hold(uow, instrument_id)
    if row is None or row["borrower_id"] != borrower_id or row["removed_at"] is not None:
        raise InvalidInput.at(pointer, "must be a payment instrument of the loan's borrower", code="unknown_instrument")
    reason = ach_refusal_of(row)
    if reason is not None:
        raise InvalidInput.at(pointer, f"must be one that autopay can draft: {reason}", code="instrument_not_draftable")


async def first_process_date(uow: UnitOfWork, loan_id: UUID, amount_type: AmountType, not_before: date) -> date | None:
    """The first date from `not_before` on when a draft goes out; what follows the dues skips instalments that are paid."""
    dues = await repository.due_dates(uow, loan_id, unpaid_only=amount_type is AmountType.NEXT_DUE)
    return next_process_date(dues, not_before, bank_holidays())


async def reinstated(uow: UnitOfWork, row: RowMapping) -> dict[str, Any]:
    """What changes of a locked enrolment now that its account is corrected: nothing unless it was suspended for that. It
    drafts from the next date on; what fell due meanwhile is not drafted afterwards one by one."""
    if row["suspended_for"] != Action.CORRECT_INSTRUMENT:
        return {}
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.REINSTATE)
    upcoming, today = row["next_process_date"], await uow.business_date()
    if upcoming is not None and upcoming < today:
        upcoming = await first_process_date(uow, row["loan_id"], AmountType(row["amount_type"]), today)
    return {"status": str(status), "suspended_for": None, "next_process_date": upcoming}


async def replan(uow: UnitOfWork, loan_id: UUID, since: date, *, reopened: bool) -> tuple[AutopayOutcome, UUID | None]:
    """Have the autopay of a locked loan look again, because money that had paid it is gone since the business date `since`.
    Returns what that meant, and the enrolment.

    An instalment which is unpaid once more, and whose draft has not been decided yet, is drafted on its date (at once,
    where that has passed while nobody could look). An enrolment that was
    completed with the loan (`reopened`: the loan lives again) stays completed: whether it still stands as an authorization
    is for people to decide.
    """
    row = await repository.open_enrolment(uow, loan_id)
    if row is None:
        last = await repository.last_enrolment(uow, loan_id)
        if not reopened or last is None or last["status"] != EnrolmentStatus.COMPLETED:
            return AutopayOutcome.NONE, None
        with_the_loan = last["end_reason"] in (PAID_OFF, NOTHING_LEFT)
        return (AutopayOutcome.ENDED, last["id"]) if with_the_loan else (AutopayOutcome.NONE, None)
    outcome = AutopayOutcome.TOLD
    if row["status"] == EnrolmentStatus.ACTIVE:
        upcoming = await first_process_date(uow, loan_id, AmountType(row["amount_type"]), max(since, row["start_date"]))
        decided = upcoming is not None and await repository.draft_of_period(uow, row["id"], upcoming) is not None
        planned = row["next_process_date"]
        if upcoming is not None and not decided and (planned is None or upcoming < planned):
            await change_row(uow, row, "replanned", {"next_process_date": upcoming})
            outcome = AutopayOutcome.REPLANNED
    return outcome, await _tell(uow, row)


async def change_row(uow: UnitOfWork, row: RowMapping, what: str, values: dict[str, Any], reason: str | None = None) -> None:
    """Write new values to a locked enrolment, with the audit of what they were."""
    await repository.change_enrolment(uow, row["id"], **values)
    await uow.audit(
        f"autopay.{what}",
        "autopay_enrolment",
        row["id"],
        before={name: _facts(row)[name] for name in values},
        after=_facts({**row, **values}, list(values)),
        reason=reason,
    )


def _ended(status: EnrolmentStatus, reason: str) -> dict[str, Any]:
    return {"status": str(status), "next_process_date": None, "paused_until": None, "end_reason": reason[:200]}


async def _apply(
    uow: UnitOfWork,
    row: RowMapping,
    action: EnrolmentAction,
    *,
    tell: bool = True,
    reason: str | None = None,
    **values: Any,
) -> UUID:
    await change_row(uow, row, str(action), values, reason)
    if tell:
        return await _tell(uow, row)
    enrolment_id: UUID = row["id"]
    return enrolment_id


async def _tell(uow: UnitOfWork, row: RowMapping) -> UUID:
    enrolment_id: UUID = row["id"]
    message_id = str(new_id())
    target = workflow_id(enrolment_id)
    await uow.intend("signal", WORKFLOW_TYPE, target, {}, message_id=message_id, message_name=CHANGED)
    return enrolment_id


async def _locked_open(uow: UnitOfWork, loan_id: UUID) -> RowMapping:
    row = await repository.open_enrolment(uow, loan_id)
    if row is None:
        raise NotFound("open autopay of this loan")
    return row


_FACTS: Final = (
    "status",
    "amount_type",
    "amount",
    "payment_instrument_id",
    "start_date",
    "end_date",
    "next_process_date",
    "paused_until",
    "end_reason",
    "suspended_for",
)


def _facts(row: Any, names: Any = _FACTS) -> dict[str, Any]:
    """JSON values of an enrolment, for the audit trail."""
    return {
        name: None if row[name] is None else format_amount(row[name]) if name == "amount" else str(row[name])
        for name in names
    }
