"""The append-only journal: only ever inserted into. A correction is a mirror and a replacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Date, case, cast, func, select, tuple_

from domain.chart import Account
from domain.journal import Entry, EntryKind, Series, Transfer
from domain.periods import OpenBooks
from infra.db.bulk import insert_rows
from infra.db.models.servicing import journal_entries as entries
from infra.db.models.servicing import journal_transfers as transfers
from infra.db.pipeline import Write
from infra.db.uow import UnitOfWork
from infra.ids import new_id


@dataclass(slots=True)
class Posted:
    """What the journal says of one loan from the date `since` on.

    `entries`: all but accruals, those of a key in the order of posting. `accruals`: net interest (minor units) by series and
    month (its first day). `last_ids` and `revisions`: the newest entry and revision of each key.
    """

    since: date = date.min
    entries: list[Entry] = field(default_factory=list)
    accruals: dict[Series, dict[date, int]] = field(default_factory=dict)
    last_ids: dict[str, UUID] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all entries of one posting share. `books` say the posting dates, and hold until the transaction ends
    (infra.db.repositories.periods.hold_open); `business_date` and `posted_at` (UTC) are when it was done."""

    books: OpenBooks
    business_date: date
    posted_at: datetime


async def posted_since(uow: UnitOfWork, loan_ids: Sequence[UUID], since: date) -> dict[UUID, Posted]:
    """What is posted of each loan with an effective date from `since` on (accruals: from the month of `since` on)."""
    result = {loan_id: Posted(since) for loan_id in loan_ids}
    columns = (
        entries.c.loan_id,
        entries.c.id,
        entries.c.entry_key,
        entries.c.revision,
        entries.c.kind,
        entries.c.effective_date,
        entries.c.payment_id,
        transfers.c.debit_account,
        transfers.c.credit_account,
        transfers.c.amount,
    )
    statement = (
        select(*columns)
        .join(transfers, transfers.c.entry_id == entries.c.id)
        .where(entries.c.loan_id.in_(loan_ids), entries.c.kind != "accrual", entries.c.effective_date >= since)
        .order_by(entries.c.loan_id, entries.c.entry_key, entries.c.revision, transfers.c.line)
    )
    for row in await uow.all(statement):
        posted, key = result[row["loan_id"]], row["entry_key"]
        moved = Transfer(Account(row["debit_account"]), Account(row["credit_account"]), row["amount"])
        if posted.last_ids.get(key) == row["id"]:
            posted.entries[-1] = posted.entries[-1]._replace(transfers=(*posted.entries[-1].transfers, moved))
            continue
        posted.last_ids[key], posted.revisions[key] = row["id"], row["revision"]
        payment = None if row["payment_id"] is None else str(row["payment_id"])
        posted.entries.append(Entry(key, EntryKind(row["kind"]), row["effective_date"], payment, (moved,)))
    await _accruals_since(uow, result, since.replace(day=1))
    return result


async def _accruals_since(uow: UnitOfWork, result: dict[UUID, Posted], first: date) -> None:
    """One row a loan, series and month: an accrual's key names both, and its effective date lies within the month."""
    month = cast(func.date_trunc("month", entries.c.effective_date), Date)
    sign = case((transfers.c.credit_account.in_((int(Account.INTEREST_INCOME), int(Account.MEMO_CONTRA))), 1), else_=-1)
    statement = (
        select(
            entries.c.loan_id,
            entries.c.entry_key,
            month.label("month"),
            func.sum(transfers.c.amount * sign, type_=transfers.c.amount.type).label("earned"),
            func.max(entries.c.revision).label("revision"),
        )
        .join(transfers, transfers.c.entry_id == entries.c.id)
        .where(entries.c.loan_id.in_(list(result)), entries.c.kind == "accrual", entries.c.effective_date >= first)
        .group_by(entries.c.loan_id, entries.c.entry_key, month)
    )
    for row in await uow.all(statement):
        posted = result[row["loan_id"]]
        series = Series(row["entry_key"].partition(":")[0])
        posted.accruals.setdefault(series, {})[row["month"]] = row["earned"]
        posted.revisions[row["entry_key"]] = row["revision"]


