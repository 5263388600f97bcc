"""Autopay at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Amount, Date, Flag, Money, Schema
from domain.autopay import AmountType, DraftStatus, EnrolmentStatus


class AutopayRequest(Schema):
    """An authorization to draft a bank account on the loan's due dates."""

    payment_instrument_id: UUID = Field(description="a bank account of the loan's borrower that is `ach_draftable`")
    amount_type: AmountType = Field(
        AmountType.NEXT_DUE, description="next_due: what brings the loan current on its due date; static: `amount`"
    )
    amount: Amount | None = Field(None, description="for static only; never more than the payoff is drafted")
    start_date: Date | None = Field(None, description="default: the business date")
    end_date: Date | None = Field(None, description="no draft after this day")


class PauseRequest(Schema):
    """How long to pause."""

    paused_until: Date | None = Field(None, description="the business date it resumes on by itself; default: until resumed")


class AutopayChange(Schema):
    """What a borrower changes: one or more of these."""

    enabled: Flag | None = Field(None, description="false pauses, true resumes")
    amount_type: AmountType | None = None
    amount: Amount | None = None
    payment_instrument_id: UUID | None = None


class Draft(Schema):
    """One draft. `amount` is 0.00 where nothing was drafted; `reason` says why."""

    id: UUID
    process_date: Date
    amount: Money
    status: DraftStatus
    reason: str | None
    payment_id: UUID | None


class Autopay(Schema):
    """An enrolment with its last drafts, the newest first."""

    id: UUID
    loan_id: UUID
    status: EnrolmentStatus
    amount_type: AmountType
    amount: Money | None
    payment_instrument_id: UUID | None
    start_date: Date
    end_date: Date | None
    next_process_date: Date | None = Field(description="when the next draft goes out: a due date, or the banking day after")
    paused_until: Date | None
    end_reason: str | None
    created_at: datetime
    drafts: list[Draft]


class AutopayWorkflowState(Schema):
    """What the workflow itself says."""

    step: str
    waiting_on: str
    next_process_date: Date | None
    drafts: int


class AutopayProcess(Autopay):
    """For staff: the enrolment and the process that carries it out."""

    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")
    workflow: AutopayWorkflowState | None = Field(None, description="null when Temporal or its worker does not answer")


def autopay_values(row: RowMapping, drafts: Sequence[RowMapping]) -> dict[str, Any]:
    """The fields of Autopay from an enrolment's row and its drafts."""
    values = {name: row[name] for name in Autopay.model_fields if name != "drafts"}
    listed = [Draft(**{name: draft[name] for name in Draft.model_fields}) for draft in drafts]
    return {**values, "drafts": listed}
