"""Corrections of a loan's history at the edge, and the history itself."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Money, Reason, Schema
from api.schemas.journal import TransferOut, transfer_of
from domain.correction import Change
from domain.journal import Entry
from domain.loan import Allocation, Fee, LoanState, LoanStatus
from services.corrections import Corrected


class BackdateRequest(Schema):
    effective_date: Date = Field(description="the day from which the payment counts")
    reason: Reason | None = Field(None, examples=["The cheque arrived on the 10th"])


class VoidRequest(Schema):
    reason: Reason = Field(examples=["The fee was charged to the wrong loan"])


class LoanEvent(Schema):
    """A line of a loan's history. One that is superseded does not stand any more: another took its place, or voided it."""

    number: int = Field(description="order of recording within the loan")
    kind: str = Field(description="voided: it takes the event it supersedes back", examples=["payment_received"])
    effective_date: Date
    data: dict[str, Any] = Field(description="what happened, by kind", examples=[{"amount": "500.00"}])
    position: int = Field(description="place among the events of a day: the number of the first event of its chain")
    supersedes: int | None = Field(description="number of the event it takes the place of")
    superseded_by: int | None = Field(description="number of the event that took its place")
    reason: str | None
    recorded_by: UUID | None
    recorded_at: datetime
    recorded_business_date: Date


class Figures(Schema):
    """Where a loan stands at the close of the business date."""

    status: LoanStatus
    principal_balance: Money
    accrued_interest: Money
    fees_balance: Money
    unapplied_balance: Money
    past_due_amount: Money
    days_past_due: int
    delinquency_bucket: str
    next_payment_date: Date | None
    next_payment_amount: Money
    paid_off_on: Date | None
    total_paid: Money


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


class FeeChange(Schema):
    """A fee that changes; null where there is none: it appears, or vanishes."""

    key: str = Field(examples=["late_fee:2020-10-09"])
    before: FeeFigures | None
    after: FeeFigures | None


class AccrualChange(Schema):
    month: str = Field(examples=["2020-10"])
    change: Money = Field(description="of the interest earned in the month")


class Posting(Schema):
    """An entry that is posted: a mirror takes back the one posted under its key, another replaces it."""

    key: str = Field(examples=["late_fee:2020-10-09"])
    kind: str = Field(examples=["mirror"])
    effective_date: Date
    posting_date: Date = Field(description="the effective date, or the business date where that period is closed")
    transfers: list[TransferOut]


class LoanCorrection(Schema):
    """All that a correction changes. `journal` is what is posted with it, the interest of the business date included."""

    loan_id: UUID
    before: Figures
    after: Figures
    allocations: list[AllocationChange]
    fees: list[FeeChange]
    accruals: list[AccrualChange]
    journal: list[Posting]


class Equivalence(Schema):
    """Hashes of the loan's state: as it is stored, as its whole history gives it, and as a fresh loan with only the events
    that still stand would have it."""

    loan_id: UUID
    as_of: Date
    cached: str | None = Field(description="null while nothing is stored")
    replayed: str
    fresh: str
    equal: bool


def correction_of(corrected: Corrected) -> LoanCorrection:
    """A correction as the API answers it."""
    change = corrected.correction
    return LoanCorrection(
        loan_id=corrected.loan_id,
        before=_figures(change.before),
        after=_figures(change.after),
        allocations=[_allocation_change(item) for item in change.allocations],
        fees=[_fee_change(item) for item in change.fees],
        accruals=[AccrualChange(month=f"{month:%Y-%m}", change=delta) for month, delta in change.accruals.items()],
        journal=[_posting(entry, on) for entry, on in corrected.postings],
    )


def _figures(state: LoanState) -> Figures:
    return Figures(
        status=state.status,
        principal_balance=state.principal_balance,
        accrued_interest=state.accrued_interest,
        fees_balance=state.fees_balance,
        unapplied_balance=state.unapplied,
        past_due_amount=state.past_due_amount,
        days_past_due=state.days_past_due,
        delinquency_bucket=state.delinquency_bucket,
        next_payment_date=state.next_due_date,
        next_payment_amount=state.next_due_amount,
        paid_off_on=state.paid_off_on,
        total_paid=state.total_paid,
    )


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


def _fee_change(change: Change[Fee]) -> FeeChange:
    return FeeChange(key=change.there.key, before=_fee(change.before), after=_fee(change.after))


def _fee(fee: Fee | None) -> FeeFigures | None:
    if fee is None:
        return None
    return FeeFigures(assessed_on=fee.assessed_on, amount=fee.amount, paid=fee.paid, waived=fee.waived)


def _posting(entry: Entry, posting_date: date) -> Posting:
    return Posting(
        key=entry.key,
        kind=str(entry.kind),
        effective_date=entry.effective_date,
        posting_date=posting_date,
        transfers=[transfer_of(int(t.debit), int(t.credit), t.amount) for t in entry.transfers],
    )
