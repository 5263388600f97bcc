"""What a bank's return does: the payment is taken back whatever has happened since, and what follows from the code.

The caller has locked the loan, the enrolment, the draft and the entry, in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from domain.ach_returns import Action, Decision, after_return, lateness, return_code
from domain.autopay import DraftStatus, EnrolmentStatus
from domain.calendars import add_banking_days
from domain.cases import CaseKind
from domain.errors import Refusal
from domain.events import ChargedFee, FeeCharged
from domain.happenings import Happening
from domain.history import standing, surviving
from domain.instruments import VerificationMethod, VerificationStatus
from domain.money import format_amount
from domain.payments import COUNTING, PaymentStatus
from domain.rails import effective_date, settles_on
from domain.restatement import CorrectionKind
from domain.reversal import ReversalStatus, ReversalStep
from domain.shortfall import cover_shortfalls
from domain.webhooks import WebhookType
from infra.calendar import bank_holidays
from infra.db.models.processes import payment_reversals
from infra.db.pipeline import Row
from infra.db.repositories import autopay as autopay_repository
from infra.db.repositories import instruments as instrument_rows
from infra.db.repositories import payments as payment_rows
from infra.db.repositories import rail_entries
from infra.db.repositories import reversals as reversal_rows
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import authorizations, cases, instruments, outbox, reversals, suspensions
from services.corrections import Corrected, Planned, carry_out, events_of_payment, plan_amendments
from services.replaying import Amendment, LockedLoan, amended, lock_loan, today

_WITH_FEE: Final = ("R01", "R09")
"""Only money that was not there costs the borrower the program's NSF fee."""
_RETRYING: Final = (EnrolmentStatus.ACTIVE, EnrolmentStatus.COMPLETED)
"""Also one that ended because nothing was left to draft: what came back was authorized."""


async def post(uow: UnitOfWork, loan: LockedLoan, entry: Row, payment: Row, code: str) -> str | None:
    """Take a returned payment back, and do what follows. Returns None, or why a person has to look at it."""
    why = f"{code} {return_code(code).title}"
    if payment["status"] not in COUNTING:
        await _review(uow, loan, payment, f"{why}: the payment is {payment['status']} already")
        return f"the payment is {payment['status']} already"
    draft = await autopay_repository.draft(uow, entry["draft_id"])
    enrolment = await autopay_repository.enrolment(uow, draft["enrolment_id"])
    decision = await _decide(uow, draft, enrolment, code)
    fee = loan.terms.program.nsf_fee if code in _WITH_FEE else None
    refused = await _reverse(uow, loan, payment, code, why, decision.action, fee)
    if refused is not None and fee:  # a fee that cannot be charged now is no reason to keep what the bank took
        loan = await lock_loan(uow, loan.id)  # as it was before the attempt
        refused = await _reverse(uow, loan, payment, code, why, decision.action, None)
    if refused is not None:
        await _review(uow, loan, payment, f"{why}: it cannot be posted: {refused}")
        return refused[:500]
    await _follow(uow, loan, entry, payment, draft, enrolment, decision)
    return None


async def note_late(uow: UnitOfWork, entry: Row, code: str, returned_on: date) -> None:
    """Open a case about a returned entry that came after the network's deadline: what was taken back stays so until the
    lender's bank dishonors it."""
    if entry["handed_over_on"] is None:  # its bank answers before we know that it has the file
        return
    late = lateness(code, effective_date(entry["handed_over_on"], bank_holidays()), returned_on, bank_holidays())
    if late is None:
        return
    came = f"{code} {return_code(code).title}: it came {late.days} {'day' if late.days == 1 else 'days'} late."
    dates = f"It is of {returned_on}, and the last day for it was {late.deadline}"
    detail = f"{came} {dates}: the lender's bank may dishonor it (R68) until {late.dishonor_by}."
    await cases.open_once(uow, CaseKind.LATE_RETURN, entry["loan_id"], entry["payment_id"], detail)


