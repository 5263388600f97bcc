"""Corrections of a loan's history: backdate or reverse a payment, void another event; and what each would change. A
reversal is asked for and previewed in services/reversals.py.

Nothing is updated in place: an event supersedes the one that was wrong, the loan is replayed, and the journal follows, all
in the caller's transaction. A preview plans exactly what is then done, and writes nothing. Which archived days are restated
a preview foresees, and a process records (services/restating.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.correction import Correction, correction
from domain.errors import InvalidInput, NotFound, WrongState
from domain.events import (
    ChargedFee,
    FeeCharged,
    PaymentReceived,
    PaymentSettled,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
)
from domain.history import Record, check_void, fresh, replay_corrected, standing, standing_record, surviving
from domain.journal import Entry
from domain.loan import state_hash
from domain.payments import COUNTING, PaymentStatus
from domain.payouts import PayoutStatus
from domain.replay import check_effective_date, replay
from domain.restatement import CorrectionKind, Restatement
from domain.reversal import GivenBack, check_reversible
from infra.db.pipeline import Row
from infra.db.repositories import payments as repository
from infra.db.repositories import payouts
from infra.db.repositories.periods import open_books
from infra.db.uow import UnitOfWork
from services import autopay, restating
from services.payments import naming_the_zone
from services.replaying import Amendment, LockedLoan, amend, amended, load_loan, lock_loan, today


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction does: its difference, and the entries it posts, each with its posting date.

    `id`: of one that was carried out; it names what restates the archived days. `restatement`: of one that is previewed,
    those days.
    """

    loan_id: UUID
    correction: Correction
    postings: tuple[tuple[Entry, date], ...]
    id: UUID | None = field(default=None, compare=False)
    restatement: Restatement | None = field(default=None, compare=False)


