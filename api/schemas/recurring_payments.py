"""Recurring payments at the edge: fixed amounts that are drafted beside the autopay."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.autopay import SuspendedFor
from api.schemas.base import Amount, Date, Money, Reason, Schema
from domain.autopay import EnrolmentStatus
from domain.autopay_words import terms_in_words
from domain.cadence import DraftFrequency
from services.authorizations import amounts_of, cadence_of

RecurringFrequency = Literal[
    DraftFrequency.WEEKLY,
    DraftFrequency.BIWEEKLY,
    DraftFrequency.SEMIMONTHLY,
    DraftFrequency.MONTHLY,
    DraftFrequency.QUARTERLY,
    DraftFrequency.SEMIANNUAL,
    DraftFrequency.ANNUAL,
    DraftFrequency.SINGLE,
]


class RecurringPaymentRequest(Schema):
    """What is drafted, and when: on each date or, where that is no banking day, on the next one, counting on the date."""

    payment_instrument_id: UUID = Field(description="a bank account of the loan's borrower that is `ach_draftable`")
    amount: Amount = Field(gt=0, examples=["312.50"], description="the last one is no more than pays the loan off")
    frequency: RecurringFrequency
    start_date: Date | None = Field(None, description="the first date; default: the business date")
    end_date: Date | None = Field(None, description="no draft after this day; null: until the loan is paid off")


class CancelRequest(Schema):
    """Why it is cancelled."""

    reason: Reason = "cancelled by staff"


class RecurringPayment(Schema):
    """A recurring payment. `next_payment_date`: when the next draft goes out; null when none is to come."""

    id: UUID
    loan_id: UUID
    payment_instrument_id: UUID
    amount: Money
    frequency: DraftFrequency
    start_date: Date
    end_date: Date | None
    status: EnrolmentStatus
    in_words: str
    next_payment_date: Date | None
    suspended_for: SuspendedFor | None = Field(description="what a suspended one waits for, as of an autopay")
    end_reason: str | None
    created_at: datetime


class RecurringPaymentProcess(RecurringPayment):
    """For staff: the recurring payment and the process that carries it out."""

    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


def recurring_values(row: RowMapping) -> dict[str, Any]:
    """The fields of RecurringPayment from an enrolment's row."""
    computed = ("in_words", "next_payment_date")
    values = {name: row[name] for name in RecurringPayment.model_fields if name not in computed}
    in_words = terms_in_words(cadence_of(row), amounts_of(row))
    return {**values, "in_words": in_words, "next_payment_date": row["next_process_date"]}
