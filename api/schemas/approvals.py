"""What waits for a second person, at the edge."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Date, Money, Schema
from domain.approval import ApprovalKind, may_decide


class Decision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Approval(Schema):
    """Something somebody asked for that another person decides. `may` is empty for whoever asked."""

    kind: ApprovalKind
    id: UUID = Field(description="of the reversal, or of the payout")
    loan_id: UUID
    loan_number: str
    payment_id: UUID | None = Field(description="the payment to be reversed or refunded; null for a reimbursement")
    amount: Money
    reason: str
    assess_nsf_fee: bool | None = Field(description="of a reversal: whether the program's NSF fee is charged")
    override: bool | None = Field(description="of a payout: it takes what the payment has paid something with")
    requested_by: UUID | None
    requested_by_name: str | None
    requested_on: Date = Field(description="business date")
    requested_at: datetime
    may: list[Decision] = Field(description="what the caller may do")
    approve_url: str = Field(examples=["/api/v1/refunds/772a0622-a4bd-63f6-c938-668877662222/approve"])
    reject_url: str


def approval_of(row: RowMapping, caller: UUID) -> Approval:
    """A line of the list as `caller` sees it."""
    may = list(Decision) if may_decide(row["requested_by"], caller) else []
    reversal = row["kind"] == ApprovalKind.REVERSAL
    url = f"/api/v1/payments/{row['payment_id']}/reversal" if reversal else f"/api/v1/refunds/{row['id']}"
    derived = {"may", "approve_url", "reject_url", "requested_at"}
    own = {name: row[name] for name in Approval.model_fields if name not in derived}
    urls = {"approve_url": f"{url}/approve", "reject_url": f"{url}/reject"}
    return Approval(**own, **urls, requested_at=row["created_at"], may=may)
