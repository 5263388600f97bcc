"""What a correction changes, thing by thing, at the edge: bounded lists, and the totals of all there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Money, Schema
from api.schemas.journal import AccountRef, TransferOut, transfer_of
from api.schemas.status_archive import loan_status_of
from domain.chart import Account
from domain.correction import Change, Correction, Earned
from domain.journal import Entry
from domain.loan import Allocation, Fee, Instalment, InstalmentStatus
from domain.money import format_amount
from domain.restatement import RestatedDay, Restatement
from services.status_archive import Basis, StatusOn

LISTED: Final = 100
"""Entries of each list; a correction of a loan of thirty years changes thousands of things."""

T = TypeVar("T")
S = TypeVar("S")


class InstalmentFigures(Schema):
    due_date: Date
    payment: Money
    principal: Money
    interest: Money
    fees: Money
    principal_paid: Money
    interest_paid: Money
    interest_waived: Money
    fees_paid: Money
    status: InstalmentStatus
    paid_on: Date | None


class InstalmentChange(Schema):
    """What is billed for a due date, and what was paid of it; null where there is no such instalment."""

    number: int
    before: InstalmentFigures | None
    after: InstalmentFigures | None


class AllocationFigures(Schema):
    effective_date: Date
    principal_applied: Money
    interest_applied: Money
    fees_applied: Money
    overpayment: Money = Field(description="kept unapplied")
    due_from_borrower_applied: Money


class AllocationChange(Schema):
    """Where a payment's money went; null where the payment does not count."""

    payment_id: UUID
    before: AllocationFigures | None
    after: AllocationFigures | None


class FeeFigures(Schema):
    assessed_on: Date
    amount: Money
    paid: Money
    waived: Money


class FeeChangeKind(StrEnum):
    """`moved`: assessed on another day; `changed`: in its amount, or in what was paid of it."""

    ASSESSED = "assessed"
    VANISHED = "vanished"
    MOVED = "moved"
    CHANGED = "changed"


class FeeChange(Schema):
    """A fee that changes; null where there is none: it is assessed, or vanishes."""

    key: str = Field(examples=["late_fee:2020-10-09"])
    change: FeeChangeKind
    before: FeeFigures | None
    after: FeeFigures | None


class AccrualChange(Schema):
    """Interest earned in a month, by effective date."""

    month: str = Field(examples=["2020-10"])
    before: Money
    after: Money
    change: Money


class Posting(Schema):
    """An entry that is posted: a mirror takes back the one posted under its key, another replaces it."""

    key: str = Field(examples=["late_fee:2020-10-09"])
    kind: str = Field(examples=["mirror"])
    effective_date: Date
    posting_date: Date = Field(description="the effective date, or the business date where that period is closed")
    period: str = Field(description="the accounting period it is posted in", examples=["2020-10"])
    transfers: list[TransferOut]


class PostedToAccount(AccountRef):
    """What all entries together post to an account."""

    debit: Money
    credit: Money
    net: Money = Field(description="debited less credits")
    first_posting_date: Date
    last_posting_date: Date


class AllocationTotals(Schema):
    """How many payments go elsewhere, and by how much all of them together."""

    count: int
    fees_applied: Money
    interest_applied: Money
    principal_applied: Money
    overpayment: Money


class FeeTotals(Schema):
    count: int
    assessed: Money
    vanished: Money
    moved: int


class AccrualTotals(Schema):
    count: int = Field(description="months")
    change: Money


class Totals(Schema):
    """Counts and sums of all changes, those that are not listed too. Sums are after less before."""

    instalments: int
    allocations: AllocationTotals
    fees: FeeTotals
    accruals: AccrualTotals
    journal: int = Field(description="entries")
    accounts: list[PostedToAccount]


class FigureChange(Schema):
    """A figure of a day. `change`: now less archived, of amounts (a decimal string) and of counts and days."""

    figure: str = Field(examples=["principal_balance"])
    archived: str | int | None
    now: str | int | None
    change: str | int | None


class ChangedDay(Schema):
    as_of: Date
    figures: list[FigureChange]


class FigureDays(Schema):
    figure: str
    days: int


class RestatedArchive(Schema):
    """Archived days on which other figures would be known. The archive itself stays as it was written."""

    archived_days: int = Field(description="days in the archive from the correction's first day on")
    compared_days: int = Field(description="of these, the days that were looked at: fewer where they are very many")
    complete: bool = Field(description="all of them were looked at, so `days` is what will be restated")
    days: int = Field(description="compared days that differ")
    first: Date | None
    last: Date | None
    figures: list[FigureDays]
    key_days: list[ChangedDay] = Field(description="the first and the last day that differ, and month ends between them")


def changes_of(change: Correction, postings: Sequence[tuple[Entry, date]]) -> dict[str, Any]:
    """The lists and totals of a correction: fields of LoanCorrection."""
    return {
        "instalments": _first(change.instalments, _instalment_change),
        "allocations": _first(change.allocations, _allocation_change),
        "fees": _first(change.fees, _fee_change),
        "accruals": _first(change.accruals.items(), _accrual_change),
        "journal": _first(postings, _posting),
        "totals": Totals(
            instalments=len(change.instalments),
            allocations=_allocation_totals(change.allocations),
            fees=_fee_totals(change.fees),
            accruals=AccrualTotals(
                count=len(change.accruals), change=sum(earned.change for earned in change.accruals.values())
            ),
            journal=len(postings),
            accounts=_accounts(postings),
        ),
    }


