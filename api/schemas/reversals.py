"""Reversals of payments at the edge."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Date, Flag, Money, Reason, Schema
from api.schemas.corrections import CorrectionPreview, LoanCorrection, Restated
from domain.reversal import AutopayOutcome, NoticeOutcome, ReversalStatus, ReversalStep, waiting_on


class ReverseRequest(Schema):
    reason: Reason = Field(examples=["nsf"])
    assess_nsf_fee: Flag = Field(False, description="charge the program's NSF fee, on the business date")


class ApprovalRequest(Schema):
    reason: Reason | None = Field(None, examples=["The bank's notice is in the file"])


class RejectionRequest(Schema):
    reason: Reason = Field(examples=["The cheque was honoured after all"])


class ReversalPreview(CorrectionPreview):
    """What reversing would change, and whether it would be done at once."""

    approval_needed: bool = Field(description="the payment is above the lender's limit: a second person decides first")


class PaymentReversed(LoanCorrection):
    """What reversing changed, and the process that does what follows from it."""

    reversal_id: UUID
    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


class ReversalWorkflowState(Schema):
    """What the workflow itself says."""

    status: str
    step: str
    waiting_on: str
    told: bool | None


class Reversal(Schema):
    """A reversal of a payment: where it is, who has to do something, and what was done."""

    id: UUID
    payment_id: UUID
    loan_id: UUID
    amount: Money
    reason: str
    assess_nsf_fee: bool
    status: ReversalStatus
    step: ReversalStep
    waiting_on: str = Field(examples=["a second person"])
    waiting_since: datetime
    requested_by: UUID | None
    requested_on: Date = Field(description="business date")
    requested_at: datetime
    decided_by: UUID | None = Field(description="who approved or rejected it; null while it waits, or where nobody had to")
    decided_at: datetime | None
    decision_reason: str | None
    applied_on: Date | None = Field(description="business date on which the payment was reversed")
    nsf_fee: Money | None = Field(description="what was charged for the return")
    loan_reopened: bool | None = Field(description="whether the loan had been paid off")
    autopay: AutopayOutcome | None = Field(
        description="none: there is none; told: it looked again, its next date stays; replanned: an earlier date is "
        "drafted; ended: it was completed with the loan and does not begin again by itself; null: not come to yet"
    )
    autopay_enrolment_id: UUID | None
    restated: Restated
    notice: NoticeOutcome | None = Field(description="the borrower's letter; null while it has not come to that")
    finished_at: datetime | None
    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")
    workflow: ReversalWorkflowState | None = Field(None, description="null when Temporal or its worker does not answer")


_NAMED_OTHERWISE = {"waiting_since": "step_since", "requested_at": "created_at", "autopay": "autopay_outcome"}
_NOT_OF_THE_ROW = {"waiting_on", "restated", "workflow_id", "status_url", "ui_url", "workflow"}


def reversal_of(row: RowMapping, restated: Restated, workflow_id: str, status_url: str, ui_url: str | None) -> Reversal:
    """A reversal as the API shows it, from its row, its restated days and its workflow's addresses."""
    own = {name: row[_NAMED_OTHERWISE.get(name, name)] for name in Reversal.model_fields if name not in _NOT_OF_THE_ROW}
    return Reversal(
        **own,
        waiting_on=waiting_on(ReversalStep(row["step"])),
        restated=restated,
        workflow_id=workflow_id,
        status_url=status_url,
        ui_url=ui_url,
    )
