"""Payments at the edge."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Amount, Date, Money, Schema
from api.schemas.payouts import Payout
from domain.payments import PaymentStatus


class PaymentMethod(StrEnum):
    ACH = "ach"
    WIRE = "wire"
    CHECK = "check"
    CARD = "card"
    CASH = "cash"
    OTHER = "other"


ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class PaymentRequest(Schema):
    """Money that was received."""

    amount: Amount = Field(gt=0, examples=["500.00"])
    payment_method: PaymentMethod = Field(examples=["ach"])
    payment_instrument_id: UUID | None = Field(
        None,
        description="an instrument of the loan's borrower that the method takes: a bank account for ach, wire and check, a "
        "card for card, either for other, none for cash",
    )
    effective_date: Date | None = Field(None, description="when the money counts; default: the tenant's business date")
    external_id: ExternalId | None = Field(
        None,
        description="your id of the payment, for ever: the same request again answers 200 with the first payment, "
        "another request with it 409",
        examples=["PMT-EXT-001"],
    )


class PreviewRequest(Schema):
    amount: Amount = Field(gt=0, examples=["500.00"])
    payment_method: PaymentMethod | None = Field(None, description="changes nothing but whether the instrument fits it")
    payment_instrument_id: UUID | None = Field(None, description="an instrument of the loan's borrower")
    effective_date: Date | None = Field(None, description="default: the tenant's business date")


class PaymentPreview(Schema):
    """What recording the payment would do. `overpayment` is what nothing owed would take: it stays unapplied."""

    amount: Money
    principal_applied: Money
    interest_applied: Money
    fees_applied: Money
    remaining_principal: Money
    overpayment: Money
    due_from_borrower_applied: Money


class Payment(Schema):
    """A payment and what it paid, as it stands: a payment recorded later with an earlier date can change that."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    loan_id: UUID
    amount: Money
    payment_method: PaymentMethod
    status: PaymentStatus
    settlement_status: str = Field(description="not_applicable, in_transit, settled or returned")
    source: str = Field(description="staff, autopay or portal")
    effective_date: Date
    external_id: str | None
    payment_instrument_id: UUID | None
    principal_applied: Money
    interest_applied: Money
    fees_applied: Money
    overpayment: Money = Field(validation_alias="unapplied_amount", description="kept unapplied")
    due_from_borrower_applied: Money = Field(description="what repaid money the borrower had got without a right to it")
    refunded_amount: Money = Field(description="given back of it: approved, sent or on its way")
    return_code: str | None = Field(None, description="why the bank took it back, such as R01; of a returned payment")
    recorded_business_date: Date
    created_at: datetime


class AllocationLine(Schema):
    """Principal without an instalment is a curtailment."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    component: str = Field(description="fees, interest or principal")
    amount: Money
    instalment_number: int | None
    fee_key: str | None


class PaymentDetail(Payment):
    allocations: list[AllocationLine]
    refunds: list[Payout] = Field(description="also those that wait for approval or were rejected; the oldest first")