def archive_of(loan_id: UUID, found: Restatement) -> RestatedArchive:
    """The archived days that a correction would restate."""
    return RestatedArchive(
        archived_days=found.archived,
        compared_days=found.compared,
        complete=found.compared == found.archived,
        days=found.days,
        first=found.first,
        last=found.last,
        figures=[FigureDays(figure=name, days=days) for name, days in found.figures.items()],
        key_days=[_changed_day(loan_id, day) for day in found.key_days],
    )


def _first(items: Iterable[T], build: Callable[[T], S]) -> list[S]:
    return [build(item) for item, _ in zip(items, range(LISTED), strict=False)]


def _instalment_change(change: Change[Instalment]) -> InstalmentChange:
    return InstalmentChange(number=change.there.number, before=_instalment(change.before), after=_instalment(change.after))


def _instalment(row: Instalment | None) -> InstalmentFigures | None:
    if row is None:
        return None
    return InstalmentFigures(**{name: getattr(row, name) for name in InstalmentFigures.model_fields})


def _allocation_change(change: Change[Allocation]) -> AllocationChange:
    return AllocationChange(
        payment_id=UUID(change.there.payment_id),
        before=_allocation(change.before),
        after=_allocation(change.after),
    )


def _allocation(paid: Allocation | None) -> AllocationFigures | None:
    if paid is None:
        return None
    return AllocationFigures(
        effective_date=paid.effective_date,
        principal_applied=paid.principal,
        interest_applied=paid.interest,
        fees_applied=paid.fees,
        overpayment=paid.unapplied,
        due_from_borrower_applied=paid.due_from_borrower,
    )


def _allocation_totals(changes: Sequence[Change[Allocation]]) -> AllocationTotals:
    def total(name: str) -> int:
        sides = [(change.after, 1) for change in changes] + [(change.before, -1) for change in changes]
        return sum(sign * getattr(paid, name) for paid, sign in sides if paid is not None)

    return AllocationTotals(
        count=len(changes),
        fees_applied=total("fees"),
        interest_applied=total("interest"),
        principal_applied=total("principal"),
        overpayment=total("unapplied"),
    )


def _fee_change(change: Change[Fee]) -> FeeChange:
    return FeeChange(key=change.there.key, change=_fee_kind(change), before=_fee(change.before), after=_fee(change.after))


def _fee_kind(change: Change[Fee]) -> FeeChangeKind:
    if change.before is None:
        return FeeChangeKind.ASSESSED
    if change.after is None:
        return FeeChangeKind.VANISHED
    moved = change.before.assessed_on != change.after.assessed_on
    return FeeChangeKind.MOVED if moved else FeeChangeKind.CHANGED


def _fee(fee: Fee | None) -> FeeFigures | None:
    if fee is None:
        return None
    return FeeFigures(assessed_on=fee.assessed_on, amount=fee.amount, paid=fee.paid, waived=fee.waived)


def _fee_totals(changes: Sequence[Change[Fee]]) -> FeeTotals:
    amounts: Counter[FeeChangeKind] = Counter()
    for change in changes:
        amounts[_fee_kind(change)] += change.there.amount
    return FeeTotals(
        count=len(changes),
        assessed=amounts[FeeChangeKind.ASSESSED],
        vanished=amounts[FeeChangeKind.VANISHED],
        moved=sum(_fee_kind(change) is FeeChangeKind.MOVED for change in changes),
    )


def _accrual_change(item: tuple[date, Earned]) -> AccrualChange:
    month, earned = item
    return AccrualChange(month=f"{month:%Y-%m}", before=earned.before, after=earned.after, change=earned.change)


def _posting(item: tuple[Entry, date]) -> Posting:
    entry, posting_date = item
    return Posting(
        key=entry.key,
        kind=str(entry.kind),
        effective_date=entry.effective_date,
        posting_date=posting_date,
        period=f"{posting_date:%Y-%m}",
        transfers=[transfer_of(int(t.debit), int(t.credit), t.amount) for t in entry.transfers],
    )


def _accounts(postings: Sequence[tuple[Entry, date]]) -> list[PostedToAccount]:
    debited: Counter[Account] = Counter()
    credited: Counter[Account] = Counter()
    days: dict[Account, list[date]] = {}
    for entry, posting_date in postings:
        for moved in entry.transfers:
            debited[moved.debit] += moved.amount
            credited[moved.credit] += moved.amount
            for account in (moved.debit, moved.credit):
                days.setdefault(account, []).append(posting_date)
    return [
        PostedToAccount(
            code=int(account),
            name=account.title,
            debit=debited[account],
            credit=credited[account],
            net=debited[account] - credited[account],
            first_posting_date=min(days[account]),
            last_posting_date=max(days[account]),
        )
        for account in sorted(days)
    ]


def _changed_day(loan_id: UUID, day: RestatedDay) -> ChangedDay:
    archived, now = (
        loan_status_of(StatusOn(loan_id, Basis.RESTATED, None, status, ())).model_dump(mode="json")
        for status in (day.archived, day.now)
    )
    figures = [
        FigureChange(
            figure=name,
            archived=archived[name],
            now=now[name],
            change=_difference(getattr(day.archived, name), getattr(day.now, name), is_amount=isinstance(now[name], str)),
        )
        for name in day.differs
    ]
    return ChangedDay(as_of=day.as_of, figures=figures)


def _difference(archived: Any, now: Any, *, is_amount: bool) -> str | int | None:
    """Now less archived; None where there is nothing to subtract. Amounts are minor units, shown as decimal strings."""
    if isinstance(archived, date) and isinstance(now, date):
        return (now - archived).days
    if isinstance(archived, int) and isinstance(now, int):
        return format_amount(now - archived) if is_amount else now - archived
    return None