class Planned(NamedTuple):
    """What is added to the history, and all that changes by it."""

    amendments: Sequence[Amendment]
    corrected: Corrected


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Hashes of a loan's state at the day it was last brought to (`as_of`).

    cached: on the loan's row (None: nothing is stored yet). replayed: by its whole history. fresh: of a loan that has only
    ever had the surviving events, recorded in order.
    """

    as_of: date
    cached: str | None
    replayed: str
    fresh: str

    @property
    def equal(self) -> bool:
        """Whether all there are say the same."""
        return self.replayed == self.fresh and self.cached in (None, self.replayed)


async def backdate(uow: UnitOfWork, payment_id: UUID, effective_date: date, reason: str | None = None) -> Corrected:
    """Let a payment count from another day; later events are replayed after it.

    The settlement of money that staff logged moves along, and refunds withheld from it do; money a bank settled keeps the
    day of its settlement.
    Raises NotFound; WrongState for a payment that does not count, and (naming the event) when a later event would become
    impossible; InvalidInput at /effective_date for its own date, one after the business date or the bank's settlement, or
    before the loan's disbursement or boarding.
    """
    payment, loan = await payment_of_loan(uow, payment_id, lock=True)
    plan = await _plan_backdate(uow, payment, loan, effective_date)
    corrected = await carry_out(uow, loan, plan, CorrectionKind.BACKDATE, reason, payment_id=payment_id)
    await repository.set_effective_date(uow, payment_id, effective_date)
    await uow.audit(
        "payment.backdated",
        "payment",
        payment_id,
        before={"effective_date": payment["effective_date"].isoformat()},
        after={"effective_date": effective_date.isoformat(), "loan_id": str(loan.id)},
        reason=reason,
    )
    return corrected


async def preview_backdate(uow: UnitOfWork, payment_id: UUID, effective_date: date) -> Corrected:
    """What `backdate` would do. Writes nothing, refuses what it refuses."""
    payment, loan = await payment_of_loan(uow, payment_id, lock=False)
    return await foreseen(uow, loan, await _plan_backdate(uow, payment, loan, effective_date))


async def reverse(
    uow: UnitOfWork, payment: Row, loan: LockedLoan, plan: Planned, reason: str, *, followed_up_as: UUID
) -> Corrected:
    """Take a payment back as if it had never been made; its status is `reversed` from then on.

    `plan`: what `plan_reverse` said of it in this transaction, under the lock of its loan, which has the new events
    afterwards. `followed_up_as`: the id of its process (services/reversals.py).
    """
    kind, name = CorrectionKind.REVERSAL, followed_up_as
    corrected = await carry_out(uow, loan, plan, kind, reason, payment_id=payment["id"], followed_up_as=name)
    await repository.set_reversed(uow, payment["id"])
    await uow.audit(
        "payment.reversed",
        "payment",
        payment["id"],
        before={"status": payment["status"]},
        after={"status": str(PaymentStatus.REVERSED), "loan_id": str(loan.id)},
        reason=reason,
    )
    return corrected


async def void_event(uow: UnitOfWork, loan_id: UUID, number: int, reason: str) -> Corrected:
    """Take back an event that is no payment, by its number in the loan's history, as if it had never happened.

    Raises NotFound for the loan or the event; WrongState for one that does not stand or is not voided by itself
    (domain.history.check_void), and (naming the event) when a later event would become impossible.
    """
    loan = await lock_loan(uow, loan_id)
    voided = standing_record(loan.records, number)
    plan = await _plan_void(uow, loan, voided)
    corrected = await carry_out(uow, loan, plan, CorrectionKind.VOID, reason)
    await uow.audit(
        "loan.event_voided",
        "loan",
        loan_id,
        before={"number": number, "kind": voided.kind, "effective_date": voided.effective_date.isoformat()},
        reason=reason,
    )
    return corrected


async def preview_void_event(uow: UnitOfWork, loan_id: UUID, number: int) -> Corrected:
    """What `void_event` would do. Writes nothing, refuses what it refuses."""
    loan = await load_loan(uow, loan_id)
    return await foreseen(uow, loan, await _plan_void(uow, loan, standing_record(loan.records, number)))


async def carry_out(
    uow: UnitOfWork,
    loan: LockedLoan,
    plan: Planned,
    kind: CorrectionKind,
    reason: str | None,
    *,
    payment_id: UUID | None = None,
    followed_up_as: UUID | None = None,
) -> Corrected:
    """Correct the history of a locked loan as planned. What follows, its autopay that looks again and the comparison of its
    archived days, is a step of the process `followed_up_as`; or happens here and by a process that starts after commit."""
    await amend(uow, loan, plan.amendments, reason)
    if followed_up_as is None:
        await autopay.replan(uow, loan.id, await today(uow, loan), reopened=plan.corrected.correction.reopens)
    correction_id = await restating.begin(
        uow, loan, kind, plan.amendments, payment_id=payment_id, followed_up_as=followed_up_as
    )
    return replace(plan.corrected, id=correction_id)


async def foreseen(uow: UnitOfWork, loan: LockedLoan, plan: Planned) -> Corrected:
    """What is planned, with the archived days it would restate."""
    return replace(plan.corrected, restatement=await restating.foreseen(uow, loan, plan.amendments))


async def equivalence(uow: UnitOfWork, loan_id: UUID) -> Equivalence:
    """Compare what is stored of a loan, the replay of its history, and a fresh loan with the surviving events only.

    Under the loan's lock, so that all three are of one moment. Raises NotFound.
    """
    loan = await lock_loan(uow, loan_id)
    as_of = loan.processed_through or await today(uow, loan)
    alone = replay(loan.terms, surviving(fresh(loan.records)), as_of)
    return Equivalence(as_of, loan.row["state_hash"], state_hash(loan.replay(as_of).state), state_hash(alone.state))


async def payment_of_loan(uow: UnitOfWork, payment_id: UUID, *, lock: bool) -> tuple[Row, LockedLoan]:
    """A payment and its loan; the payment is read again once the loan's lock is ours. Raises NotFound."""
    for row in await repository.payment_rows(uow, [payment_id]):
        if not lock:
            return row, await load_loan(uow, row["loan_id"])
        loan = await lock_loan(uow, row["loan_id"])
        (row,) = await repository.payment_rows(uow, [payment_id])
        return row, loan
    raise NotFound("payment")


async def _plan_backdate(uow: UnitOfWork, payment: Row, loan: LockedLoan, effective_date: date) -> Planned:
    if payment["status"] not in COUNTING:
        raise WrongState(
            f"The payment is {payment['status']}: only money that counts can count from another day.",
            state=payment["status"],
            allowed=COUNTING,
        )
    received, settled = events_of_payment(loan, payment["id"])
    as_of = await today(uow, loan)
    with naming_the_zone(loan, as_of):
        check_effective_date(effective_date, loan.replay(as_of).state.opened_on, as_of)
    if effective_date == received.effective_date:
        raise InvalidInput.at("/effective_date", "is the payment's effective date already", code="same_effective_date")
    amendments = [Amendment(received.body, effective_date, received)]
    amendments += [Amendment(refund.body, effective_date, refund) for refund in await _withheld(uow, loan, received)]
    if settled is not None and payment["settlement_status"] == "not_applicable":
        amendments.append(Amendment(settled.body, effective_date, settled))
    elif settled is not None and settled.effective_date < effective_date:
        message = f"must not be after {settled.effective_date}, when the bank settled the payment"
        raise InvalidInput.at("/effective_date", message, code="date_after_settlement")
    return await plan_amendments(uow, loan, amendments)


