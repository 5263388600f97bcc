"""The books at the edge."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Money, Schema
from domain.chart import Account


class AccountRef(Schema):
    code: int = Field(examples=[1100])
    name: str = Field(examples=["Loan principal receivable"])


class ChartAccount(AccountRef):
    kind: str = Field(description="asset, liability, income, expense or memo")
    normal_side: str = Field(description="debit or credit")


class TransferOut(Schema):
    """An amount from the credited to the debited account."""

    debit: AccountRef
    credit: AccountRef
    amount: Money


class JournalEntry(Schema):
    """Posted once, never changed. A correction is a mirror (`reverses_id`) and a replacement: the next revision."""

    id: UUID
    loan_id: UUID
    key: str = Field(description="what the entry is about, within the loan", examples=["late_fee:2020-10-09"])
    revision: int
    kind: str = Field(examples=["payment"])
    effective_date: Date
    posting_date: Date
    business_date: Date = Field(description="the business date on which it was posted")
    payment_id: UUID | None
    reverses_id: UUID | None = Field(description="the entry this mirror takes back")
    reversed_by_id: UUID | None = Field(description="the mirror that took this entry back")
    transfers: list[TransferOut]
    posted_at: datetime


class TrialBalanceLine(AccountRef):
    debit: Money
    credit: Money
    balance: Money = Field(description="debits less credits")


class TrialBalance(Schema):
    as_of: Date
    accounts: list[TrialBalanceLine]
    total_debit: Money
    total_credit: Money
    total: Money = Field(description="sum of the balances: always 0.00", examples=["0.00"])


class ControlAccount(AccountRef):
    ledger: Money
    loans: Money = Field(description="sum of the loans' cached balances")
    difference: Money
    differing_loans: int
    loan_ids: list[UUID] = Field(description="the first hundred loans that differ")


class Reconciliation(Schema):
    """Whether the books and the loans say the same, loan by loan."""

    reconciled: bool
    accounts: list[ControlAccount]


class StaleLoan(Schema):
    loan_id: UUID
    differing: list[str] = Field(description="columns of the loan, or schedule, fees, payments", examples=[["schedule"]])


class CacheCheckPage(Schema):
    """What was recomputed: `items` are the loans that differ, none where all is well."""

    checked: int
    items: list[StaleLoan]
    next_cursor: str | None


def transfer_of(debit: int, credit: int, amount: int) -> TransferOut:
    """A transfer between two accounts by their codes, in minor units, as the API answers it."""
    named = [AccountRef(code=code, name=Account(code).title) for code in (debit, credit)]
    return TransferOut(debit=named[0], credit=named[1], amount=amount)
