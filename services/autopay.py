"""Autopay as people see it: enrol, pause, resume, change, cancel. The row decides; the workflow is told to look again.

What the workflow does with an enrolment is in services/drafts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, time
from enum import StrEnum
from typing import Any, Final, TypedDict
from uuid import UUID

from domain.ach_returns import Action
from domain.autopay import (
    RETRY_DAYS,
    EnrolmentAction,
    EnrolmentKind,
    EnrolmentStatus,
    after,
    check_process_time,
    check_retry_days,
)
from domain.cadence import DateAnchor, DraftFrequency, Scheduling, check_cadence
from domain.draft_amounts import AmountType, ExtraTowards, PayoffRule, check_amount
from domain.drafting import NOTHING_LEFT, PAID_OFF
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.loan import LoanStatus
from domain.reversal import AutopayOutcome
from infra.calendar import bank_holidays
from infra.db.models.processes import autopay_enrolments
from infra.db.pipeline import Row
from infra.db.repositories import autopay as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import rail_settings
from services.authorizations import (
    ACCOUNTS,
    accounts_of,
    amounts_of,
    cadence_of,
    change_row,
    check_accounts,
    facts,
    first_period,
)
from services.replaying import lock_loan

WORKFLOW_TYPE: Final = "AutopayWorkflow"
CHANGED: Final = "changed"
"""The signal "look again": it carries nothing, the workflow reads the row."""
MAX_FALLBACKS: Final = len(ACCOUNTS) - 1


def workflow_id(enrolment_id: UUID) -> str:
    """The id of an enrolment's workflow."""
    return f"autopay/{enrolment_id}"


@dataclass(frozen=True, slots=True)
class Enrol:
    """An authorization to draft. `amount` in minor units, for a static amount only; `start_date` None is today.

    What the terms mean: domain/cadence.py, domain/draft_amounts.py, domain/drafting.py. `process_time`: local time of a
    live tenant at which drafts are prepared. `fallback_instrument_ids`: up to two, tried in this order.
    """

    loan_id: UUID
    payment_instrument_id: UUID
    amount_type: AmountType = AmountType.NEXT_DUE
    amount: int | None = None
    frequency: DraftFrequency = DraftFrequency.DUE_DATES
    start_date: date | None = None
    end_date: date | None = None
    number_of_periods: int | None = None
    dates: tuple[date, ...] = ()
    last_day_of_month: bool = False
    date_anchor: DateAnchor = DateAnchor.APPLY_DATE
    scheduling: Scheduling = Scheduling.CALENDAR_DAY
    process_days_after: int = 0
    process_time: time | None = None
    payoff_rule: PayoffRule = PayoffRule.CAP
    process_zero_or_negative: bool = True
    post_payment_update: bool = False
    extra_towards: ExtraTowards | None = None
    retry_days: int = RETRY_DAYS
    fallback_instrument_ids: tuple[UUID, ...] = ()
    kind: EnrolmentKind = EnrolmentKind.AUTOPAY


class Change(TypedDict, total=False):
    """What is changed of an open enrolment; what is left out stays. Another `amount_type` than static forgets the amount;
    `fallback_instrument_ids` () leaves only the first account; `extra_towards` and `process_time` None are the defaults."""

    amount_type: AmountType
    amount: int
    payment_instrument_id: UUID
    fallback_instrument_ids: tuple[UUID, ...]
    payoff_rule: PayoffRule
    process_zero_or_negative: bool
    post_payment_update: bool
    extra_towards: ExtraTowards | None
    retry_days: int
    process_time: time | None


