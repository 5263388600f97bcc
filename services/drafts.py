"""What the autopay process does with an enrolment: look, prepare a draft. Each step is one transaction, and taking it twice
is taking it once. What is prepared is sent by a cutoff of the rail (services/sending.py).

Locks are taken in one order: loan, enrolment, draft, cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from domain import drafting
from domain.autopay import (
    SKIPPED,
    DraftStatus,
    EnrolmentStatus,
    Plan,
    PreparedDraft,
    process_instant,
    to_skip,
)
from domain.drafting import ENDED_BY_LOAN, Drafting, ends
from domain.errors import WrongState
from domain.happenings import Happening
from domain.loan import LoanStatus
from domain.webhooks import WebhookType
from infra.calendar import bank_holidays
from infra.db.pipeline import Row
from infra.db.repositories import autopay as repository
from infra.db.repositories import draft_basis
from infra.db.repositories.draft_basis import DraftBasis
from infra.db.uow import UnitOfWork
from infra.settings import BusinessMode
from services import autopay, cutoffs, outbox
from services.authorizations import authorization, basis_of, prospect_for
from services.replaying import LockedLoan, lock_loan, read_loans, today


@dataclass(frozen=True, slots=True)
class Skipped:
    """A draft that was left out, by its process date. `before`: it was already, and nothing has changed."""

    enrolment_id: UUID
    process_date: date
    before: bool


async def plan(uow: UnitOfWork, enrolment_id: UUID) -> Plan:
    """Look at an enrolment. Ends it where its loan or its dates have ended, and a pause that has run out.

    Raises NotFound.
    """
    row, loan_status = await repository.lock_with_loan_status(uow, enrolment_id)
    business_date = await uow.business_date()
    if row["status"] == EnrolmentStatus.PAUSED and row["paused_until"] and row["paused_until"] <= business_date:
        await autopay.resume_row(uow, row, tell=False)
        row = await repository.enrolment(uow, enrolment_id)
    if await conclude(uow, row, loan_status, tell=False):
        row = await repository.enrolment(uow, enrolment_id)
    return await _plan(uow, row, business_date)


async def prepare_draft(uow: UnitOfWork, enrolment_id: UUID, process_date: date) -> PreparedDraft:
    """Decide a period's draft under the loan's lock, insert its row, and move the enrolment on to the next period.

    What is to be drafted stays pending until a cutoff sends it (services/sending.py), which looks again. Nothing to draft
    is a row too (not_drafted, with the reason). Raises NotFound.
    """
    loan_id = (await repository.enrolment(uow, enrolment_id))["loan_id"]
    (loan,), ((row,), drafts, *found) = await read_loans(
        uow,
        [loan_id],
        repository.one_locked(enrolment_id),
        repository.first_attempt(enrolment_id, process_date),
        *draft_basis.ask(loan_id, enrolment_id),
        lock=True,
    )
    existing, basis = next(iter(drafts), None), draft_basis.read(found)
    wanted = row["status"] == EnrolmentStatus.ACTIVE and row["next_process_date"] == process_date
    if existing is not None:
        if wanted:  # paused and resumed on the day of its draft
            _, upcoming = await _decide_period(uow, loan, basis, row, process_date, skipped=True)
            await _move_on(uow, loan, row, upcoming)
        return _prepared(existing)
    if not wanted:
        return PreparedDraft(None)
    decided, upcoming = await _decide_period(uow, loan, basis, row, process_date)
    draft = repository.insert_draft(
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
    if decided.reason:
        await tell_not_drafted(uow, loan, draft, decided.reason)
    else:
        await cutoffs.call(uow)
    await _move_on(uow, loan, row, upcoming)
    return _prepared(draft)


async def skip_next(uow: UnitOfWork, loan_id: UUID, reason: str, named: date | None = None) -> Skipped:
    """Leave out the next draft of the loan's autopay, also one that is prepared and not sent; the period after it stays.

    `named`: its process date. Without it a second wish leaves out nothing more while the day of the draft that was skipped
    has not passed; see domain.autopay.to_skip. Raises NotFound when the loan has no open autopay; WrongState unless it
    is active, or when no draft is to come; InvalidInput at /process_date for another date than the next one.
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
    basis = await basis_of(uow, loan_id, row["id"])
    draft = await repository.first_pending_draft(uow, row["id"])
    if draft is None:
        row = await _past_what_is_decided(uow, loan, basis, row)
    upcoming = draft["process_date"] if draft is not None else row["next_process_date"] if _has_period(row) else None
    business_date = await uow.business_date()
    skipped = await repository.skipped_drafts(uow, row["id"], business_date, named)
    process_date, before = to_skip(named, upcoming, skipped)
    if before:
        return Skipped(row["id"], process_date, before)
    said = (SKIPPED + reason)[:200]
    if draft is not None:
        on = max(business_date, draft["send_on"] or business_date)  # no longer than its day it stands for the next one
        values = {"status": str(DraftStatus.NOT_DRAFTED), "amount": 0, "reason": said, "send_on": on}
        await repository.change_draft(uow, draft["id"], **values)
    else:
        draft = await _leave_out(uow, loan, basis, row, process_date, said)
    await tell_not_drafted(uow, loan, draft, "skipped")  # what people say of it is for people
    await autopay.note_skipped(uow, row, process_date, reason)
    await autopay.tell_workflow(uow, row)
    return Skipped(row["id"], process_date, before)