async def _older_revisions(uow: UnitOfWork, new: Mapping[UUID, Sequence[Entry]], posted: Mapping[UUID, Posted]) -> None:
    """Find the newest revisions of keys that are not in `posted`: what was taken back can happen again on a later day, and
    its entries of before are older than what was read. Those of accruals are not: their keys name the month."""
    unread = {
        (loan_id, entry.key)
        for loan_id, batch in new.items()
        if posted[loan_id].since > date.min
        for entry in batch
        if entry.kind is not EntryKind.ACCRUAL and entry.key not in posted[loan_id].revisions
    }
    if not unread:
        return
    statement = (
        select(entries.c.loan_id, entries.c.entry_key, func.max(entries.c.revision).label("revision"))
        .where(tuple_(entries.c.loan_id, entries.c.entry_key).in_(sorted(unread)))
        .group_by(entries.c.loan_id, entries.c.entry_key)
    )
    for row in await uow.all(statement):
        posted[row["loan_id"]].revisions[row["entry_key"]] = row["revision"]


async def insert_entries(
    uow: UnitOfWork,
    new: Mapping[UUID, Sequence[Entry]],
    posted: Mapping[UUID, Posted],
    stamp: Stamp,
) -> int:
    """Insert entries of loans in their order, each with the next revision of its key; returns how many.

    A mirror points to the entry it takes back, the newest of its key in `posted`.
    """
    await _older_revisions(uow, new, posted)
    heads: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for loan_id, batch in new.items():
        known = posted[loan_id]
        for entry in batch:
            known.revisions[entry.key] = revision = known.revisions.get(entry.key, 0) + 1
            reverses = known.last_ids[entry.key] if entry.kind is EntryKind.MIRROR else None
            _add_rows(uow, heads, lines, loan_id, entry, stamp, revision=revision, reverses_id=reverses)
    await insert_rows(uow, entries, heads)
    await insert_rows(uow, transfers, lines)
    return len(heads)


def add_entries(uow: UnitOfWork, new: Mapping[UUID, Sequence[Entry]], stamp: Stamp) -> int:
    """Insert entries of loans with what else is to be written, each with the next revision of its key; returns how many.
    None of them is a mirror, and no two of a loan have the same key."""
    heads: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for loan_id, batch in new.items():
        for entry in batch:
            _add_rows(uow, heads, lines, loan_id, entry, stamp, revision=None, reverses_id=None)
    uow.later(Write(entries, heads, computed=("revision", _NEXT_REVISION)))
    uow.later(Write(transfers, lines))
    return len(heads)


_NEXT_REVISION: Final = (
    "1 + (SELECT coalesce(max(old.revision), 0) FROM journal_entries AS old WHERE old.tenant_id = said.tenant_id "
    "AND old.loan_id = said.loan_id AND old.entry_key = said.entry_key)"
)


def _add_rows(
    uow: UnitOfWork,
    heads: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    loan_id: UUID,
    entry: Entry,
    stamp: Stamp,
    *,
    revision: int | None,
    reverses_id: UUID | None,
) -> None:
    """Add the rows of an entry."""
    entry_id, posting_date = new_id(), stamp.books.posting_date(entry.effective_date)
    heads.append(
        {
            "tenant_id": uow.tenant_id,
            "id": entry_id,
            "loan_id": loan_id,
            "entry_key": entry.key,
            "revision": revision,
            "kind": str(entry.kind),
            "effective_date": entry.effective_date,
            "posting_date": posting_date,
            "business_date": stamp.business_date,
            "payment_id": None if entry.payment_id is None else UUID(entry.payment_id),
            "reverses_id": reverses_id,
            "posted_at": stamp.posted_at,
        }
    )
    lines += [
        {
            "tenant_id": uow.tenant_id,
            "entry_id": entry_id,
            "line": line,
            "loan_id": loan_id,
            "posting_date": posting_date,
            "debit_account": int(moved.debit),
            "credit_account": int(moved.credit),
            "amount": moved.amount,
        }
        for line, moved in enumerate(entry.transfers, 1)
    ]