async def _reverse(
    uow: UnitOfWork, loan: LockedLoan, payment: Row, code: str, why: str, action: Action, fee: int | None
) -> str | None:
    """The reversal that the bank asks for: nobody approves it, it is posted. Returns why it cannot be."""
    try:
        async with uow.savepoint():
            plan = await _plan(uow, loan, payment, fee)
            pending = await reversal_rows.latest_of(uow, payment["id"], lock=True)
            if pending is not None and pending["status"] == ReversalStatus.PENDING_APPROVAL:
                await _overtake(uow, pending, why)
            reversal_id = new_id()
            corrected = await _take_back(uow, loan, payment, plan, code, why, reversal_id)
            await _record(uow, loan, payment, reversal_id, corrected, code, why, action, fee)
    except Refusal as refusal:
        return refusal.detail
    return None


async def _record(
    uow: UnitOfWork,
    loan: LockedLoan,
    payment: Row,
    reversal_id: UUID,
    corrected: Corrected,
    code: str,
    why: str,
    action: Action,
    fee: int | None,
) -> None:
    on = await today(uow, loan)
    await uow.add(
        payment_reversals,
        id=reversal_id,
        payment_id=payment["id"],
        loan_id=loan.id,
        amount=payment["amount"],
        reason=why,
        assess_nsf_fee=bool(fee),
        status=str(ReversalStatus.APPLIED),
        step=str(ReversalStep.AUTOPAY),
        step_since=uow.recorded_at,
        requested_on=on,
        applied_on=on,
        effective_date=payment["effective_date"],
        nsf_fee=fee or None,
        return_code=code,
        follow_up=str(action),
        loan_reopened=corrected.correction.reopens,
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
    )
    await reversals.start(uow, reversal_id, loan.id, corrected)


async def _take_back(
    uow: UnitOfWork, loan: LockedLoan, payment: Row, plan: Planned, code: str, why: str, reversal_id: UUID
) -> Corrected:
    kind, payment_id = CorrectionKind.REVERSAL, payment["id"]
    corrected = await carry_out(uow, loan, plan, kind, why, payment_id=payment_id, followed_up_as=reversal_id)
    await payment_rows.set_returned(uow, payment["id"], code)
    before = {"status": payment["status"]}
    after = {"status": str(PaymentStatus.RETURNED), "return_code": code, "loan_id": str(loan.id)}
    await uow.audit("payment.returned", "payment", payment["id"], before=before, after=after, reason=why)
    data = {"return_code": code, "amount": format_amount(payment["amount"])}
    happening = Happening(WebhookType.PAYMENT_RETURNED, data, str(payment["id"]))
    await outbox.tell(uow, [(loan.id, loan.last_number, happening)], has_listeners=loan.row["has_listeners"])
    return corrected


async def _plan(uow: UnitOfWork, loan: LockedLoan, payment: Row, fee: int | None) -> Planned:
    """The history without the payment. A refund or an application of money that is gone now is covered: the borrower owes
    it."""
    received, _ = events_of_payment(loan, payment["id"])
    on = await today(uow, loan)
    at = {record.position: record for record in standing(loan.records).values()}
    amendments = [Amendment(None, received.effective_date, received)]
    others = surviving([*loan.records, *amended(uow, loan, amendments, on)])
    for position, body in cover_shortfalls(loan.terms, others, on).items():
        amendments.append(Amendment(body, at[position].effective_date, at[position]))
    if fee:
        amendments.append(Amendment(FeeCharged(str(payment["id"]), ChargedFee.NSF, fee), on))
    return await plan_amendments(uow, loan, amendments)


