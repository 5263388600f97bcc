"""Loans, their events, and the cached results of their replay. Every function takes and writes many loans at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, delete, insert, select, true, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import RowMapping

from domain.events import Event, event_from_dict, event_to_dict
from domain.loan import LoanState, state_hash
from domain.program import Program, program_from_dict
from infra.db.models.servicing import instalments, loan_events, loan_fees, loans, program_versions
from infra.db.models.tenancy import tenants
from infra.db.uow import UnitOfWork
from infra.ids import new_id

CacheKey = tuple[UUID, Any]
"""(owner, key within the owner): a loan and an instalment number, a payment and a line, ..."""


def _loans_with_terms() -> Select[Any]:
    version = and_(
        program_versions.c.program_id == loans.c.program_id, program_versions.c.version == loans.c.program_version
    )
    return (
        select(loans, program_versions.c.terms.label("program_terms"), tenants.c.zone)
        .join(program_versions, version)
        .join(tenants, tenants.c.id == loans.c.tenant_id)
    )


async def loan_rows(uow: UnitOfWork, loan_ids: Sequence[UUID], *, lock: bool) -> Sequence[RowMapping]:
    """The rows of some loans with `program_terms` (JSON) and the tenant's `zone`, in the order of their ids.

    `lock` takes each row FOR UPDATE in that order, so that two transactions never wait for each other.
    """
    statement = _loans_with_terms().where(loans.c.id.in_(loan_ids)).order_by(loans.c.id)
    return await uow.all(statement.with_for_update(of=loans) if lock else statement)


async def page_to_close(uow: UnitOfWork, on: date, cursor: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The next active loans (locked, in the order of their ids, after `cursor`) which are not processed through `on`."""
    statement = _loans_with_terms().where(
        loans.c.status == "active", (loans.c.processed_through.is_(None)) | (loans.c.processed_through < on)
    )
    if cursor is not None:
        statement = statement.where(loans.c.id > cursor)
    return await uow.all(statement.order_by(loans.c.id).limit(limit).with_for_update(of=loans))


def programs_of(rows: Sequence[RowMapping]) -> dict[tuple[UUID, int], Program]:
    """The program versions of some loan rows, each read from its JSON once."""
    found: dict[tuple[UUID, int], Program] = {}
    for row in rows:
        key = (row["program_id"], row["program_version"])
        if key not in found:
            found[key] = program_from_dict(row["program_terms"])
    return found


async def events_of(uow: UnitOfWork, loan_ids: Sequence[UUID]) -> dict[UUID, list[Event]]:
    """The source events of each loan in the order they were recorded.

    A statement of its own, after the lock: one that waits for the lock would see the events from before the wait.
    """
    result: dict[UUID, list[Event]] = {loan_id: [] for loan_id in loan_ids}
    statement = (
        select(
            loan_events.c.loan_id,
            loan_events.c.sequence,
            loan_events.c.effective_date,
            loan_events.c.kind,
            loan_events.c.payload,
        )
        .where(loan_events.c.loan_id.in_(loan_ids))
        .order_by(loan_events.c.loan_id, loan_events.c.sequence)
    )
    for row in await uow.all(statement):
        body = event_from_dict(row["kind"], row["payload"])
        result[row["loan_id"]].append(Event(row["sequence"], row["effective_date"], body))
    return result


async def append_events(uow: UnitOfWork, events: Iterable[tuple[UUID, Event]], recorded_on: date) -> None:
    """Record new source events of loans whose rows are locked. `recorded_on` is the business date."""
    rows = [
        {
            "tenant_id": uow.tenant_id,
            "id": new_id(),
            "loan_id": loan_id,
            "sequence": event.sequence,
            "kind": str(event.kind),
            "effective_date": event.effective_date,
            "payload": event_to_dict(event.body),
            "recorded_business_date": recorded_on,
            "recorded_by": uow.actor.id,
            "recorded_at": uow.recorded_at,
        }
        for loan_id, event in events
    ]
    if rows:
        await uow.execute(insert(loan_events), rows)


def state_values(state: LoanState) -> dict[str, Any]:
    """The columns of a loan that cache what its replay says."""
    return {
        "status": str(state.status),
        "principal_balance": state.principal_balance,
        "accrued_interest": state.accrued_interest,
        "fees_balance": state.fees_balance,
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
        "state_hash": state_hash(state),
    }


async def save_states(uow: UnitOfWork, states: Mapping[UUID, tuple[LoanState, int]]) -> None:
    """Cache the state of each loan, with the sequence of its last event."""
    rows = [
        {"key": loan_id, "last_sequence": sequence, "updated_at": uow.recorded_at, **state_values(state)}
        for loan_id, (state, sequence) in states.items()
    ]
    await uow.execute(update(loans).where(loans.c.id == bindparam("key")), rows)


async def save_schedules(
    uow: UnitOfWork, states: Mapping[UUID, LoanState], *, due_within: tuple[date, date] | None = None
) -> None:
    """Cache the instalments and the fees of each loan; rows that are right already are left alone.

    `due_within` (first and last due date) limits the instalments looked at: where nothing but time has passed, only
    those whose due date was reached or passed have changed.
    """
    rows = {
        (loan_id, item.number): {
            "due_date": item.due_date,
            "payment": item.payment,
            "principal": item.principal,
            "interest": item.interest,
            "principal_paid": item.principal_paid,
            "interest_paid": item.interest_paid,
            "status": str(item.status),
            "paid_on": item.paid_on,
        }
        for loan_id, state in states.items()
        for item in state.instalments
        if due_within is None or due_within[0] <= item.due_date <= due_within[1]
    }
    among = None if due_within is None else instalments.c.due_date.between(*due_within)
    await sync(uow, instalments, "loan_id", list(states), rows, among=among)
    fees = {
        (loan_id, fee.key): {
            "kind": fee.kind,
            "due_date": fee.due_date,
            "assessed_on": fee.assessed_on,
            "amount": fee.amount,
            "paid": fee.paid,
        }
        for loan_id, state in states.items()
        for fee in state.fees
    }
    await sync(uow, loan_fees, "loan_id", list(states), fees)


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
    key = next(c.name for c in table.primary_key.columns if c.name not in ("tenant_id", owner))
    found = select(table).where(table.c[owner].in_(owners), true() if among is None else among)
    current = {(row[owner], row[key]): row for row in await uow.all(found)}
    changed = [
        {"tenant_id": uow.tenant_id, owner: at[0], key: at[1], **values}
        for at, values in wanted.items()
        if at not in current or any(current[at][name] != value for name, value in values.items())
    ]
    gone = [at for at in current if at not in wanted]
    if gone:
        await uow.execute(delete(table).where(tuple_(table.c[owner], table.c[key]).in_(gone)))
    if changed:
        upsert = postgresql.insert(table)
        names = [name for name in changed[0] if name not in ("tenant_id", owner, key)]
        upsert = upsert.on_conflict_do_update(
            index_elements=["tenant_id", owner, key], set_={name: upsert.excluded[name] for name in names}
        )
        await uow.execute(upsert, changed)
