"""Loans, their events, and the cached results of their replay. Every function takes and writes many loans at once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql

from domain.events import event_from_dict, event_to_dict
from domain.history import VOIDED, Record
from domain.loan import Fee, Instalment, LoanState, state_hash
from domain.program import Program
from domain.program_form import program_from_dict
from infra.db.bulk import insert_rows
from infra.db.models.archive import status_archive
from infra.db.models.servicing import instalments, loan_events, loan_fees, loans, program_versions
from infra.db.models.tenancy import tenants
from infra.db.pipeline import Asked, Cut, Query, Row, Update, Write
from infra.db.repositories.webhooks import HAS_LISTENERS
from infra.db.uow import UnitOfWork
from infra.ids import new_id

_FEW: Final = 4
"""Rows that are updated together with what else is to be written; more are a statement of their own."""
_MANY: Final = 200

CacheKey = tuple[UUID, Any]
"""(owner, key within the owner): a loan and an instalment number, a payment and a line, ..."""


def _loans_with_terms() -> Select[Any]:
    version = and_(
        program_versions.c.program_id == loans.c.program_id, program_versions.c.version == loans.c.program_version
    )
    return (
        select(
            loans,
            cast(program_versions.c.terms, Text).label("program_terms"),
            tenants.c.zone,
            HAS_LISTENERS.label("has_listeners"),
        )
        .join(program_versions, version)
        .join(tenants, tenants.c.id == loans.c.tenant_id)
    )


_IDS: Final = bindparam("ids", type_=ARRAY(Uuid))
_SOME: Final = _loans_with_terms().where(loans.c.id == any_(_IDS)).order_by(loans.c.id)
_LOANS: Final = Query(_SOME)
_LOANS_LOCKED: Final = Query(_SOME.with_for_update(of=loans))


def loan_rows(loan_ids: Sequence[UUID], *, lock: bool) -> Asked:
    """The rows of some loans with `program_terms` (JSON), the tenant's `zone`, and whether it `has_listeners` (active
    webhook endpoints), in the order of their ids.

    `lock` takes each row FOR UPDATE in that order, so that two transactions never wait for each other.
    """
    return (_LOANS_LOCKED if lock else _LOANS)(ids=list(loan_ids))


async def hold_loan(uow: UnitOfWork, loan_id: UUID) -> None:
    """Keep a loan's row from being locked by others until this transaction ends, as a row that refers to it does: for who
    writes such rows and takes other locks too, which come after it. Many hold it at once."""
    await uow.execute(select(loans.c.id).where(loans.c.id == loan_id).with_for_update(read=True, key_share=True))


async def page_of_loans(uow: UnitOfWork, after: UUID | None, limit: int) -> Sequence[Row]:
    """The next loans in the order of their ids, after `after`."""
    statement = _loans_with_terms().order_by(loans.c.id).limit(limit)
    return await uow.all(statement if after is None else statement.where(loans.c.id > after))


async def page_to_close(uow: UnitOfWork, on: date, cursor: UUID | None, limit: int) -> Sequence[Row]:
    """The next loans (locked, in the order of their ids, after `cursor`) that are to be brought through `on` or have no row
    of it in the status archive: those that live, and those to which something happened on that day."""
    lives = or_(loans.c.status.in_(("active", "charged_off")), loans.c.processed_through == on)
    row = select(status_archive.c.as_of).where(
        status_archive.c.tenant_id == loans.c.tenant_id,
        status_archive.c.loan_id == loans.c.id,
        status_archive.c.as_of == on,
    )
    behind = loans.c.processed_through.is_(None) | (loans.c.processed_through < on)
    statement = _loans_with_terms().where(lives, behind | ~exists(row))
    if cursor is not None:
        statement = statement.where(loans.c.id > cursor)
    return await uow.all(statement.order_by(loans.c.id).limit(limit).with_for_update(of=loans))


@lru_cache(maxsize=1000)
def program_of(terms: str) -> Program:
    """A program from its JSON, as a row of a loan carries it. Kept: a tenant has few."""
    return program_from_dict(json.loads(terms))


_event: Final = loan_events.c
_HISTORIES: Final = Query(
    select(
        _event.loan_id,
        _event.sequence,
        _event.position,
        _event.effective_date,
        _event.kind,
        _event.payload,
        _event.supersedes,
        _event.recorded_at,
        _event.recorded_business_date,
    )
    .where(_event.loan_id == any_(_IDS))
    .order_by(_event.loan_id, _event.sequence)
)


def histories(loan_ids: Sequence[UUID]) -> Asked:
    """The history of each loan in the order it was recorded, superseded events included; `records_of` reads them.

    A statement of its own, after the lock: one that waits for the lock would see the history from before the wait.
    """
    return _HISTORIES(ids=list(loan_ids))


def records_of(rows: Iterable[Row]) -> dict[UUID, list[Record]]:
    """The records of each loan's history, from the rows of `histories`."""
    result: dict[UUID, list[Record]] = defaultdict(list)
    for row in rows:
        record = Record(
            number=row["sequence"],
            position=row["position"],
            effective_date=row["effective_date"],
            body=None if row["kind"] == VOIDED else event_from_dict(row["kind"], row["payload"]),
            supersedes=row["supersedes"],
            recorded_at=row["recorded_at"],
            recorded_business_date=row["recorded_business_date"],
        )
        result[row["loan_id"]].append(record)
    return result


