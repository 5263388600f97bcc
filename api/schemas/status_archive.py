"""The status of a loan at the edge. Each figure is defined in docs/glossary.md."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas.base import Bucket, Date, Money, Schema
from domain.loan import LoanStatus
from services.status_archive import Basis, StatusOn


class LoanStatusOn(Schema):
    """What a loan was at the close of `as_of`. docs/glossary.md defines each figure."""

    loan_id: UUID
    as_of: Date
    basis: Basis = Field(description="archived: what was known at that close; restated: what is known of that day now")
    archived_at: datetime | None = Field(description="when the close wrote it; null when it was computed for this answer")
    differs: list[str] = Field(description="figures in which the other basis says something else", examples=[[]])
    status: LoanStatus
    principal_balance: Money = Field(description="unpaid principal balance (UPB)")
    accrued_interest: Money
    interest_accrued_today: Money
    per_diem: Money
    fees_balance: Money
    unapplied_balance: Money
    due_interest: Money
    due_principal: Money
    due_principal_and_interest: Money
    due_fees: Money
    amount_due: Money
    past_due_amount: Money
    past_due_30_amount: Money
    days_past_due: int
    delinquency_bucket: Bucket
    delinquency_bucket_balance: Money | None
    last_current_date: Date | None
    last_current_30_date: Date | None
    first_delinquency_date: Date | None
    delinquency_count: int
    delinquent_days: int
    delinquency_percent: Money = Field(description="percent, with 2 decimals", examples=["68.03"])
    next_payment_date: Date | None
    next_payment_amount: Money
    last_payment_date: Date | None
    last_payment_amount: Money | None
    total_paid: Money
    payoff_amount: Money | None
    payoff_fees: Money | None
    period_start: Date | None
    period_end: Date | None
    periods_remaining: int
    final_payment_date: Date | None
    final_payment_amount: Money
    loan_age: int = Field(description="days since the contract date")
    loan_recency: int | None = Field(description="days since the last payment")
    net_charge_off: Money
    last_human_activity_date: Date | None


def loan_status_of(found: StatusOn) -> LoanStatusOn:
    """A status as the API answers it."""
    return LoanStatusOn(
        loan_id=found.loan_id,
        basis=found.basis,
        archived_at=found.archived_at,
        differs=list(found.differs),
        **asdict(found.status),
    )
