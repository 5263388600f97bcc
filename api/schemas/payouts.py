"""Refunds and reimbursements at the edge."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Amount, Date, Flag, Money, Reason, Schema
from api.schemas.corrections import CorrectionPreview
from api.schemas.corrections import preview_of as correction_preview_of
from domain.payouts import PayoutKind, PayoutStatus, progress
from services.payouts import Asked


class RefundRequest(Schema):
    """How much of a payment goes back to the borrower."""

    amount: Amount = Field(gt=0, examples=["500.00"])
    reason: Reason = Field(examples=["Customer overpayment"])
    override: Flag = Field(
        False, description="also what the payment has paid something with: that is owed again, from the payment's day on"
    )


class ReimbursementRequest(Schema):
    """Money of the lender's own for the borrower, in goodwill. It pays nothing of the loan."""

    amount: Amount = Field(gt=0, examples=["100.00"])
    reason: Reason = Field(examples=["Fee waiver reimbursement"])


class RejectRequest(Schema):
    reason: Reason = Field(examples=["The payment was not an overpayment"])


class PayoutPreview(Schema):
    """What a payout would be, and all that approving it changes in the loan."""

    amount: Money
    status: PayoutStatus = Field(description="pending_approval: it is above the approval limit, and nothing is posted yet")
    override: bool = Field(description="it takes what the payment has paid something with")
    correction: CorrectionPreview


class CancelRequest(Schema):
    reason: Reason = Field(examples=["The borrower asked to keep it on the loan"])


class Payout(Schema):
    """Money that goes to a borrower: a refund of a payment, or a reimbursement."""

    id: UUID
    loan_id: UUID
    payment_id: UUID | None = Field(description="the payment that is refunded; null for a reimbursement")
    kind: PayoutKind
    amount: Money
    reason: str
    override: bool = Field(description="it takes what the payment has paid something with")
    status: PayoutStatus
    step: str = Field(examples=["on the rail"])
    waiting_on: str = Field(description="who or what must do something next", examples=["the business date 2026-02-16"])
    requested_by: UUID | None
    requested_on: Date
    decided_by: UUID | None = Field(description="the second person, where the amount needed one")
    decision_reason: str | None
    approved_on: Date | None
    goes_out_on: Date | None = Field(description="the banking day on which the rail sends it")
    sent_on: Date | None
    cancelled_by: UUID | None
    cancelled_on: Date | None = Field(description="business date on which it was taken back, before the rail had it")
    cancel_reason: str | None
    told_at: datetime | None = Field(description="when the borrower was told that it was sent")
    created_at: datetime


class PayoutWorkflowState(Schema):
    """What the workflow itself says."""

    step: str
    waiting_on: str
    goes_out_on: Date | None


class PayoutProcess(Payout):
    """A payout and the process that carries it out, which starts when it is approved."""

    workflow_id: str | None = Field(description="null until it is approved")
    status_url: str | None
    ui_url: str | None = Field(description="the workflow in Temporal's UI")
    workflow: PayoutWorkflowState | None = Field(None, description="null when Temporal or its worker does not answer")


def payout_values(row: RowMapping) -> dict[str, Any]:
    """The fields of Payout from its row."""
    step, waiting_on = progress(PayoutStatus(row["status"]), row["goes_out_on"])
    derived = {"step": step, "waiting_on": waiting_on}
    return {name: derived[name] if name in derived else row[name] for name in Payout.model_fields}


def preview_of(amount: int, asked: Asked) -> PayoutPreview:
    """A preview as the API answers it."""
    correction = correction_preview_of(asked.corrected)
    return PayoutPreview(amount=amount, status=asked.status, override=asked.override, correction=correction)