async def plan_reverse(uow: UnitOfWork, payment: Row, loan: LockedLoan, *, assess_nsf_fee: bool) -> Planned:
    """What `reverse` adds to the history of a loan that was read already. Writes nothing. `assess_nsf_fee` charges the
    program's fee for it on the business date.

    Raises WrongState unless the payment is completed and nothing of it was refunded (domain.reversal.check_reversible), and
    (naming the event) when a later event would become impossible; InvalidInput at /assess_nsf_fee when the program has no
    such fee.
    """
    check_reversible(payment["status"], await _given_back(uow, payment))
    received, _ = events_of_payment(loan, payment["id"])
    amendments = [Amendment(None, received.effective_date, received)]
    if assess_nsf_fee:
        fee = loan.terms.program.nsf_fee
        if not fee:
            raise InvalidInput.at("/assess_nsf_fee", "must be false: the loan's program has no NSF fee", code="no_nsf_fee")
        amendments.append(Amendment(FeeCharged(str(payment["id"]), ChargedFee.NSF, fee), await today(uow, loan)))
    return await plan_amendments(uow, loan, amendments)


async def _given_back(uow: UnitOfWork, payment: Row) -> list[GivenBack]:
    rows = await payouts.standing_refunds_of(uow, payment["id"]) if payment["refunded_amount"] else []
    return [GivenBack(row["id"], row["amount"], row["goes_out_on"] is not None) for row in rows]


async def _plan_void(uow: UnitOfWork, loan: LockedLoan, record: Record) -> Planned:
    check_void(loan.records, record)
    await _check_no_payout(uow, record)
    return await plan_amendments(uow, loan, [Amendment(None, record.effective_date, record)])


async def _withheld(uow: UnitOfWork, loan: LockedLoan, received: Record) -> list[Record]:
    """The refunds that are withheld from a payment: they stand on its day, and move with it."""
    if not isinstance(received.body, PaymentReceived) or not received.body.withheld:
        return []
    names = await payouts.refunds_of(uow, UUID(received.body.payment_id))
    on = received.effective_date
    refunds = (r for r in standing(loan.records).values() if isinstance(r.body, Refunded) and r.effective_date == on)
    return [r for r in refunds if isinstance(r.body, Refunded) and r.body.refund_id in names]


async def _check_no_payout(uow: UnitOfWork, record: Record) -> None:
    """Raises WrongState for an event of a payout: the money is owed to the borrower, or gone, whatever is recorded here."""
    match record.body:
        case Refunded(name) | RefundSent(name) | Reimbursed(name) | ReimbursementSent(name):
            status = await payouts.status_of(uow, name)
        case _:
            return
    if status is not None:
        raise WrongState(
            f"Event {record.number} is part of payout {name}, which is {status}: what was approved is paid out, unless the "
            "payout is cancelled before the rail has it.",
            state=status,
            allowed=["cancel the payout"] if status == PayoutStatus.APPROVED else [],
            code="part_of_a_payout",
        )


async def plan_amendments(uow: UnitOfWork, loan: LockedLoan, amendments: Sequence[Amendment]) -> Planned:
    """Replay the loan with and without the amendments. The journal stands for the history without them up to the day the
    loan was last brought to, at least yesterday: a write brings it there first."""
    as_of = await today(uow, loan)
    through = max(loan.processed_through or date.min, as_of - timedelta(days=1))
    records = [*loan.records, *amended(uow, loan, amendments, as_of)]
    after = replay_corrected(loan.terms, records, as_of, loan.last_number + 1)
    change = correction(loan.replay(as_of), after, loan.replay(through))
    books = await open_books(uow)
    postings = tuple((entry, books.posting_date(entry.effective_date)) for entry in change.entries)
    return Planned(amendments, Corrected(loan.id, change, postings))


def events_of_payment(loan: LockedLoan, payment_id: UUID) -> tuple[Record, Record | None]:
    """The standing records of a payment that counts: that it was received, and (if it was) settled."""
    name = str(payment_id)
    stands = standing(loan.records).values()
    received = next(r for r in stands if isinstance(r.body, PaymentReceived) and r.body.payment_id == name)
    settled = (r for r in stands if isinstance(r.body, PaymentSettled) and r.body.payment_id == name)
    return received, next(settled, None)