async def append_records(uow: UnitOfWork, records: Iterable[tuple[UUID, Record]], reason: str | None = None) -> None:
    """Add to the histories of loans whose rows are locked. `reason` is why, where somebody said it."""
    rows = [
        {
            "tenant_id": uow.tenant_id,
            "id": new_id(),
            "loan_id": loan_id,
            "sequence": record.number,
            "position": record.position,
            "supersedes": record.supersedes,
            "kind": record.kind,
            "effective_date": record.effective_date,
            "payload": {} if record.body is None else event_to_dict(record.body),
            "reason": reason,
            "recorded_business_date": record.recorded_business_date,
            "recorded_by": uow.actor.id,
            "recorded_at": record.recorded_at,
        }
        for loan_id, record in records
    ]
    await insert_rows(uow, loan_events, rows)


def state_values(state: LoanState, digest: str | None = None) -> dict[str, Any]:
    """The columns of a loan that cache what its replay says. `digest`: the state's hash, where it is known."""
    return {
        "status": str(state.status),
        "principal_balance": state.principal_balance,
        "accrued_interest": state.accrued_interest,
        "fees_balance": state.fees_balance,
        "late_fees": state.late_fees,
        "nsf_fees": state.nsf_fees,
        "other_fees": state.other_fees,
        "due_from_borrower": state.due_from_borrower,
        "charged_off_balance": state.charged_off_balance,
        "non_accrual_interest": state.non_accrual_interest,
        "unapplied_balance": state.unapplied,
        "past_due_amount": state.past_due_amount,
        "oldest_unpaid_due_date": state.oldest_unpaid_due_date,
        "days_past_due": state.days_past_due,
        "delinquency_bucket": str(state.delinquency_bucket),
        "next_due_date": state.next_due_date,
        "next_due_amount": state.next_due_amount,
        "total_paid": state.total_paid,
        "last_payment_date": state.last_payment_date,
        "paid_off_on": state.paid_off_on,
        "processed_through": state.as_of,
        "state_hash": digest or state_hash(state),
    }


async def save_states(uow: UnitOfWork, states: Mapping[UUID, tuple[LoanState, str, int]]) -> None:
    """Cache the state of each loan, with its hash and the sequence of its last event."""
    rows = [
        {"key": loan_id, "last_sequence": sequence, "updated_at": uow.recorded_at, **state_values(state, digest)}
        for loan_id, (state, digest, sequence) in states.items()
    ]
    if len(rows) < _FEW:
        for row in rows:
            uow.later(Update(loans, uow.tenant_id, row.pop("key"), row))
    else:
        await uow.execute(update(loans).where(loans.c.id == bindparam("key")), rows)


async def save_schedules(
    uow: UnitOfWork,
    states: Mapping[UUID, LoanState],
    *,
    due_within: tuple[date, date] | None = None,
    stored: Mapping[UUID, LoanState] | None = None,
) -> None:
    """Cache the instalments and the fees of each loan; rows that are right already are left alone.

    `stored`: the states of which loans the cache is known to be; what is stored of the others is read. `due_within` (first
    and last due date) limits the instalments looked at: where nothing but time has passed and nothing is late, only those
    whose due date was reached or passed have changed.
    """
    if not states:
        return
    for loan_id, before in (stored or {}).items():
        if loan_id in states and _save_changed(uow, loan_id, before, states[loan_id]):
            states = {other: state for other, state in states.items() if other != loan_id}
    if not states:
        return
    rows = instalment_rows(states)
    among = None
    if due_within is not None:
        rows = {at: values for at, values in rows.items() if due_within[0] <= values["due_date"] <= due_within[1]}
        among = instalments.c.due_date.between(*due_within)
    await sync(uow, instalments, "loan_id", list(states), rows, among=among)
    await sync(uow, loan_fees, "loan_id", list(states), fee_rows(states))


