"""The books: a loan's journal, the chart of accounts, the trial balance, the reconciliation."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.engine import RowMapping

from api.deps import Viewer
from api.pagination import Page, Paging, make_page
from api.schemas.base import Date
from api.schemas.journal import (
    AccountRef,
    ChartAccount,
    ControlAccount,
    JournalEntry,
    Reconciliation,
    TransferOut,
    TrialBalance,
    TrialBalanceLine,
)
from domain.chart import Account
from domain.money import parse_amount
from infra.db.queries import journal as queries
from infra.db.queries.loans import loan_owner
from services import ledger

router = APIRouter(tags=["ledger"])


@router.get("/loans/{loan_id}/journal")
async def loan_journal(
    loan_id: UUID,
    caller: Viewer,
    paging: Paging,
    posted_from: Annotated[Date | None, Query(description="posting date on this day or later")] = None,
    posted_to: Annotated[Date | None, Query(description="posting date on this day or earlier")] = None,
) -> Page[JournalEntry]:
    """A loan's journal entries, the newest posted first."""
    async with caller.uow() as uow:
        await uow.one(loan_owner(loan_id), "loan")
        rows = await uow.all(queries.loan_journal(loan_id, paging.after, paging.limit, since=posted_from, until=posted_to))
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


def _account(code: int) -> AccountRef:
    return AccountRef(code=code, name=Account(code).title)


def _entry(row: RowMapping) -> JournalEntry:
    moved: list[dict[str, Any]] = row["transfers"]
    transfers = [
        TransferOut(debit=_account(t["debit"]), credit=_account(t["credit"]), amount=parse_amount(t["amount"]))
        for t in moved
    ]
    names = ("id", "loan_id", "revision", "kind", "effective_date", "posting_date", "business_date", "payment_id")
    return JournalEntry(
        **{name: row[name] for name in (*names, "reverses_id", "reversed_by_id", "posted_at")},
        key=row["entry_key"],
        transfers=transfers,
    )
