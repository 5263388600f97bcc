"""Files of payments at the edge."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.base import Amount, Date, Money, Reason, Schema
from api.schemas.payments import PaymentMethod


class BatchStatus(StrEnum):
    PREVIEWING = "previewing"
    PREVIEWED = "previewed"
    POSTING = "posting"
    POSTED = "posted"
    CANCELLED = "cancelled"


class RowOutcome(StrEnum):
    """`waiting`: not previewed yet; `acceptable` and `unapplied` (some of it would be left over) can be posted;
    `already_there`: recorded before with this external_id; `rejected`: with a reason."""

    WAITING = "waiting"
    ACCEPTABLE = "acceptable"
    UNAPPLIED = "unapplied"
    ALREADY_THERE = "already_there"
    REJECTED = "rejected"
    POSTED = "posted"


class RowSum(Schema):
    """Rows and the sum of their amounts, where those could be read."""

    rows: int
    total: Money


class RejectedSum(RowSum):
    code: str = Field(description="why", examples=["unknown_loan"])


class PaymentBatchItem(Schema):
    """A file of payments."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    status: BatchStatus
    business_date: Date = Field(description="the one it was uploaded on; where a row has no date, it is the row's")
    rows: int
    control_total: Money | None = Field(
        description="what the preview found can be posted: `acceptable` and `unapplied`; null until all rows are previewed"
    )
    cancel_reason: str | None
    created_at: datetime
    posting_at: datetime | None
    finished_at: datetime | None


class PaymentBatch(PaymentBatchItem):
    """A file of payments and what its rows have come to."""

    rows_previewed: int = Field(description="of its `rows`")
    waiting: RowSum = Field(description="yet to be previewed; once cancelled, they never are")
    acceptable: RowSum = Field(description="yet to be posted")
    unapplied: RowSum = Field(description="yet to be posted; some of the money would be left over: look at it first")
    already_there: RowSum = Field(description="recorded before with this external_id: not posted again")
    posted: RowSum
    rejected: RowSum
    rejected_because: list[RejectedSum]
    left: RowSum = Field(description="`acceptable` and `unapplied` together: once cancelled, they are never posted")
    workflow_id: str | None = Field(description="while it is being previewed, and once it is being posted")
    status_url: str | None
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


class PaymentBatchRow(Schema):
    """A row of the file. What could not be read is null."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    line: int = Field(description="of the file; the header is line 1")
    loan_number: str | None
    loan_id: UUID | None
    amount: Money | None
    effective_date: Date | None
    payment_method: PaymentMethod | None
    external_id: str | None
    outcome: RowOutcome
    would_be_unapplied: Money | None = Field(validation_alias="unapplied", description="of the amount, as previewed")
    code: str | None
    reason: str | None = Field(description="why it is rejected")
    payment_id: UUID | None


class PostBatchRequest(Schema):
    """The total as the sender of the file knows it."""

    expected_total: Amount = Field(description="must be the batch's control_total", examples=["12345.67"])


class CancelBatchRequest(Schema):
    reason: Reason
