"""Reads of the books: a loan's journal, the trial balance, the control accounts against the loans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    TextualSelect,
    Uuid,
    cast,
    column,
    func,
    select,
    text,
    union_all,
)
from sqlalchemy import literal as literal_value
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from domain.history import Known
from infra.db.models.servicing import journal_entries, journal_transfers
from infra.db.queries.paging import newest_first
from infra.db.types import MinorUnits


@dataclass(frozen=True, slots=True)
class JournalFilter:
    """Which entries are wanted; None does not narrow. Days are included.

    posted_from, posted_to: bounds of the posting date. effective_as_of: effective up to it. known_as_of: posted on business
    dates up to a date, or until an instant (UTC).
    """

    posted_from: date | None = None
    posted_to: date | None = None
    effective_as_of: date | None = None
    known_as_of: Known = None


def loan_journal(loan_id: UUID, narrow: JournalFilter, after: UUID | None, limit: int) -> Select[Any]:
    """A loan's entries, newest first, each with its `transfers` (JSON) and `reversed_by_id`, the mirror that took it back
    (where that is wanted too)."""
    entry, moved = journal_entries, journal_transfers
    mirrors = journal_entries.alias("mirrors")
    line = func.jsonb_build_object(
        "debit", moved.c.debit_account, "credit", moved.c.credit_account, "amount", cast(moved.c.amount, String)
    )
    lines = (
        select(func.jsonb_agg(aggregate_order_by(line, moved.c.line)))
        .where(moved.c.entry_id == entry.c.id)
        .scalar_subquery()
    )
    mirror = (
        select(mirrors.c.id)
        .where(mirrors.c.loan_id == entry.c.loan_id, mirrors.c.reverses_id == entry.c.id, *_known(mirrors, narrow))
        .scalar_subquery()
    )
    columns = (entry, lines.label("transfers"), mirror.label("reversed_by_id"))
    statement = select(*columns).where(entry.c.loan_id == loan_id, *_known(entry, narrow))
    if narrow.posted_from is not None:
        statement = statement.where(entry.c.posting_date >= narrow.posted_from)
    if narrow.posted_to is not None:
        statement = statement.where(entry.c.posting_date <= narrow.posted_to)
    if narrow.effective_as_of is not None:
        statement = statement.where(entry.c.effective_date <= narrow.effective_as_of)
    return newest_first(statement, entry.c.id, after, limit)


def _known(entry: FromClause, narrow: JournalFilter) -> list[ColumnElement[bool]]:
    known = narrow.known_as_of
    if known is None:
        return []
    return [(entry.c.posted_at if isinstance(known, datetime) else entry.c.business_date) <= known]


def account_sums(as_of: date) -> Select[Any]:
    """`account`, `debit`, `credit` of every account with transfers posted up to and including `as_of`."""
    moved = journal_transfers
    zero = literal_value(0, MinorUnits())
    sides = union_all(
        select(moved.c.debit_account.label("account"), moved.c.amount.label("debit"), zero.label("credit")).where(
            moved.c.posting_date <= as_of
        ),
        select(moved.c.credit_account, zero, moved.c.amount).where(moved.c.posting_date <= as_of),
    ).subquery()
    return select(
        sides.c.account,
        func.sum(sides.c.debit, type_=MinorUnits()).label("debit"),
        func.sum(sides.c.credit, type_=MinorUnits()).label("credit"),
    ).group_by(sides.c.account)


_CONTROL: Final = """
WITH moves AS (
    SELECT loan_id, debit_account AS account, amount FROM journal_transfers
    UNION ALL
    SELECT loan_id, credit_account, -amount FROM journal_transfers
), ledger AS (
    SELECT loan_id, account, sum(CASE account WHEN 2000 THEN -amount ELSE amount END) AS amount
    FROM moves WHERE account IN (1100, 1110, 1120, 1125, 1126, 1130, 2000, 9100, 9110) GROUP BY loan_id, account
), cached AS (
    SELECT loans.id AS loan_id, control.account, control.amount
    FROM loans, LATERAL (VALUES
        (1100, CASE status WHEN 'charged_off' THEN 0 ELSE principal_balance END),
        (1110, CASE status WHEN 'charged_off' THEN 0 ELSE accrued_interest - non_accrual_interest END),
        (1120, CASE status WHEN 'charged_off' THEN 0 ELSE late_fees END),
        (1125, CASE status WHEN 'charged_off' THEN 0 ELSE nsf_fees END),
        (1126, CASE status WHEN 'charged_off' THEN 0 ELSE other_fees END),
        (1130, due_from_borrower),
        (2000, unapplied_balance),
        (9100, charged_off_balance),
        (9110, non_accrual_interest)
    ) AS control (account, amount)
), compared AS (
    SELECT loan_id, account, coalesce(ledger.amount, 0) AS ledger, coalesce(cached.amount, 0) AS cached
    FROM ledger FULL JOIN cached USING (loan_id, account)
)
SELECT account, sum(ledger) AS ledger, sum(cached) AS loans,
    count(*) FILTER (WHERE ledger <> cached) AS differing,
    (array_agg(loan_id ORDER BY loan_id) FILTER (WHERE ledger <> cached))[1:100] AS loan_ids
FROM compared GROUP BY account ORDER BY account
"""


def control_accounts() -> TextualSelect:
    """Each control account in the journal and in the loans: sums, number of differing loans, ids of the first hundred.

    One statement, so that both sides are of one instant. Own accounts carry loans that are not charged off; what a
    charged-off borrower owes is in 9100, and interest on non-accrual in 9110.
    """
    return text(_CONTROL).columns(
        column("account", Integer),
        column("ledger", MinorUnits()),
        column("loans", MinorUnits()),
        column("differing", Integer),
        column("loan_ids", ARRAY(Uuid)),
    )
