"""What a cutoff does with the drafts that are prepared: it looks again at each under its loan's lock, records its payment,
and makes it an entry for the rail. One transaction a draft: a cancel before it counts, one after it comes too late.

Locks are taken in one order: loan, enrolment, draft, cutoff.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.autopay import DraftStatus, EnrolmentStatus
from domain.drafting import Drafting
from domain.errors import Refusal
from domain.happenings import Happening
from domain.loan import LoanStatus
from domain.money import format_amount
from domain.nacha import MAX_SEQUENCE, trace_number
from domain.rails import CutoffProgress, CutoffStatus, RailKind
from domain.webhooks import WebhookType
from infra.db.models.rails import rail_entries
from infra.db.repositories import autopay as autopay_repository
from infra.db.repositories import cutoffs as repository
from infra.db.repositories import instruments
from infra.db.uow import UnitOfWork
from services import drafts, outbox, payments, rail_files
from services.replaying import LockedLoan, lock_loan, today

PAGE: Final = 500


async def next_page(uow: UnitOfWork, cutoff_id: UUID, limit: int = PAGE) -> tuple[UUID, ...]:
    """The next drafts that a cutoff looks at, in the order of ids; none when it has looked at all. Raises NotFound."""
    row = await repository.cutoff(uow, cutoff_id)
    if row["status"] != CutoffStatus.COLLECTING:
        return ()
    return tuple(await repository.pending_drafts(uow, row["handed_over_on"], row["cursor"], limit))


async def send_draft(uow: UnitOfWork, cutoff_id: UUID, draft_id: UUID) -> DraftStatus:
    """Record the payment of a prepared draft and make it an entry of the cutoff, after looking again at everything that
    could forbid it; never more than was prepared. Again does nothing.

    A draft counts as paid on its due date. Raises NotFound, WrongState for a cutoff that takes nothing any more.
    """
    draft = await autopay_repository.draft(uow, draft_id)
    loan = await lock_loan(uow, draft["loan_id"])
    row = await autopay_repository.lock_enrolment(uow, draft["enrolment_id"])
    draft = await autopay_repository.draft(uow, draft_id, lock=True)
    if draft["status"] != DraftStatus.PENDING:
        return DraftStatus(draft["status"])
    again = draft["attempt"] > 1  # its authorization stands, also when it was the last one
    if row["status"] == EnrolmentStatus.ACTIVE or (again and row["status"] == EnrolmentStatus.COMPLETED):
        decided = await drafts.decide_draft(uow, loan, row, draft["process_date"])
        reason = decided.reason or await _send(uow, loan, draft, decided, cutoff_id)
    else:
        reason = f"the autopay is {row['status']}"
    if reason:
        await _keep_back(uow, loan, draft, reason, cutoff_id)
    loan_status = LoanStatus(await autopay_repository.loan_status(uow, loan.id))  # by its payment it may have been paid off
    await drafts.conclude(uow, row, loan_status, tell=True)
    return DraftStatus.NOT_DRAFTED if reason else DraftStatus.SENT


async def progress(uow: UnitOfWork, cutoff_id: UUID) -> CutoffProgress:
    """How far a cutoff has come; one with nothing left to look at is collected from now on. Raises NotFound."""
    row = await repository.cutoff(uow, cutoff_id, lock=True)
    collected = row["status"] in (CutoffStatus.COLLECTED, CutoffStatus.ACKNOWLEDGED)
    if not collected and not await repository.pending_drafts(uow, row["handed_over_on"], row["cursor"], 1):
        await repository.change_cutoff(uow, cutoff_id, status=str(CutoffStatus.COLLECTED))
        collected = True
    return CutoffProgress(row["sent"], row["kept_back"], collected)


async def _send(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, decided: Drafting, cutoff_id: UUID) -> str | None:
    """Send a draft; returns why it cannot be, after all."""
    amount = min(decided.amount, draft["amount"])  # what was prepared may have been paid in part since
    effective = decided.effective_date
    if draft["attempt"] > 1:
        if amount < draft["amount"]:
            return "a returned draft is tried again with the same amount only, and less is due by now"
        if decided.instrument_id != draft["payment_instrument_id"]:
            return "a returned draft is tried again from the same account only, and another one would be drafted by now"
        effective = max(effective, await today(uow, loan))  # the money was not there on the due date
    assert decided.instrument_id is not None
    entry = await _entry(uow, loan, draft, decided.instrument_id, amount)
    cutoff = await repository.cutoff(uow, cutoff_id)
    if cutoff["rail"] == RailKind.NACHA:
        reason = rail_files.refusal(cutoff, entry)
        if reason is not None:
            return reason
        odfi = cutoff["originator"]["odfi_routing"]
        entry["trace_number"] = trace_number(odfi, entry["sequence"])
    payment = payments.RecordPayment(
        loan_id=loan.id,
        amount=amount,
        payment_method="ach",
        effective_date=effective,
        payment_instrument_id=decided.instrument_id,
        source="autopay",
        status="processing",
        settlement_status="in_transit",
        extra=decided.extra,
        payment_id=draft["id"],  # the draft's own id, so that one draft can only be one payment
    )
    try:
        async with uow.savepoint():
            recorded = await payments.record(uow, payment)
    except Refusal as refusal:  # the loan does not take it: the period is lost, the next one is not
        return refusal.detail
    number = await repository.count_draft(uow, cutoff_id, draft["id"], sent=1, amount=amount)
    entry_id = await uow.add(rail_entries, cutoff_id=cutoff_id, number=number, created_at=uow.recorded_at, **entry)
    values = {"amount": amount, "payment_id": recorded.id, "rail_reference": str(entry_id)}
    values["payment_instrument_id"] = decided.instrument_id
    await autopay_repository.change_draft(uow, draft["id"], status=str(DraftStatus.SENT), **values)
    data = {**drafts.facts_of(draft), "amount": format_amount(amount), "effective_date": effective.isoformat()}
    number = await autopay_repository.last_event_number(uow, loan.id)  # the payment's: `loan` was read before it
    happening = Happening(WebhookType.DRAFT_SENT, data, str(recorded.id))
    await outbox.tell(uow, [(loan.id, number, happening)], has_listeners=loan.row["has_listeners"])
    return None


async def _entry(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, instrument_id: UUID, amount: int) -> dict[str, Any]:
    """What a bank is told of a draft, as its account is now."""
    account = await instruments.hold(uow, instrument_id)
    assert account is not None
    names = ("account_holder_name", "routing_number", "account_type", "account_number_last_four")
    sealed, _ = await instruments.sealed(uow, instrument_id)
    sequence = 1 + (await repository.next_sequence(uow) - 1) % MAX_SEQUENCE
    return {
        "draft_id": draft["id"],
        "payment_id": draft["id"],
        "loan_id": loan.id,
        "payment_instrument_id": instrument_id,
        "amount": amount,
        "attempt": draft["attempt"],
        "sequence": sequence,
        "individual_id": loan.row["loan_number"],
        **{name: account[name] for name in names},
        "account_number_encrypted": sealed,
    }


async def _keep_back(uow: UnitOfWork, loan: LockedLoan, draft: RowMapping, reason: str, cutoff_id: UUID) -> None:
    status = str(DraftStatus.NOT_DRAFTED)
    await autopay_repository.change_draft(uow, draft["id"], status=status, amount=0, reason=reason[:200])
    await drafts.tell_not_drafted(uow, loan, draft, reason)
    await repository.count_draft(uow, cutoff_id, draft["id"], kept_back=1)
