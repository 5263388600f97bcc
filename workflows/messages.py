"""What workflows are started with, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class AutopayInput:
    """`drafts`: periods drafted by earlier runs of the same workflow."""

    tenant_id: UUID
    enrolment_id: UUID
    drafts: int = 0


@dataclass(frozen=True, slots=True)
class AutopayStatus:
    """Answer to the query `status`. `waiting_on` is who or what must do something next."""

    step: str
    waiting_on: str
    next_process_date: date | None
    drafts: int


@dataclass(frozen=True, slots=True)
class AutopayResult:
    """How an autopay ended."""

    status: str
    reason: str | None
    drafts: int


@dataclass(frozen=True, slots=True)
class CloseOfBusinessInput:
    """The date to close."""

    tenant_id: UUID
    business_date: date


@dataclass(frozen=True, slots=True)
class CloseOfBusinessStatus:
    """Answer to the query `status`."""

    step: str
    waiting_on: str
    business_date: date


@dataclass(frozen=True, slots=True)
class BusinessDayTickInput:
    """The live tenant whose business date follows the calendar."""

    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class BusinessDayTickStatus:
    """Answer to the query `status`. `today`: the calendar's date, to which the business date is brought."""

    step: str
    waiting_on: str
    business_date: date | None
    today: date | None


@dataclass(frozen=True, slots=True)
class DateAdvanceInput:
    """Move from `from_date` (open now) to `to_date`. `day`: where an earlier run of the same workflow has come to."""

    tenant_id: UUID
    advance_id: UUID
    from_date: date
    to_date: date
    day: date | None = None


@dataclass(frozen=True, slots=True)
class DateAdvanceStatus:
    """Answer to the query `status`. `pending`: enrolments, drafts, cutoffs and payouts that
    `business_date` still waits for."""

    step: str
    waiting_on: str
    business_date: date
    to_date: date
    pending: int


@dataclass(frozen=True, slots=True)
class WebhookInput:
    """A delivery: ids only, what is sent is read when it is sent."""

    tenant_id: UUID
    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Answer to the query `status`. `retry_in`: seconds from the last attempt to the next."""

    step: str
    waiting_on: str
    attempts: int
    retry_in: int | None


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """How a delivery ended."""

    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ReversalInput:
    """The reversal of a payment to be carried through."""

    tenant_id: UUID
    reversal_id: UUID


@dataclass(frozen=True, slots=True)
class ReversalState:
    """Answer to the query `status`, and how a reversal ended. `told`: whether the borrower's letter was sent, or nobody has
    an address to send it to; None while it has not come to that."""

    status: str
    step: str
    waiting_on: str
    told: bool | None


@dataclass(frozen=True, slots=True)
class PayoutInput:
    """The payout to carry out."""

    tenant_id: UUID
    payout_id: UUID


@dataclass(frozen=True, slots=True)
class PayoutProgress:
    """Answer to the query `status`, and how a payout ended. `goes_out_on`: the banking day of the rail."""

    step: str
    waiting_on: str
    goes_out_on: date | None


@dataclass(frozen=True, slots=True)
class RailCutoffInput:
    """The cutoff to carry out: the `number`th of its date."""

    tenant_id: UUID
    cutoff_id: UUID
    business_date: date
    number: int


@dataclass(frozen=True, slots=True)
class RailCutoffState:
    """Answer to the query `status`, and how a cutoff ended. Drafts that were sent, and that did not go out after all."""

    step: str
    waiting_on: str
    sent: int
    kept_back: int


@dataclass(frozen=True, slots=True)
class RailReturnsInput:
    """The bank's file to carry out."""

    tenant_id: UUID
    file_id: UUID


@dataclass(frozen=True, slots=True)
class RailReturnsState:
    """Answer to the query `status`, and the workflow's result. Answers by what became of them; `for_people`: those that
    match no entry, or cannot be acted on without a person; `left` are yet to be taken."""

    step: str
    waiting_on: str
    posted: int
    corrected: int
    repeated: int
    for_people: int
    left: int | None


@dataclass(frozen=True, slots=True)
class PaymentBatchInput:
    """The batch of payments to preview or to post."""

    tenant_id: UUID
    batch_id: UUID


@dataclass(frozen=True, slots=True)
class PaymentBatchStatus:
    """Answer to the query `status`, and the workflow's result. Rows by what became of them; `left` are yet to be posted, or,
    once the batch is cancelled, never will be."""

    step: str
    waiting_on: str
    posted: int
    already_there: int
    rejected: int
    left: int | None


@dataclass(frozen=True, slots=True)
class PaymentBatchPreviewStatus:
    """Answer to the query `status`, and the workflow's result. `rows` in all, `previewed` so far, and how many of those are
    rejected."""

    step: str
    waiting_on: str
    rows: int | None
    previewed: int
    rejected: int


@dataclass(frozen=True, slots=True)
class RestatementInput:
    """The correction of a loan's history whose archived days are to be compared."""

    tenant_id: UUID
    correction_id: UUID


@dataclass(frozen=True, slots=True)
class RestatementState:
    """Answer to the query `status`, and how it ended."""

    step: str
    waiting_on: str