async def enrol(uow: UnitOfWork, command: Enrol) -> UUID:
    """Enrol a loan; the process starts after commit. Returns the enrolment's id.

    Raises NotFound for the loan; WrongState unless it is active; Conflict naming the open autopay when there is one (not for
    recurring payments); InvalidInput naming the field of terms that cannot be meant, or of an account.
    """
    loan = (await lock_loan(uow, command.loan_id)).row
    if loan["status"] != LoanStatus.ACTIVE:
        raise WrongState(
            f"The loan is {loan['status']}: only an active loan can be enrolled in autopay.",
            state=loan["status"],
            allowed=[str(LoanStatus.ACTIVE)],
            code="loan_not_active",
        )
    if command.kind is EnrolmentKind.AUTOPAY:
        await _check_only_one(uow, command.loan_id)
    today = await uow.business_date()
    values = _columns(command, today)
    cadence, amounts = cadence_of(values), amounts_of(values)
    _check_terms(values)
    await _check_process_time(uow, command.process_time)
    check_cadence(cadence, today, bank_holidays())
    await check_accounts(uow, values, loan["borrower_id"])
    first = await first_period(uow, command.loan_id, cadence, amounts, cadence.start)
    if first is None or (cadence.end is not None and first > cadence.end):
        found = "no due date is left" if first is None else f"the first draft would be on {first}"
        raise InvalidInput.at("/end_date" if first else "/start_date", f"leaves nothing to draft: {found}")
    return await _open(uow, {**values, "next_process_date": first})


async def _check_only_one(uow: UnitOfWork, loan_id: UUID) -> None:
    existing = await repository.open_enrolment(uow, loan_id)
    if existing is not None:
        raise Conflict(
            f"The loan is already enrolled: autopay {existing['id']} is {existing['status']}. Change or cancel that one.",
            code="autopay_already_enrolled",
        )


def _columns(command: Enrol, today: date) -> dict[str, Any]:
    """The columns of a new enrolment."""
    values = {field.name: getattr(command, field.name) for field in fields(command)}
    fallbacks = values.pop("fallback_instrument_ids")
    if len(fallbacks) > MAX_FALLBACKS:
        raise InvalidInput.at("/fallback_instrument_ids", f"must be at most {MAX_FALLBACKS}")
    accounts = dict(zip(ACCOUNTS[1:], [*fallbacks, None, None], strict=False))
    values = {name: str(value) if isinstance(value, StrEnum) else value for name, value in values.items()}
    return {**values, **accounts, "dates": list(command.dates), "start_date": command.start_date or today}


def _check_terms(values: Row) -> None:
    """Refuse (InvalidInput, with the field) terms, other than the cadence, that cannot be meant."""
    amounts = amounts_of(values)
    check_amount(amounts)
    if not amounts.when_nothing_due and amounts.kind is not AmountType.STATIC:
        message = f"must be left out for {amounts.kind}, which drafts nothing when nothing is owed"
        raise InvalidInput.at("/process_zero_or_negative", message)
    check_retry_days(values["retry_days"])


async def _check_process_time(uow: UnitOfWork, at: time | None) -> None:
    if at is not None:
        check_process_time(at, await rail_settings.hold_cutoff_time(uow))


async def _open(uow: UnitOfWork, values: Mapping[str, Any]) -> UUID:
    enrolment_id = new_id()
    await uow.add(
        autopay_enrolments,
        id=enrolment_id,
        status=str(EnrolmentStatus.ACTIVE),
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
        **values,
    )
    row = await repository.enrolment(uow, enrolment_id)
    await uow.audit("autopay.enrolled", "autopay_enrolment", enrolment_id, after=facts(row))
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(enrolment_id),
        {"tenant_id": str(uow.tenant_id), "enrolment_id": str(enrolment_id)},
        search_attributes={
            "TenantId": str(uow.tenant_id),
            "LoanId": str(values["loan_id"]),
            "WorkflowKind": "autopay",
            "BusinessDate": values["next_process_date"].isoformat(),
            "Stage": str(EnrolmentStatus.ACTIVE),
        },
    )
    return enrolment_id


