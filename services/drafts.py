"""What the autopay process does with an enrolment: look, prepare a draft. Each step is one transaction, and taking it twice
is taking it once. What is prepared is sent by a cutoff of the rail (services/sending.py).

Locks are taken in one order: loan, enrolment, draft, cutoff.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from domain import drafting
from domain.autopay import DraftStatus, EnrolmentStatus, Plan, PreparedDraft, process_instant
from domain.drafting import ENDED_BY_LOAN, Drafting, ends
from domain.errors import WrongState
from domain.happenings import Happening
from domain.loan import LoanStatus
from domain.webhooks import WebhookType
from infra.calendar import bank_holidays
from infra.db.models.tenancy import tenants
from infra.db.repositories import autopay as repository
from infra.db.uow import UnitOfWork
from infra.settings import BusinessMode
from services import autopay, cutoffs, outbox
from services.authorizations import authorization, prospect_for
from services.replaying import LockedLoan, lock_loan, today


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
            _, upcoming = await _decide_period(uow, loan, row, process_date, skipped=True)
            await _move_on(uow, row, upcoming)
        return _prepared(existing)
    if not wanted:
        return PreparedDraft(None)
    decided, upcoming = await _decide_period(uow, loan, row, process_date)
    await repository.insert_draft(
        uow,
        enrolment_id=enrolment_id,
        loan_id=loan.id,
        process_date=process_date,
        apply_date=decided.apply_date,
        amount=decided.amount,
        payment_instrument_id=decided.instrument_id,
        status=str(DraftStatus.NOT_DRAFTED if decided.reason else DraftStatus.PENDING),
        reason=decided.reason,
    )
    draft = await repository.draft_of_period(uow, enrolment_id, process_date)
    assert draft is not None
    if decided.reason:
        await tell_not_drafted(uow, loan, draft, decided.reason)
    else:
        await cutoffs.call(uow)
    await _move_on(uow, row, upcoming)
    return _prepared(draft)


async def skip_next(uow: UnitOfWork, loan_id: UUID, reason: str) -> UUID:
    """Leave out the next draft of the loan's autopay, also one that is prepared and not sent; the period after it stays.
    Returns the enrolment.

    Raises NotFound when the loan has no open autopay; WrongState unless it is active, or when no draft is to come.
    """
    loan = await lock_loan(uow, loan_id)
    row = await autopay.locked_open(uow, loan_id)
    if row["status"] != EnrolmentStatus.ACTIVE:
        raise WrongState(
            f"The autopay is {row['status']}: nothing is drafted that could be skipped.",
            state=row["status"],
            allowed=[str(EnrolmentStatus.ACTIVE)],
            code="autopay_wrong_state",
        )
    said = f"skipped: {reason}"
    draft = await repository.first_pending_draft(uow, row["id"])
    if draft is not None:
        await repository.change_draft(uow, draft["id"], status=str(DraftStatus.NOT_DRAFTED), amount=0, reason=said[:200])
        await tell_not_drafted(uow, loan, draft, said)
        await autopay.note_skipped(uow, row, draft["process_date"], reason)
        return await autopay.tell_workflow(uow, row)
    process_date = row["next_process_date"]
    if not _has_period(row):
        raise WrongState("No draft is to come that could be skipped.", state="none to come", code="autopay_wrong_state")
    decided, upcoming = await _decide_period(uow, loan, row, process_date, skipped=True)
    await repository.insert_draft(
        uow,
        enrolment_id=row["id"],
        loan_id=loan.id,
        process_date=process_date,
        apply_date=decided.apply_date,
        amount=0,
        status=str(DraftStatus.NOT_DRAFTED),
        reason=said[:200],
    )
    draft = await repository.draft_of_period(uow, row["id"], process_date)
    assert draft is not None
    await tell_not_drafted(uow, loan, draft, said)
    await autopay.note_skipped(uow, row, process_date, reason)
    await _move_on(uow, row, upcoming)
    return await autopay.tell_workflow(uow, row)


async def decide_draft(uow: UnitOfWork, loan: LockedLoan, row: RowMapping, process_date: date) -> Drafting:
    """What the draft of a period of a locked loan and enrolment takes now, from an account that stays as it is until this
    transaction ends; see domain.drafting.decide_draft, with what goes out before it."""
    as_of = await today(uow, loan)
    own = await authorization(uow, row, hold=True)
    known = await prospect_for(uow, loan, own, process_date, as_of)
    return drafting.decide_draft(known, own, process_date, as_of, bank_holidays())


async def _decide_period(
    uow: UnitOfWork, loan: LockedLoan, row: RowMapping, process_date: date, *, skipped: bool = False
) -> tuple[Drafting, date | None]:
    """The draft of a period, and the process date of the one after it; `skipped`: when that draft does not go out."""
    as_of = await today(uow, loan)
    own = await authorization(uow, row, hold=True)
    known = await prospect_for(uow, loan, own, process_date, as_of)
    if skipped:
        own = replace(own, sources=())
    draft, upcoming, _ = drafting.decide_period(known, own, process_date, as_of, bank_holidays())
    return draft, None if upcoming is None else upcoming.process_date


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
    status = LoanStatus(await repository.loan_status(uow, row["loan_id"]))
    reason = ends(status, row["next_process_date"], row["end_date"])
    if reason is None or (status not in ENDED_BY_LOAN and await repository.has_pending_draft(uow, row["id"])):
        return False
    await autopay.complete(uow, row, reason, tell=tell)
    return True


async def _move_on(uow: UnitOfWork, row: RowMapping, upcoming: date | None) -> None:
    """Wait for the period that goes out on `upcoming`, or end the enrolment when its loan has ended."""
    ended = await _ended_by_loan(uow, row["loan_id"])
    if ended:
        await autopay.complete(uow, row, ended)
        return
    await repository.change_enrolment(uow, row["id"], next_process_date=upcoming)


async def _ended_by_loan(uow: UnitOfWork, loan_id: UUID) -> str | None:
    return ENDED_BY_LOAN.get(LoanStatus(await repository.loan_status(uow, loan_id)))


async def _plan(uow: UnitOfWork, row: RowMapping, business_date: date) -> Plan:
    status, upcoming = EnrolmentStatus(row["status"]), row["next_process_date"]
    process_at = None
    if status is EnrolmentStatus.ACTIVE and upcoming is not None:
        tenant = await uow.one(select(tenants.c.mode, tenants.c.zone).where(tenants.c.id == uow.tenant_id), "tenant")
        if tenant["mode"] == BusinessMode.LIVE:
            process_at = process_instant(upcoming, tenant["zone"], row["id"], row["process_time"])
    return Plan(
        status=status,
        business_date=business_date,
        next_process_date=upcoming,
        paused_until=row["paused_until"],
        process_at=process_at,
        due=_is_due(row, business_date),
        end_reason=row["end_reason"],
    )


def _has_period(row: RowMapping) -> bool:
    """Whether an active enrolment has a period left to prepare."""
    upcoming, end = row["next_process_date"], row["end_date"]
    return upcoming is not None and (end is None or upcoming <= end)


def _is_due(row: RowMapping, business_date: date) -> bool:
    active = row["status"] == EnrolmentStatus.ACTIVE
    return bool(active and _has_period(row) and row["next_process_date"] <= business_date)


def _prepared(draft: RowMapping) -> PreparedDraft:
    return PreparedDraft(draft["id"], DraftStatus(draft["status"]), draft["amount"], draft["reason"])
