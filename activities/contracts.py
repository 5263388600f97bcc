"""What workflows may ask of activities: typed inputs and outputs, and a stub a name. No I/O here: workflows import it.

activities/registry.py holds an implementation for each stub, with the same signature; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from temporalio import activity

from domain.autopay import Plan, PreparedDraft
from domain.payouts import PayoutPlan
from domain.rails import CutoffPlan, CutoffProgress
from domain.reversal import ReversalStatus, ReversalStep
from domain.webhooks import Progress


@dataclass(frozen=True, slots=True)
class EnrolmentRef:
    """One autopay enrolment of a tenant."""

    tenant_id: UUID
    enrolment_id: UUID


@dataclass(frozen=True, slots=True)
class PeriodRef:
    """One period of an enrolment: the draft that goes out on `process_date`."""

    tenant_id: UUID
    enrolment_id: UUID
    process_date: date


@dataclass(frozen=True, slots=True)
class Prepared:
    """The draft of the period, and what the enrolment waits for now."""

    draft: PreparedDraft
    plan: Plan


@dataclass(frozen=True, slots=True)
class CutoffRef:
    """One cutoff of a tenant."""

    tenant_id: UUID
    cutoff_id: UUID


@dataclass(frozen=True, slots=True)
class ReturnFileRef:
    """One file from a tenant's bank."""

    tenant_id: UUID
    file_id: UUID


@dataclass(frozen=True, slots=True)
class ReturnsProgress:
    """How far a bank's file has come: its answers by what became of them."""

    posted: int
    corrected: int
    repeated: int
    for_people: int
    left: int


@dataclass(frozen=True, slots=True)
class DueCutoff:
    """A cutoff that a sandbox runs before its date closes."""

    id: UUID
    business_date: date
    number: int


@dataclass(frozen=True, slots=True)
class PayoutRef:
    """One payout of a tenant."""

    tenant_id: UUID
    payout_id: UUID


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """A tenant's business date."""

    tenant_id: UUID
    business_date: date


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant (UTC) at which a tenant's calendar is asked for."""

    tenant_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """A tenant's open business date, and the calendar's date in its zone."""

    business_date: date
    today: date


@dataclass(frozen=True, slots=True)
class CloseRound:
    """A tenant's business date, and how long to go on closing it before coming back."""

    tenant_id: UUID
    business_date: date
    seconds: int


@dataclass(frozen=True, slots=True)
class AdvanceRef:
    """A request to move a sandbox's business date."""

    tenant_id: UUID
    advance_id: UUID


@dataclass(frozen=True, slots=True)
class Pages:
    """How far a close has come: `done`, or to be called again to go on from the database's checkpoint."""

    done: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """How many enrolments, drafts, cutoffs and payouts still have something to do on a business date, and the cutoff that is
    to be run now. `notices`: borrowers may have to be told of drafts to come."""

    count: int
    cutoff: DueCutoff | None = None
    notices: bool = False


@dataclass(frozen=True, slots=True)
class NoticeRound:
    """A tenant, how long to go on sending notices before coming back, and the enrolment after which to go on."""

    tenant_id: UUID
    seconds: int
    after: UUID | None = None


@dataclass(frozen=True, slots=True)
class NoticesProgress:
    """How far the notices have come: the enrolment after which to go on; None when there are no more."""

    after: UUID | None


@dataclass(frozen=True, slots=True)
class DeliveryRef:
    """One webhook delivery of a tenant."""

    tenant_id: UUID
    delivery_id: UUID


def webhook_queue(task_queue: str) -> str:
    """The queue of the attempts to reach other people's servers: who is slow to answer keeps no step of ours waiting."""
    return f"{task_queue}-webhooks"


@dataclass(frozen=True, slots=True)
class ReversalRef:
    """A reversal of a payment."""

    tenant_id: UUID
    reversal_id: UUID


@dataclass(frozen=True, slots=True)
class ReversalProgress:
    """Where a reversal is, by its row."""

    status: ReversalStatus
    step: ReversalStep


@dataclass(frozen=True, slots=True)
class CorrectionRef:
    """A correction of a loan's history."""

    tenant_id: UUID
    correction_id: UUID


@dataclass(frozen=True, slots=True)
class BatchRound:
    """A batch of payments, and how long to go on with it before coming back."""

    tenant_id: UUID
    batch_id: UUID
    seconds: int


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch has come: its status, and its rows by what became of them."""

    status: str
    posted: int
    already_there: int
    rejected: int
    left: int


@dataclass(frozen=True, slots=True)
class PreviewProgress:
    """How far the preview of a batch has come: its status, its rows in all, those previewed, and how many of them are
    rejected."""

    status: str
    rows: int
    previewed: int
    rejected: int


@activity.defn
async def plan_autopay(request: EnrolmentRef) -> Plan:
    """Look at the enrolment's row."""
    raise NotImplementedError


