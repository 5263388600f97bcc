"""How drafts go to a bank and come back, at the edge."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.autopay import TimeOfDay
from api.schemas.base import Date, Money, Reason, Schema
from domain.cases import CaseKind, CaseStatus
from domain.nacha import SecCode
from domain.rails import RailKind


class OriginatorBody(Schema):
    """The lender as its bank knows it: what stands in the headers of its files."""

    destination_routing: str = Field(description="routing number of the bank that takes the files", examples=["091000019"])
    destination_name: str = Field(max_length=100, examples=["First Bank"])
    origin: str = Field(description="the immediate origin, most often 1 and the employer number", examples=["1123456789"])
    origin_name: str = Field(max_length=100, examples=["Example Lending"])
    company_name: str = Field(
        max_length=100, description="as the borrower's statement shows it", examples=["Example Lending"]
    )
    company_id: str = Field(examples=["1123456789"])
    odfi_routing: str = Field(description="of the bank that originates; begins every trace number", examples=["091000019"])


class RailSettingsBody(Schema):
    """How drafts go out."""

    rail: RailKind = Field(description="`sandbox`: a bank with scripted outcomes; `nacha`: a file for the lender's bank")
    cutoff_time: TimeOfDay = Field(
        description="of a live lender, in its zone; a sandbox's cutoff comes when its date moves. After the process times "
        "that its autopays have chosen"
    )
    sec_code: SecCode = Field(SecCode.WEB, description="how borrowers authorize: WEB over the internet, PPD in writing")
    originator: OriginatorBody | None = Field(None, description="needed for `nacha`")


class RailSettingsRequest(RailSettingsBody):
    reason: Reason | None = Field(None, description="why; kept in the audit trail")


class RailFile(Schema):
    """The file of a cutoff. Its bytes are made from the cutoff's entries, and are always those of `sha256`."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    name: str
    business_date: Date
    cutoff: int = Field(validation_alias="number", description="which of its date's cutoffs")
    entries: int
    amount: Money = Field(description="what the entries add up to: all are debits")
    effective_date: Date = Field(description="when the entries are meant to settle")
    id_modifier: str
    sha256: str
    size: int = Field(description="bytes")
    created_at: datetime
    stored_at: datetime | None = Field(description="since when it lies in the store for the bank")
    acknowledged_at: datetime | None


class AnswerOutcome(StrEnum):
    """`posted`: the payment was taken back. `corrected`: the account is as the bank says. `repeated`: said before, nothing
    changed. `unmatched`: of no entry of ours. `review`: a person has to look at it. The last two say why."""

    PENDING = "pending"
    POSTED = "posted"
    CORRECTED = "corrected"
    REPEATED = "repeated"
    UNMATCHED = "unmatched"
    REVIEW = "review"


class ReturnFileAnswer(Schema):
    """What the bank says of an entry of ours."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    line: int
    kind: str = Field(description="return, change (a notification of change) or unknown")
    code: str = Field(examples=["R01"])
    title: str = Field(description="what the code means", examples=["Insufficient Funds"])
    original_trace: str | None = Field(description="of the entry that it is about")
    answered_on: Date
    amount: Money | None
    outcome: AnswerOutcome
    reason: str | None
    payment_id: UUID | None
    loan_id: UUID | None


class ReturnFileItem(Schema):
    """A file that the bank sent back, and how many of its answers have come to what."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    status: str = Field(description="received, or done")
    origin: str = Field(description="who sent it, as its header says")
    created_on: Date = Field(description="as its header says")
    received_on: Date
    sha256: str
    size: int
    created_at: datetime
    finished_at: datetime | None
    pending: int
    posted: int
    corrected: int
    repeated: int
    unmatched: int
    review: int


class ReturnFile(ReturnFileItem):
    """A file that the bank sent back, with all it says."""

    answers: list[ReturnFileAnswer]
    workflow_id: str
    status_url: str
    ui_url: str | None = Field(description="the workflow in Temporal's UI")


class Case(Schema):
    """Something that people have to look at."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    id: UUID
    kind: CaseKind
    loan_id: UUID
    payment_id: UUID | None
    status: CaseStatus
    opened_on: Date
    detail: str
    resolution: str | None
    resolved_by: UUID | None
    ended_on: Date | None
    created_at: datetime


class ResolveCaseRequest(Schema):
    resolution: Reason = Field(description="how it was dealt with")
