"""The books: a loan's journal, the chart of accounts, the trial balance, the reconciliation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.engine import RowMapping

from api.as_of import KnownAsOf
from api.deps import Admin, Caller, Viewer
from api.pagination import Page, Paging, encode_cursor, make_page
from api.schemas.base import Date
from api.schemas.journal import (
    CacheCheckPage,
    ChartAccount,
    ControlAccount,
    JournalEntry,
    Reconciliation,
    StaleLoan,
    TrialBalance,
    TrialBalanceLine,
    transfer_of,
)
from domain.chart import Account
from domain.errors import InvalidInput
from domain.money import parse_amount
from infra.db.queries import journal as queries
from infra.db.queries.ledger_export import ledger_csv
from infra.db.queries.loans import loan_owner
from services import ledger
from services.cache_check import check_cache

router = APIRouter(tags=["ledger"])


@router.get("/loans/{loan_id}/journal")
async def loan_journal(
    loan_id: UUID,
    caller: Viewer,
    paging: Paging,
    known_as_of: KnownAsOf,
    posted_from: Annotated[Date | None, Query(description="posting date on this day or later")] = None,
    posted_to: Annotated[Date | None, Query(description="posting date on this day or earlier")] = None,
    effective_as_of: Annotated[Date | None, Query(description="effective on this day or earlier")] = None,
) -> Page[JournalEntry]:
    """A loan's journal entries, the newest posted first; `known_as_of` shows what was posted by then."""
    narrow = queries.JournalFilter(posted_from, posted_to, effective_as_of, known_as_of)
    async with caller.uow() as uow:
        await uow.one(loan_owner(loan_id), "loan")
        rows = await uow.all(queries.loan_journal(loan_id, narrow, paging.after, paging.limit))
    return make_page(rows, paging, _entry)


@router.get("/gl/accounts")
async def list_accounts(caller: Viewer) -> list[ChartAccount]:
    """The chart of accounts."""
    return [
        ChartAccount(code=account, name=account.title, kind=account.kind, normal_side=account.normal_side)
        for account in Account
    ]


@router.get("/gl/trial-balance")
async def trial_balance(
    caller: Viewer, as_of: Annotated[Date | None, Query(description="default: the business date")] = None
) -> TrialBalance:
    """Every account's debits, credits and balance, posted up to and including a day."""
    async with caller.uow() as uow:
        on = as_of or await uow.business_date()
        balances = await ledger.trial_balance(uow, on)
    lines = [
        TrialBalanceLine(code=item.account, name=item.account.title, debit=item.debit, credit=item.credit, balance=item.net)
        for item in balances
    ]
    return TrialBalance(
        as_of=on,
        accounts=lines,
        total_debit=sum(item.debit for item in balances),
        total_credit=sum(item.credit for item in balances),
        total=sum(item.net for item in balances),
    )


@router.get("/gl/export", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
async def export_ledger(
    caller: Viewer,
    first: Annotated[Date, Query(alias="from", description="posting date on this day or later")],
    last: Annotated[Date, Query(alias="to", description="posting date on this day or earlier")],
) -> StreamingResponse:
    """The general ledger as CSV, a line a transfer; its sums are the change of the trial balance between the two days.

    Text that a spreadsheet would take for a formula begins with an apostrophe. What is exported of closed periods is the
    same for ever.
    """
    if last < first:
        raise InvalidInput.at("/to", f"must not be before {first}")
    chunks = _exported(caller, first, last)
    begun = await anext(chunks, b"")  # so that a refusal of the database is still answered as one
    name = f"ledger-{first}-{last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_rest(begun, chunks), media_type="text/csv", headers=headers)


@router.get("/gl/cache-check")
async def cache_check(caller: Admin, paging: Paging) -> CacheCheckPage:
    """Recompute the next loans from their events and name those whose stored balances, schedule, fees or payments differ."""
    async with caller.uow() as uow:
        found = await check_cache(uow, paging.after, paging.limit)
    return CacheCheckPage(
        checked=found.checked,
        items=[StaleLoan(loan_id=item.loan_id, differing=list(item.differing)) for item in found.stale],
        next_cursor=None if found.cursor is None else encode_cursor(found.cursor),
    )


@router.get("/gl/reconciliation")
async def reconciliation(caller: Viewer) -> Reconciliation:
    """The control accounts of the general ledger against the loans, computed now."""
    async with caller.uow() as uow:
        controls = await ledger.reconcile(uow)
    return Reconciliation(
        reconciled=ledger.reconciled(controls),
        accounts=[
            ControlAccount(
                code=item.account,
                name=item.account.title,
                ledger=item.ledger,
                loans=item.loans,
                difference=item.ledger - item.loans,
                differing_loans=item.differing,
                loan_ids=list(item.loan_ids),
            )
            for item in controls
        ],
    )


async def _exported(caller: Caller, first: date, last: date) -> AsyncIterator[bytes]:
    async with caller.uow() as uow:
        async for chunk in ledger_csv(uow, first, last):
            yield chunk


async def _rest(begun: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in chunks:
        yield chunk


def _entry(row: RowMapping) -> JournalEntry:
    moved: list[dict[str, Any]] = row["transfers"]
    transfers = [transfer_of(t["debit"], t["credit"], parse_amount(t["amount"])) for t in moved]
    names = ("id", "loan_id", "revision", "kind", "effective_date", "posting_date", "business_date", "payment_id")
    return JournalEntry(
        **{name: row[name] for name in (*names, "reverses_id", "reversed_by_id", "posted_at")},
        key=row["entry_key"],
        transfers=transfers,
    )
