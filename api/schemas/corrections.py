"""Corrections of a loan's history at the edge, and the history itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Date, Money, Reason, Schema
from api.schemas.correction_changes import (
    AccrualChange,
    AllocationChange,
    FeeChange,
    InstalmentChange,
    Posting,
    RestatedArchive,
    Totals,
    archive_of,
    changes_of,
)
from domain.loan import LoanState, LoanStatus
from domain.restatement import CorrectionKind
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


class LoanCorrection(Schema):
    """All that a correction changes. `journal` is what is posted with it, the interest of the business date included.

    Each list has its first entries only, at most a hundred; `totals` counts and sums them all.
    """

    loan_id: UUID
    before: Figures
    after: Figures
    instalments: list[InstalmentChange]
    allocations: list[AllocationChange]
    fees: list[FeeChange]
    accruals: list[AccrualChange]
    journal: list[Posting]
    totals: Totals


class CorrectionPreview(LoanCorrection):
    """What a correction would change. `archive` says which archived days a process would restate after it."""

    archive: RestatedArchive


class CorrectionDone(LoanCorrection):
    """What a correction changed, and the process that records which archived days it restates."""

    correction_id: UUID
    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


class RestatedDays(Schema):
    """How many archived days a correction restates, from when to when."""

    days: int
    first: Date | None
    last: Date | None


class Restated(RestatedDays):
    """The archived days on which other figures are known now. The archive stays as it was written; the status of such a day
    with the basis `restated` says what is known now."""

    figures: list[str] = Field(description="names of figures of the status", examples=[["days_past_due"]])


class CorrectionLine(Schema):
    """A correction of a loan's history, and how far its archived days were compared."""

    id: UUID
    loan_id: UUID
    payment_id: UUID | None
    kind: CorrectionKind
    since: Date = Field(description="the first day that can be otherwise by it")
    applied_on: Date = Field(description="business date")
    events_through: int = Field(description="number of its last event in the loan's history")
    requested_by: UUID | None
    created_at: datetime
    restated_through: Date | None = Field(description="the last archived day that was compared")
    finished_at: datetime | None = Field(description="when no day was left to compare")
    restated: RestatedDays


class CorrectionState(CorrectionLine):
    """A correction, and the figures of the archived days that it restates."""

    restated: Restated


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
    return LoanCorrection(**_values(corrected))


def preview_of(corrected: Corrected) -> CorrectionPreview:
    """A correction that is previewed."""
    assert corrected.restatement is not None
    return CorrectionPreview(**_values(corrected), archive=archive_of(corrected.loan_id, corrected.restatement))


def _values(corrected: Corrected) -> dict[str, Any]:
    change = corrected.correction
    before, after = _figures(change.before), _figures(change.after)
    return {"loan_id": corrected.loan_id, "before": before, "after": after, **changes_of(change, corrected.postings)}


def correction_line_of(row: RowMapping) -> CorrectionLine:
    """A correction of a list, from its row with the counts of its restated days."""
    names = [name for name in CorrectionLine.model_fields if name != "restated"]
    days = RestatedDays(**{name: row[name] for name in RestatedDays.model_fields})
    return CorrectionLine(**{name: row[name] for name in names}, restated=days)


def restated_of(days: RowMapping, figures: Sequence[RowMapping]) -> Restated:
    """The restated days of a correction, from their counts and the names of their figures."""
    return Restated(**days, figures=[item["name"] for item in figures])


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