def _save_changed(uow: UnitOfWork, loan_id: UUID, before: LoanState, after: LoanState) -> bool:
    """Cache what differs between two states. Returns False, having written nothing, when a fee is gone, or an instalment
    that was not the last."""
    rows, fees = {row.number: row for row in before.instalments}, {fee.key: fee for fee in before.fees}
    gone = rows.keys() - {row.number for row in after.instalments}
    last = max((row.number for row in after.instalments), default=0)
    if (gone and min(gone) <= last) or fees.keys() - {fee.key for fee in after.fees}:
        return False
    key = {"tenant_id": uow.tenant_id, "loan_id": loan_id}
    if gone:
        uow.later(Cut(instalments, {**key, "number": min(gone)}))
    changed = [row for row in after.instalments if rows.get(row.number) != row]
    uow.later(Write(instalments, [{**key, "number": row.number, **_instalment(row)} for row in changed], replace=True))
    others = [fee for fee in after.fees if fees.get(fee.key) != fee]
    uow.later(Write(loan_fees, [{**key, "fee_key": fee.key, **_fee(fee)} for fee in others], replace=True))
    return True


def instalment_rows(states: Mapping[UUID, LoanState]) -> dict[CacheKey, dict[str, Any]]:
    """The rows that cache the schedules of some loans."""
    return {(loan_id, item.number): _instalment(item) for loan_id, state in states.items() for item in state.instalments}


def _instalment(item: Instalment) -> dict[str, Any]:
    return {
        "due_date": item.due_date,
        "payment": item.payment,
        "principal": item.principal,
        "interest": item.interest,
        "principal_paid": item.principal_paid,
        "interest_paid": item.interest_paid,
        "interest_waived": item.interest_waived,
        "fees": item.fees,
        "fees_paid": item.fees_paid,
        "status": str(item.status),
        "paid_on": item.paid_on,
    }


def fee_rows(states: Mapping[UUID, LoanState]) -> dict[CacheKey, dict[str, Any]]:
    """The rows that cache the fees of some loans."""
    return {(loan_id, fee.key): _fee(fee) for loan_id, state in states.items() for fee in state.fees}


def _fee(fee: Fee) -> dict[str, Any]:
    return {
        "kind": fee.kind,
        "due_date": fee.due_date,
        "assessed_on": fee.assessed_on,
        "amount": fee.amount,
        "paid": fee.paid,
        "waived": fee.waived,
        "paid_on": fee.paid_on,
    }


async def sync(
    uow: UnitOfWork,
    table: Table,
    owner: str,
    owners: Sequence[UUID],
    wanted: Mapping[CacheKey, dict[str, Any]],
    *,
    among: ColumnElement[bool] | None = None,
) -> None:
    """Make the cached rows of some owners what they should be: insert, update and delete only what differs.

    `owner` is the column the owners are in; the table's key is (tenant_id, owner, one more column). `among` narrows the
    rows that are looked at; `wanted` must be narrowed likewise.
    """
    key = _second_key(table, owner)
    wrong, gone = await differences(uow, table, owner, owners, wanted, among=among)
    if gone:
        await uow.execute(delete(table).where(tuple_(table.c[owner], table.c[key]).in_(gone)))
    if wrong:
        changed = [{"tenant_id": uow.tenant_id, owner: at[0], key: at[1], **wanted[at]} for at in wrong]
        if len(changed) < _MANY:
            uow.later(Write(table, changed, replace=True))
            return
        upsert = postgresql.insert(table)
        names = [name for name in changed[0] if name not in ("tenant_id", owner, key)]
        upsert = upsert.on_conflict_do_update(
            index_elements=["tenant_id", owner, key], set_={name: upsert.excluded[name] for name in names}
        )
        await uow.execute(upsert, changed)


async def differences(
    uow: UnitOfWork,
    table: Table,
    owner: str,
    owners: Sequence[UUID],
    wanted: Mapping[CacheKey, dict[str, Any]],
    *,
    among: ColumnElement[bool] | None = None,
) -> tuple[list[CacheKey], list[CacheKey]]:
    """Compare cached rows with what they should be (arguments as of `sync`): the keys that are wrong or absent, and those
    that should not be there."""
    key = _second_key(table, owner)
    found = select(table).where(table.c[owner].in_(owners), true() if among is None else among)
    current = {(row[owner], row[key]): row for row in await uow.all(found)}
    wrong = [
        at
        for at, values in wanted.items()
        if at not in current or any(current[at][name] != value for name, value in values.items())
    ]
    return wrong, [at for at in current if at not in wanted]


def _second_key(table: Table, owner: str) -> str:
    return next(c.name for c in table.primary_key.columns if c.name not in ("tenant_id", owner))
