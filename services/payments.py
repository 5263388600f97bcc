"""Payments: record, preview, settle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from itertools import chain
from typing import Any, Literal
from uuid import UUID

from domain.errors import Conflict, InvalidInput, NotFound, Refusal, WrongState
from domain.events import PaymentReceived, PaymentSettled
from domain.history import refusal_of
from domain.instruments import check_pays
from domain.money import format_amount
from domain.payment_file import Method
from domain.program import ExtraMoney
from domain.replay import Preview, Replay, check_payment
from domain.replay import preview as preview_payment
from infra.db.pipeline import Row
from infra.db.repositories import instruments, periods
from infra.db.repositories import payments as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.replaying import (
    Amendment,
    LoanEvent,
    LockedLoan,
    amended,
    apply_events,
    load_loan,
    lock_loans,
    read_loans,
    today,
)

Source = Literal["staff", "autopay", "portal"]


@dataclass(frozen=True, slots=True)
class RecordPayment:
    """Money that was received for a loan.

    `amount` in minor units. `effective_date` None means the business date. Defaults are those of a staff payment: money
    that is here, so it is completed and settled at once. A draft sent to a bank is `processing` and `in_transit` until
    `settle`. `payment_id` is given by whoever may ask twice: the second time the first payment is the answer. `extra`: what
    becomes of money beyond what is due and the current instalment (None: as the program says).
    """

    loan_id: UUID
    amount: int
    payment_method: Method
    effective_date: date | None = None
    external_id: str | None = None
    payment_instrument_id: UUID | None = None
    source: Source = "staff"
    status: Literal["completed", "processing"] = "completed"
    settlement_status: Literal["not_applicable", "in_transit"] = "not_applicable"
    payment_id: UUID | None = None
    extra: ExtraMoney | None = None


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """A payment as recorded; amounts in minor units. `created` is False when it was there before the request."""

    id: UUID
    loan_id: UUID
    amount: int
    payment_method: str
    status: str
    settlement_status: str
    source: str
    effective_date: date
    external_id: str | None
    payment_instrument_id: UUID | None
    principal_applied: int
    interest_applied: int
    fees_applied: int
    unapplied_amount: int
    due_from_borrower_applied: int
    refunded_amount: int
    recorded_business_date: date
    created_at: datetime
    created: bool


_COLUMNS = [field.name for field in fields(PaymentRecord) if field.name != "created"]


@dataclass(frozen=True, slots=True)
class _New:
    """A payment that is not there yet: its loan, its row before it is allocated, and what was sent."""

    loan: LockedLoan
    row: PaymentRecord
    digest: bytes
    extra: ExtraMoney | None = None


async def record(uow: UnitOfWork, command: RecordPayment) -> PaymentRecord:
    """Record a payment, allocate it by the loan's program, and post it: all in the caller's transaction.

    Raises NotFound for the loan; InvalidInput naming /amount, /effective_date or /payment_instrument_id; WrongState for a
    loan that takes no payments; Conflict when the external id belongs to another payment.
    """
    (recorded,) = await record_many(uow, [command])
    return recorded


async def record_many(uow: UnitOfWork, commands: Sequence[RecordPayment]) -> list[PaymentRecord]:
    """Record payments, no two of one loan, each as `record` does: in a handful of statements, however many they are.

    Raises what `record` does for any of them. Then some may be written: who goes on takes a savepoint before.
    """
    named = [command.external_id for command in commands if command.external_id is not None]
    ids = [command.payment_id for command in commands if command.external_id is None and command.payment_id is not None]
    known = [repository.payments_by_names(named)] if named else []
    known += [repository.payments_by_ids(ids)] if ids else []
    loan_ids = [command.loan_id for command in commands]
    locked, (*there, lock, books) = await read_loans(uow, loan_ids, *known, *periods.holding(uow), lock=True)
    loans = {loan.id: loan for loan in locked}
    if any(command.loan_id not in loans for command in commands):
        raise NotFound("loan")
    assert len(loans) == len(commands), "what the second payment of a loan may do depends on the first"
    periods.held(uow, lock, books)
    done = _already_recorded(commands, list(chain(*there)))
    new = []
    for command in commands:
        if command.loan_id not in done:
            loan = loans[command.loan_id]
            loan.remember()
            as_of = await today(uow, loan)
            effective_date = command.effective_date or as_of
            _check_payment(loan, command.amount, effective_date, as_of)
            await _check_instrument(uow, loan, command.payment_method, command.payment_instrument_id)
            new.append(_New(loan, _received(uow, command, effective_date, as_of), _digest(command), command.extra))
    if new:
        done |= await _add(uow, new)
    return [done[command.loan_id] for command in commands]


async def _add(uow: UnitOfWork, new: Sequence[_New]) -> dict[UUID, PaymentRecord]:
    """Write and apply payments of as many locked loans; returns them, allocated, by loan."""
    events: list[LoanEvent] = []
    for item in new:
        name, on = str(item.row.id), item.row.effective_date
        events.append((item.loan, PaymentReceived(item.row.amount, name, extra=item.extra), on))
        if item.row.settlement_status == "not_applicable":
            events.append((item.loan, PaymentSettled(name), on))
    result: dict[UUID, PaymentRecord] = {}

    def write(replays: Mapping[UUID, Replay]) -> Collection[UUID]:
        result.update({item.loan.id: _allocated(item.row, replays[item.loan.id]) for item in new})
        repository.add_payments(uow, [_row(uow, result[item.loan.id], item.digest) for item in new])
        return [item.row.id for item in new]

    replays = await apply_events(uow, events, write)
    for item in new:
        state = replays[item.loan.id].state
        await uow.audit(
            "payment.recorded",
            "payment",
            item.row.id,
            before={
                "principal_balance": format_amount(item.loan.row["principal_balance"]),
                "status": item.loan.row["status"],
            },
            after={
                "loan_id": str(item.loan.id),
                "amount": format_amount(item.row.amount),
                "effective_date": item.row.effective_date.isoformat(),
                "principal_balance": format_amount(state.principal_balance),
                "status": str(state.status),
            },
        )
    return result


def _allocated(payment: PaymentRecord, result: Replay) -> PaymentRecord:
    """A new payment with where its money went."""
    paid = result.allocations[str(payment.id)]
    return replace(
        payment,
        principal_applied=paid.principal,
        interest_applied=paid.interest,
        fees_applied=paid.fees,
        unapplied_amount=paid.unapplied,
        due_from_borrower_applied=paid.due_from_borrower,
    )


def _row(uow: UnitOfWork, payment: PaymentRecord, digest: bytes) -> dict[str, Any]:
    return {"tenant_id": uow.tenant_id, **{name: getattr(payment, name) for name in _COLUMNS}, "request_hash": digest}


async def preview(
    uow: UnitOfWork,
    loan_id: UUID,
    amount: int,
    effective_date: date | None = None,
    *,
    payment_method: Method | None = None,
    payment_instrument_id: UUID | None = None,
) -> Preview:
    """What `record` would do with `amount` (minor units): the allocation, and the loan's state after it. Writes nothing.

    Refuses what `record` refuses, for the same reasons; an instrument for its type only where the method is given.
    """
    loan = await load_loan(uow, loan_id)
    as_of = await today(uow, loan)
    await _check_instrument(uow, loan, payment_method, payment_instrument_id)
    return _preview(uow, loan, amount, effective_date or as_of, as_of)


async def preview_next(uow: UnitOfWork, loan: LockedLoan, command: RecordPayment, known: Row | None) -> Preview | None:
    """What `record` would do with a payment of a loan that was read, and with those previewed before it in this way: the
    loan, in memory, takes it. None when it is recorded already. Writes nothing.

    `known`: the row of the payment that has its external id, or None. Refuses what `record` refuses.
    """
    if known is not None:
        _the_same(known, command, _digest(command))
        return None
    as_of = await today(uow, loan)
    on = command.effective_date or as_of
    await _check_instrument(uow, loan, command.payment_method, command.payment_instrument_id)
    seen = _preview(uow, loan, command.amount, on, as_of)
    name = f"previewed {loan.last_number + 1}"
    bodies = (PaymentReceived(command.amount, name), PaymentSettled(name))
    loan.add(amended(uow, loan, [Amendment(body, on) for body in bodies], as_of))
    return seen


def _preview(uow: UnitOfWork, loan: LockedLoan, amount: int, on: date, as_of: date) -> Preview:
    _check_payment(loan, amount, on, as_of)
    try:
        return preview_payment(loan.terms, loan.events, amount, on, as_of)
    except Refusal:
        new = amended(uow, loan, [Amendment(PaymentReceived(amount, "previewed"), on)], as_of)
        raise refusal_of(loan.terms, [*loan.records, *new], as_of, loan.last_number + 1) from None


async def settle(uow: UnitOfWork, payment_ids: Sequence[UUID]) -> int:
    """The money of payments in transit has arrived: completed, and clearing becomes cash. Once; again does nothing.

    A handful of statements, however many they are. Returns how many were still in transit; ids of no payment are left
    out. Raises WrongState for a payment that was never in transit.
    """
    rows = await repository.payment_rows(uow, payment_ids)
    loans = {loan.id: loan for loan in await lock_loans(uow, [row["loan_id"] for row in rows])}
    rows = await repository.payment_rows(uow, payment_ids)  # again: some may have settled before the locks were ours
    waiting = [row for row in rows if _in_transit(row)]
    if not waiting:
        return 0
    on = await today(uow, *loans.values())
    await repository.set_settled(uow, [row["id"] for row in waiting])
    await apply_events(uow, [(loans[row["loan_id"]], PaymentSettled(str(row["id"])), on) for row in waiting])
    return len(waiting)


def _in_transit(payment: Row) -> bool:
    """Whether the money of a payment is still on its way; False when it has arrived.

    Raises WrongState for a payment that was never in transit, or came back.
    """
    state = payment["settlement_status"]
    if state not in ("in_transit", "settled"):
        raise WrongState(
            f"The payment's settlement is {state}: only a payment in transit settles.", state=state, allowed=["in_transit"]
        )
    return bool(state == "in_transit")


def _already_recorded(commands: Sequence[RecordPayment], there: Sequence[Row]) -> dict[UUID, PaymentRecord]:
    """The payments that are there already, by loan: known by the external id, or else by the id."""
    names, ids = {row["external_id"]: row for row in there}, {row["id"]: row for row in there}
    result = {}
    for command in commands:
        row = ids.get(command.payment_id) if command.external_id is None else names.get(command.external_id)
        if row is not None:
            if command.external_id is not None:
                _the_same(row, command, _digest(command))
            result[command.loan_id] = PaymentRecord(**{name: row[name] for name in _COLUMNS}, created=False)
    return result


def _the_same(row: Row, command: RecordPayment, digest: bytes) -> None:
    """Raises Conflict when the payment that has the external id is another than this one."""
    if row["request_hash"] != digest:
        raise Conflict(
            f"external_id {command.external_id!r} belongs to payment {row['id']}, which is not the same: "
            "an external_id is for ever, so another payment needs another one.",
            code="external_id_taken",
        )


def _received(uow: UnitOfWork, command: RecordPayment, effective_date: date, business_date: date) -> PaymentRecord:
    """The payment before it is allocated: all of it unapplied."""
    return PaymentRecord(
        id=command.payment_id or new_id(),
        loan_id=command.loan_id,
        amount=command.amount,
        payment_method=command.payment_method,
        status=command.status,
        settlement_status=command.settlement_status,
        source=command.source,
        effective_date=effective_date,
        external_id=command.external_id,
        payment_instrument_id=command.payment_instrument_id,
        principal_applied=0,
        interest_applied=0,
        fees_applied=0,
        unapplied_amount=command.amount,
        due_from_borrower_applied=0,
        refunded_amount=0,
        recorded_business_date=business_date,
        created_at=uow.recorded_at,
        created=True,
    )


def _digest(command: RecordPayment) -> bytes:
    """What makes two requests with one external id the same request: everything the client sent."""
    sent = [
        str(command.loan_id),
        command.amount,
        command.payment_method,
        None if command.effective_date is None else command.effective_date.isoformat(),
        None if command.payment_instrument_id is None else str(command.payment_instrument_id),
    ]
    return hashlib.sha256(json.dumps(sent).encode()).digest()


async def _check_instrument(
    uow: UnitOfWork, loan: LockedLoan, method: Method | None, payment_instrument_id: UUID | None
) -> None:
    """Refuse (InvalidInput) what domain.instruments.check_pays refuses of the instrument of a new payment."""
    if payment_instrument_id is None:
        return
    row = await instruments.look_at(uow, payment_instrument_id)
    if row is None or row["borrower_id"] != loan.row["borrower_id"]:
        check_pays(method, None, removed=False)
    else:
        check_pays(method, row["instrument_type"], removed=row["removed_at"] is not None)


def _check_payment(loan: LockedLoan, amount: int, effective_date: date, as_of: date) -> None:
    with naming_the_zone(loan, as_of):
        check_payment(loan.replay(as_of).state, amount, effective_date, as_of)


@contextmanager
def naming_the_zone(loan: LockedLoan, as_of: date) -> Iterator[None]:
    """Refusals of a date in the future say in which zone the business date `as_of` is read."""
    try:
        yield
    except InvalidInput as refusal:
        if refusal.code != "date_in_future":
            raise
        message = f"must not be after the business date, {as_of} in {loan.row['zone']}"
        raise InvalidInput.at("/effective_date", message, code=refusal.code) from None