async def _past_what_is_decided(uow: UnitOfWork, loan: LockedLoan, basis: DraftBasis, row: Row) -> Row:
    """A locked enrolment, waiting for a period that is not decided: one that was resumed on the day of a draft waits for
    that one again, which was sent or left out already."""
    while _has_period(row) and await repository.draft_of_period(uow, row["id"], row["next_process_date"]) is not None:
        _, upcoming = await _decide_period(uow, loan, basis, row, row["next_process_date"], skipped=True)
        await _move_on(uow, loan, row, upcoming)
        row = await repository.enrolment(uow, row["id"])
    return row


async def _leave_out(uow: UnitOfWork, loan: LockedLoan, basis: DraftBasis, row: Row, process_date: date, said: str) -> Row:
    """The draft, not drafted, of a period that is not prepared; the enrolment waits for the period after it."""
    decided, upcoming = await _decide_period(uow, loan, basis, row, process_date, skipped=True)
    await _move_on(uow, loan, row, upcoming)
    return repository.insert_draft(
        uow,
        enrolment_id=row["id"],
        loan_id=loan.id,
        process_date=process_date,
        apply_date=decided.apply_date,
        amount=0,
        payment_instrument_id=None,
        status=str(DraftStatus.NOT_DRAFTED),
        reason=said,
        send_on=await uow.business_date(),
    )


async def decide_draft(uow: UnitOfWork, loan: LockedLoan, row: Row, process_date: date) -> Drafting:
    """What the draft of a period of a locked loan and enrolment takes now, from an account that stays as it is until this
    transaction ends; see domain.drafting.decide_draft, with what goes out before it."""
    as_of = await today(uow, loan)
    basis = await basis_of(uow, loan.id, row["id"])
    own = authorization(row, basis)
    known = prospect_for(loan, basis, own, process_date, as_of)
    return drafting.decide_draft(known, own, process_date, as_of, bank_holidays())


async def _decide_period(
    uow: UnitOfWork, loan: LockedLoan, basis: DraftBasis, row: Row, process_date: date, *, skipped: bool = False
) -> tuple[Drafting, date | None]:
    """The draft of a period, and the process date of the one after it; `skipped`: when that draft does not go out."""
    as_of = await today(uow, loan)
    own = authorization(row, basis)
    known = prospect_for(loan, basis, own, process_date, as_of)
    if skipped:
        own = replace(own, sources=())
    draft, upcoming, _ = drafting.decide_period(known, own, process_date, as_of, bank_holidays())
    return draft, None if upcoming is None else upcoming.process_date


async def tell_not_drafted(uow: UnitOfWork, loan: LockedLoan, draft: Row, reason: str) -> None:
    """Tell those who listen that a draft does not go out, and why."""
    happening = Happening(WebhookType.NOT_DRAFTED, {**facts_of(draft), "reason": reason[:200]})
    await outbox.tell(uow, [(loan.id, loan.last_number, happening)], has_listeners=loan.row["has_listeners"])


def facts_of(draft: Row) -> dict[str, str]:
    """What every event about a draft says of it."""
    return {
        "draft_id": str(draft["id"]),
        "enrolment_id": str(draft["enrolment_id"]),
        "process_date": draft["process_date"].isoformat(),
    }


async def conclude(uow: UnitOfWork, row: Row, status: LoanStatus, *, tell: bool) -> bool:
    """End a locked enrolment whose loan, by its `status`, or dates have ended; its workflow is told where somebody else does
    it (`tell`). Returns whether it was ended. The draft that is yet to be sent is waited for."""
    if row["status"] != EnrolmentStatus.ACTIVE:
        return False
    reason = ends(status, row["next_process_date"], row["end_date"])
    if reason is None or (status not in ENDED_BY_LOAN and await repository.has_pending_draft(uow, row["id"])):
        return False
    await autopay.complete(uow, row, reason, tell=tell)
    return True


async def _move_on(uow: UnitOfWork, loan: LockedLoan, row: Row, upcoming: date | None) -> None:
    """Wait for the period that goes out on `upcoming`, or end the enrolment when its loan has ended."""
    ended = ENDED_BY_LOAN.get(LoanStatus(loan.row["status"]))
    if ended:
        await autopay.complete(uow, row, ended)
        return
    await repository.change_enrolment(uow, row["id"], next_process_date=upcoming)


async def _plan(uow: UnitOfWork, row: Row, business_date: date) -> Plan:
    status, upcoming = EnrolmentStatus(row["status"]), row["next_process_date"]
    process_at = None
    if status is EnrolmentStatus.ACTIVE and upcoming is not None:
        tenant = await uow.tenant()
        if tenant["mode"] == BusinessMode.LIVE:
            process_at = process_instant(upcoming, tenant["zone"], row["id"], row["process_time"])
    return Plan(
        status=status,
        business_date=business_date,
        next_process_date=upcoming,
        paused_until=row["paused_until"],
        process_at=process_at,
        due=_is_due(row, business_date),
        end_reason=row["end_reason"] if status is EnrolmentStatus.COMPLETED else None,
    )


def _has_period(row: Row) -> bool:
    """Whether an active enrolment has a period left to prepare."""
    upcoming, end = row["next_process_date"], row["end_date"]
    return upcoming is not None and (end is None or upcoming <= end)


def _is_due(row: Row, business_date: date) -> bool:
    active = row["status"] == EnrolmentStatus.ACTIVE
    return bool(active and _has_period(row) and row["next_process_date"] <= business_date)


def _prepared(draft: Row) -> PreparedDraft:
    return PreparedDraft(draft["id"], DraftStatus(draft["status"]), draft["amount"], draft["reason"])