async def pause(uow: UnitOfWork, loan_id: UUID, until: date | None = None) -> UUID:
    """Stop drafting until `until` (a business date, when it resumes by itself) or until resumed. Returns the enrolment.

    Raises NotFound when the loan has no open autopay, WrongState unless it is active, InvalidInput for a date that is not
    after the business date.
    """
    row = await locked_open(uow, loan_id)
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.PAUSE)
    today = await uow.business_date()
    if until is not None and until <= today:
        raise InvalidInput.at("/paused_until", f"must be after the business date {today}")
    return await _apply(uow, row, EnrolmentAction.PAUSE, status=str(status), paused_until=until)


async def resume(uow: UnitOfWork, loan_id: UUID) -> UUID:
    """Draft again, from the next due date on. A draft that follows the dues then also takes what is past due.

    Raises NotFound when the loan has no open autopay, WrongState unless it is paused.
    """
    row = await locked_open(uow, loan_id)
    return await resume_row(uow, row)


async def resume_row(uow: UnitOfWork, row: Row, *, tell: bool = True) -> UUID:
    """Resume a locked, paused enrolment: by hand, or (`tell` False: its workflow does it) because its pause has run out.

    Raises WrongState."""
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.RESUME)
    today = await uow.business_date()
    upcoming = await first_period(uow, row["loan_id"], cadence_of(row), amounts_of(row), today)
    values: dict[str, Any] = {"status": str(status), "paused_until": None, "next_process_date": upcoming}
    return await _apply(uow, row, EnrolmentAction.RESUME, tell=tell, **values)


async def cancel(uow: UnitOfWork, loan_id: UUID, reason: str) -> UUID:
    """End the loan's autopay for good. A draft not sent yet will not go out. Returns the enrolment.

    Raises NotFound when the loan has no open autopay.
    """
    row = await locked_open(uow, loan_id)
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.CANCEL)
    return await _apply(uow, row, EnrolmentAction.CANCEL, reason=reason, **_ended(status, reason))


async def complete(uow: UnitOfWork, row: Row, reason: str, *, tell: bool = False) -> None:
    """End a locked enrolment because there is nothing left to draft (`tell`: by somebody else than its workflow). Raises
    WrongState when it is ended already."""
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.COMPLETE)
    await _apply(uow, row, EnrolmentAction.COMPLETE, tell=tell, reason=reason, **_ended(status, reason))


async def cancel_recurring(uow: UnitOfWork, enrolment_id: UUID, reason: str) -> UUID:
    """End a recurring payment for good. A draft not sent yet will not go out. Returns the enrolment.

    Raises NotFound, WrongState when it has ended.
    """
    row = await repository.lock_enrolment(uow, enrolment_id)
    if row["kind"] != EnrolmentKind.RECURRING:
        raise NotFound("recurring payment")
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.CANCEL, "recurring payment")
    return await _apply(uow, row, EnrolmentAction.CANCEL, reason=reason, **_ended(status, reason))


async def change(uow: UnitOfWork, loan_id: UUID, command: Change) -> UUID:
    """Change amount, accounts or rules of the loan's open autopay. Returns the enrolment.

    Raises NotFound when there is none, InvalidInput naming the field.
    """
    loan = (await lock_loan(uow, loan_id)).row
    row = await locked_open(uow, loan_id)
    values = _changes(command, row)
    if not values:
        raise InvalidInput("Nothing to change was given.", code="nothing_to_change")
    changed = {**row, **values}
    _check_terms(changed)
    await _check_process_time(uow, command.get("process_time"))
    if any(name in values for name in ACCOUNTS):
        await check_accounts(uow, changed, loan["borrower_id"])
        values |= await reinstated(uow, row)
    await change_row(uow, row, "changed", values)
    return await tell_workflow(uow, row)