@activity.defn
async def prepare_draft(request: PeriodRef) -> Prepared:
    """Decide the period's draft and insert its row; again returns the first."""
    raise NotImplementedError


@activity.defn
async def plan_cutoff(request: CutoffRef) -> CutoffPlan:
    """Look at the cutoff's row."""
    raise NotImplementedError


@activity.defn
async def collect_drafts(request: CutoffRef) -> CutoffProgress:
    """Send a page of the prepared drafts, each after looking at it again; goes on from the database's checkpoint."""
    raise NotImplementedError


@activity.defn
async def hand_over_cutoff(request: CutoffRef) -> None:
    """Hand what was collected to the rail; again does nothing."""
    raise NotImplementedError


@activity.defn
async def take_answers(request: ReturnFileRef) -> ReturnsProgress:
    """Do what a page of a file's answers say, each once; goes on where the database is."""
    raise NotImplementedError


@activity.defn
async def plan_payout(request: PayoutRef) -> PayoutPlan:
    """Look at the payout's row."""
    raise NotImplementedError


@activity.defn
async def hand_over_payout(request: PayoutRef) -> PayoutPlan:
    """Hand the payout to the rail; again does nothing."""
    raise NotImplementedError


@activity.defn
async def send_payout(request: PayoutRef) -> PayoutPlan:
    """Post that the payout was sent, on its banking day; again does nothing."""
    raise NotImplementedError


@activity.defn
async def tell_of_payout(request: PayoutRef) -> None:
    """Mail the borrower that the payout was sent; again does nothing."""
    raise NotImplementedError


@activity.defn
async def read_calendar(request: Instant) -> Calendar:
    """Look at a live tenant's business date, and at the calendar's date in its zone."""
    raise NotImplementedError


@activity.defn
async def close_pages(request: CloseRound) -> Pages:
    """Settle what is due on a business date, then close pages of loans until done or for so many seconds."""
    raise NotImplementedError


@activity.defn
async def open_date(request: BusinessDay) -> Pending:
    """Open a business date (again does nothing), and count what there is to do on it."""
    raise NotImplementedError


@activity.defn
async def settle_day(request: BusinessDay) -> Pending:
    """Wake what has something to do on a business date, and watch it being done for a moment."""
    raise NotImplementedError


@activity.defn
async def send_draft_notices(request: NoticeRound) -> NoticesProgress:
    """Tell borrowers of drafts to come that take another amount than the one before, each once, for so many seconds."""
    raise NotImplementedError


@activity.defn
async def finish_advance(request: AdvanceRef) -> None:
    """Mark the advance done; again does nothing."""
    raise NotImplementedError


@activity.defn
async def deliver_webhook(request: DeliveryRef) -> Progress:
    """Try a delivery once and record what came of it; one that is over is left alone."""
    raise NotImplementedError


@activity.defn
async def look_at_reversal(request: ReversalRef) -> ReversalProgress:
    """Look at the reversal's row."""
    raise NotImplementedError


@activity.defn
async def replan_reversed_autopay(request: ReversalRef) -> None:
    """Have the loan's autopay look again; again does nothing."""
    raise NotImplementedError


@activity.defn
async def restate_days(request: ReversalRef) -> None:
    """Record which archived days the reversal restates, page by page from the database's checkpoint; again does nothing."""
    raise NotImplementedError


@activity.defn
async def restate_corrected_days(request: CorrectionRef) -> None:
    """Record which archived days a correction restates, page by page from the database's checkpoint; again does nothing."""
    raise NotImplementedError


@activity.defn
async def tell_of_reversal(request: ReversalRef) -> None:
    """Send the borrower's letter, then record that it was, which completes the reversal; again does nothing."""
    raise NotImplementedError


@activity.defn
async def give_up_telling(request: ReversalRef) -> None:
    """Record that the letter could not be sent, which completes the reversal; again does nothing."""
    raise NotImplementedError


@activity.defn
async def preview_batch(request: BatchRound) -> PreviewProgress:
    """Preview pages of a batch of payments until nothing is left, it is cancelled, or for so many seconds."""
    raise NotImplementedError


@activity.defn
async def post_batch(request: BatchRound) -> BatchProgress:
    """Post pages of a batch of payments until nothing is left, it is cancelled, or for so many seconds."""
    raise NotImplementedError