async def _overtake(uow: UnitOfWork, pending: Row, why: str) -> None:
    """The bank is quicker than the second person: the reversal that waited is not needed any more."""
    values = {"status": str(ReversalStatus.REJECTED), "step": str(ReversalStep.DONE), "step_since": uow.recorded_at}
    decided = {"decided_at": uow.recorded_at, "finished_at": uow.recorded_at, "decision_reason": f"returned: {why}"}
    await reversal_rows.change(uow, pending["id"], **values, **decided)
    before, after = {"status": pending["status"]}, {"status": values["status"]}
    await uow.audit("payment_reversal.overtaken", "payment_reversal", pending["id"], before=before, after=after, reason=why)
    await reversals.tell(uow, pending["id"])


async def _decide(uow: UnitOfWork, draft: Row, enrolment: Row, code: str) -> Decision:
    """What follows from a code, by the attempts so far. Nothing is tried again for an autopay that was stopped."""
    attempts = await rail_entries.of_drafts(uow, [row["id"] for row in await autopay_repository.attempts_of(uow, draft)])
    dates = [row["settled_on"] or row["settles_on"] or row["handed_over_on"] for row in attempts]
    known: Sequence[date] = [on for on in dates if on is not None] or [await uow.business_date()]
    decision = after_return(code, known, earliest=settles_on(await _retry_on(uow, enrolment), bank_holidays()))
    if decision.action is Action.RETRY and enrolment["status"] not in _RETRYING:
        return Decision(Action.STOP_ITEM, f"{decision.reason}: the autopay is {enrolment['status']}")
    if decision.action is Action.RETRY and not enrolment["retry_days"]:
        return Decision(Action.STOP_ITEM, f"{decision.reason}: the autopay says not to try again")
    return decision


async def _retry_on(uow: UnitOfWork, enrolment: Row) -> date:
    """The day of the next attempt, as the enrolment says; where it says never, the first on which one could be."""
    return add_banking_days(await uow.business_date(), max(1, enrolment["retry_days"]), bank_holidays())


async def _follow(
    uow: UnitOfWork,
    loan: LockedLoan,
    entry: Row,
    payment: Row,
    draft: Row,
    enrolment: Row,
    decision: Decision,
) -> None:
    await autopay_repository.change_draft(uow, draft["id"], status=str(DraftStatus.FAILED), reason=decision.reason[:200])
    match decision.action:
        case Action.RETRY:
            await autopay_repository.insert_retry(uow, draft, await _retry_on(uow, enrolment))
        case Action.CORRECT_INSTRUMENT:
            await _fail_instrument(uow, entry, decision.reason)
        case Action.REVIEW | Action.DECEASED:
            await _review(uow, loan, payment, decision.reason)
        case _:
            pass
    if decision.action is Action.CORRECT_INSTRUMENT and await authorizations.can_be_drafted(uow, enrolment):
        return  # from another account, until this one is corrected
    if decision.suspends:
        await suspensions.suspend(uow, enrolment, decision.action, decision.reason)


async def _fail_instrument(uow: UnitOfWork, entry: Row, reason: str) -> None:
    """Let nothing more be drafted from an account that cannot be; one that is removed, or was corrected since the entry was
    sent, stays as it is."""
    instrument_id: UUID = entry["payment_instrument_id"]
    row = await instrument_rows.hold(uow, instrument_id)
    if row is None or row["removed_at"] is not None or row["verification_status"] == VerificationStatus.FAILED:
        return
    sealed, _ = await instrument_rows.sealed(uow, instrument_id)
    sent = tuple(entry[name] for name in ("routing_number", "account_type", "account_number_encrypted"))
    if sent != (row["routing_number"], row["account_type"], sealed):
        return
    failed = (VerificationStatus.FAILED, VerificationMethod.MANUAL, reason)
    await instruments.set_verification(uow, row["borrower_id"], instrument_id, *failed)


async def _review(uow: UnitOfWork, loan: LockedLoan, payment: Row, detail: str) -> None:
    await cases.open_once(uow, CaseKind.RETURN_TO_REVIEW, loan.id, payment["id"], detail)