def _changes(command: Change, row: Row) -> dict[str, Any]:
    """The columns that a change gives new values."""
    values: dict[str, Any] = {**command}
    if "amount_type" in command or "amount" in command:
        kind = command.get("amount_type") or AmountType(row["amount_type"])
        values |= {"amount_type": kind, "amount": command.get("amount")}
        if kind is not AmountType.STATIC and "process_zero_or_negative" not in command:
            values["process_zero_or_negative"] = True
    fallbacks = values.pop("fallback_instrument_ids", None)
    if fallbacks is not None:
        if len(fallbacks) > MAX_FALLBACKS:
            raise InvalidInput.at("/fallback_instrument_ids", f"must be at most {MAX_FALLBACKS}")
        values |= dict(zip(ACCOUNTS[1:], [*fallbacks, None, None], strict=False))
    return {name: str(value) if isinstance(value, StrEnum) else value for name, value in values.items()}


async def note_skipped(uow: UnitOfWork, row: Row, process_date: date, reason: str) -> None:
    """The audit of a draft that is left out."""
    skipped = {"process_date": process_date.isoformat()}
    await uow.audit("autopay.skipped", "autopay_enrolment", row["id"], after=skipped, reason=reason)


async def draw_on(uow: UnitOfWork, row: Row, old: UUID, new: UUID, reason: str) -> None:
    """Let a locked enrolment draw on another payment instrument in the place of one it draws on, one that
    `check_account` has let pass. Where it draws on that one already, the place is left out."""
    kept = [account for account in accounts_of(row) if account != new]
    accounts = [new if account == old else account for account in kept]
    values = dict(zip(ACCOUNTS, [*accounts, None, None], strict=False))
    changed = {name: value for name, value in values.items() if value != row[name]}
    await change_row(uow, row, "changed", changed | await reinstated(uow, row), reason)
    await tell_workflow(uow, row)


async def reinstated(uow: UnitOfWork, row: Row) -> dict[str, Any]:
    """What changes of a locked enrolment now that its account is corrected: nothing unless it was suspended for that. It
    drafts from the next date on; what fell due meanwhile is not drafted afterwards one by one."""
    if row["suspended_for"] != Action.CORRECT_INSTRUMENT:
        return {}
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.REINSTATE)
    upcoming, today = row["next_process_date"], await uow.business_date()
    if upcoming is not None and upcoming < today:
        upcoming = await first_period(uow, row["loan_id"], cadence_of(row), amounts_of(row), today)
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
        not_before = max(since, row["start_date"])
        upcoming = await first_period(uow, loan_id, cadence_of(row), amounts_of(row), not_before)
        decided = upcoming is not None and await repository.draft_of_period(uow, row["id"], upcoming) is not None
        planned = row["next_process_date"]
        if upcoming is not None and not decided and (planned is None or upcoming < planned):
            await change_row(uow, row, "replanned", {"next_process_date": upcoming})
            outcome = AutopayOutcome.REPLANNED
    return outcome, await tell_workflow(uow, row)


def _ended(status: EnrolmentStatus, reason: str) -> dict[str, Any]:
    return {"status": str(status), "next_process_date": None, "paused_until": None, "end_reason": reason[:200]}


async def _apply(
    uow: UnitOfWork,
    row: Row,
    action: EnrolmentAction,
    *,
    tell: bool = True,
    reason: str | None = None,
    **values: Any,
) -> UUID:
    await change_row(uow, row, str(action), values, reason)
    if tell:
        return await tell_workflow(uow, row)
    enrolment_id: UUID = row["id"]
    return enrolment_id


async def tell_workflow(uow: UnitOfWork, row: Row) -> UUID:
    """Have the workflow of a locked enrolment look again. Returns the enrolment."""
    enrolment_id: UUID = row["id"]
    message_id = str(new_id())
    target = workflow_id(enrolment_id)
    await uow.intend("signal", WORKFLOW_TYPE, target, {}, message_id=message_id, message_name=CHANGED)
    return enrolment_id


async def locked_open(uow: UnitOfWork, loan_id: UUID) -> Row:
    """The loan's open autopay, locked. Raises NotFound."""
    row = await repository.open_enrolment(uow, loan_id)
    if row is None:
        raise NotFound("open autopay of this loan")
    return row
