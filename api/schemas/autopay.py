"""Autopay and recurring payments at the edge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy.engine import RowMapping

from api.schemas.base import Amount, Count, Date, Flag, Money, Reason, Schema
from domain.ach_returns import Action
from domain.autopay import MAX_RETRY_DAYS, RETRY_DAYS, DraftStatus, EnrolmentStatus
from domain.autopay_words import draft_in_words, terms_in_words
from domain.cadence import MAX_DATES, MAX_DAYS_AFTER, MAX_PERIODS, DateAnchor, DraftFrequency, Scheduling
from domain.draft_amounts import AmountType, ExtraTowards, PayoffRule
from domain.drafting import Drafting, Outlook
from services.authorizations import amounts_of, cadence_of
from services.autopay import MAX_FALLBACKS, Change

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _time(value: Any) -> time:
    if isinstance(value, str) and _TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise PydanticCustomError("invalid_time", 'must be a time of day such as "06:30"')


TimeOfDay = Annotated[
    time,
    PlainValidator(lambda value: value if type(value) is time else _time(value)),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{2}:\d{2}$", "examples": ["06:30"]}),
]
"""Input and output: a time of day in the tenant's zone."""

SuspendedFor = Literal[Action.CORRECT_INSTRUMENT, Action.NEW_AUTHORIZATION, Action.DECEASED]

Fallbacks = Annotated[list[UUID], Field(max_length=MAX_FALLBACKS)]


class AutopayRequest(Schema):
    """An authorization to draft a bank account: when, how much, and what happens when."""

    payment_instrument_id: UUID = Field(description="a bank account of the loan's borrower that is `ach_draftable`")
    fallback_instrument_ids: Fallbacks = Field(
        default=[], description="drafted, in this order, when the account before it cannot be"
    )
    amount_type: AmountType = Field(
        AmountType.NEXT_DUE,
        description="next_due: what brings the loan current through its due date; next_period: the instalment of that date "
        "alone; past_due: what is past due, with fees; principal_interest_past_due, interest_only_past_due; fees_due; "
        "static: `amount`",
    )
    amount: Amount | None = Field(None, description="for static only")
    frequency: DraftFrequency = Field(
        DraftFrequency.DUE_DATES,
        description="due_dates follows the loan's; any other counts from `start_date`; custom: `dates`",
    )
    start_date: Date | None = Field(None, description="default: the business date")
    end_date: Date | None = Field(None, description="no draft after this day")
    number_of_periods: Count | None = Field(None, description=f"so many drafts, 1 to {MAX_PERIODS}; instead of end_date")
    dates: list[Date] = Field(default=[], max_length=MAX_DATES, description="for custom only, ascending")
    last_day_of_month: Flag = Field(False, description="on the last day of each month; start_date is one")
    date_anchor: DateAnchor = Field(DateAnchor.APPLY_DATE, description="which date recurs; the other keeps its distance")
    scheduling: Scheduling = Field(Scheduling.CALENDAR_DAY, description="the days in which the distance is counted")
    process_days_after: Count = Field(
        0, description=f"the process date less the apply date, 0 to {MAX_DAYS_AFTER}; one on no banking day is the next one"
    )
    process_time: TimeOfDay | None = Field(
        None, description="in the lender's zone, before its cutoff (GET /tenant/rail); default: in the early morning"
    )
    payoff_rule: PayoffRule = Field(PayoffRule.CAP, description="when a draft would be more than pays the loan off")
    process_zero_or_negative: Flag = Field(True, description="for static only: draft also when nothing is due")
    post_payment_update: Flag = Field(
        False, description="true: a draft counts on the day it is processed, not its apply date"
    )
    extra_towards: ExtraTowards | None = Field(
        None,
        description="what money beyond what is due and the current instalment pays: principal alone, the coming dues, or it "
        "waits for the next due date; default: as the loan's program says",
    )
    retry_days: Count = Field(
        RETRY_DAYS,
        description=f"banking days until a draft returned for want of funds is tried again, 1 to {MAX_RETRY_DAYS}; 0: never",
    )

    def terms(self) -> dict[str, Any]:
        """The arguments of services.autopay.Enrol."""
        lists = {"dates": tuple(self.dates), "fallback_instrument_ids": tuple(self.fallback_instrument_ids)}
        return {**dict(self), **lists}


class PauseRequest(Schema):
    """How long to pause."""

    paused_until: Date | None = Field(None, description="the business date it resumes on by itself; default: until resumed")


class OwnSkipRequest(Schema):
    """Which draft is left out."""

    process_date: Date | None = Field(
        None,
        description="the process date of the draft to skip, which must be the next one (`next_process_date`) or one that "
        "was skipped before; default: the next one, and no other while the one that was skipped is still to come",
    )


class SkipRequest(OwnSkipRequest):
    """Which draft is left out, and why."""

    reason: Reason = "by staff"


class AutopayTermsChange(Schema):
    """What may be changed of an open autopay: one or more of these."""

    amount_type: AmountType | None = None
    amount: Amount | None = None
    payment_instrument_id: UUID | None = None
    fallback_instrument_ids: Fallbacks | None = Field(None, description="all of them; an empty list leaves none")
    payoff_rule: PayoffRule | None = None
    process_zero_or_negative: Flag | None = None
    post_payment_update: Flag | None = None
    extra_towards: ExtraTowards | None = Field(None, description="null: as the loan's program says")
    retry_days: Count | None = None
    process_time: TimeOfDay | None = Field(
        None, description="before the lender's cutoff (GET /tenant/rail); null: in the early morning"
    )

    def changes(self) -> Change:
        """What is given: null is a value of those fields only for which it says what it means."""
        given = {name: getattr(self, name) for name in self.model_fields_set & AutopayTermsChange.model_fields.keys()}
        if self.fallback_instrument_ids is not None:
            given["fallback_instrument_ids"] = tuple(self.fallback_instrument_ids)
        null = ("extra_towards", "process_time")
        return cast(Change, {name: value for name, value in given.items() if value is not None or name in null})


class AutopayChange(AutopayTermsChange):
    """What a borrower changes: one or more of these."""

    enabled: Flag | None = Field(None, description="false pauses, true resumes")


class Draft(Schema):
    """One draft. `amount` is 0.00 where nothing was drafted; `reason` says why. A payment may count on another day than the
    `apply_date` (post_payment_update)."""

    id: UUID
    process_date: Date
    apply_date: Date
    attempt: int
    amount: Money
    status: DraftStatus
    reason: str | None
    payment_instrument_id: UUID | None
    payment_id: UUID | None


class PlannedDraft(Schema):
    """A draft to come, decided as it will be if nothing but what is planned happens until then. `effective_date`: the day it
    counts on."""

    process_date: Date
    apply_date: Date
    effective_date: Date
    amount: Money
    payment_instrument_id: UUID | None
    reason: str | None = Field(description="why nothing is drafted on this date")
    in_words: str


class AutopayPreview(Schema):
    """The next drafts. `end_reason`: why there are no more after them; null when there are."""

    autopay_id: UUID
    drafts: list[PlannedDraft]
    end_reason: str | None


class Autopay(Schema):
    """An enrolment with its last drafts, the newest first, and the next one."""

    id: UUID
    loan_id: UUID
    status: EnrolmentStatus
    in_words: str
    amount_type: AmountType
    amount: Money | None
    payment_instrument_id: UUID | None
    fallback_instrument_ids: list[UUID]
    frequency: DraftFrequency
    start_date: Date
    end_date: Date | None
    number_of_periods: int | None
    dates: list[Date]
    last_day_of_month: bool
    date_anchor: DateAnchor
    scheduling: Scheduling
    process_days_after: int
    process_time: TimeOfDay | None
    payoff_rule: PayoffRule
    process_zero_or_negative: bool
    post_payment_update: bool
    extra_towards: ExtraTowards | None
    retry_days: int
    next_process_date: Date | None = Field(description="when the next draft goes out: its date, or the banking day after")
    next_draft: PlannedDraft | None = Field(description="null when there is none to come")
    paused_until: Date | None
    suspended_for: SuspendedFor | None = Field(
        description="what a suspended one waits for: that its account is corrected or replaced; that the borrower "
        "authorizes anew, which is another enrolment; that a person looks into a death"
    )
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


class SkippedOf(Schema):
    """What a skip has left out. The next draft is `next_process_date`."""

    skipped_process_date: Date
    skipped_before: bool = Field(description="true: it was skipped already, and this request has changed nothing")


class AutopaySkipped(Autopay, SkippedOf):
    """The enrolment after a draft was skipped."""


class AutopayProcessSkipped(AutopayProcess, SkippedOf):
    """For staff: the enrolment after a draft was skipped."""


Accounts = Mapping[UUID, str]
"""Payment instruments in words."""


def autopay_values(row: RowMapping, drafts: Sequence[RowMapping], outlook: Outlook, accounts: Accounts) -> dict[str, Any]:
    """The fields of Autopay from an enrolment's row, its drafts and the next one."""
    computed = ("drafts", "in_words", "next_draft", "fallback_instrument_ids")
    values = {name: row[name] for name in Autopay.model_fields if name not in computed}
    fallbacks = [row[name] for name in ("fallback_instrument_id", "second_fallback_instrument_id")]
    upcoming = outlook.drafts[0] if outlook.drafts else None
    return {
        **values,
        "in_words": terms_in_words(cadence_of(row), amounts_of(row)),
        "fallback_instrument_ids": [account for account in fallbacks if account is not None],
        "next_draft": None if upcoming is None else planned_of(upcoming, accounts),
        "drafts": [Draft(**{name: draft[name] for name in Draft.model_fields}) for draft in drafts],
    }


def planned_of(draft: Drafting, accounts: Accounts) -> PlannedDraft:
    """A draft to come, for people."""
    account = "an account" if draft.instrument_id is None else accounts[draft.instrument_id]
    return PlannedDraft(
        process_date=draft.process_date,
        apply_date=draft.apply_date,
        effective_date=draft.effective_date,
        amount=draft.amount,
        payment_instrument_id=draft.instrument_id,
        reason=draft.reason,
        in_words=draft_in_words(draft, account),
    )


def preview_of(enrolment_id: UUID, outlook: Outlook, accounts: Accounts) -> AutopayPreview:
    """The next drafts of an enrolment, for people."""
    drafts = [planned_of(draft, accounts) for draft in outlook.drafts]
    return AutopayPreview(autopay_id=enrolment_id, drafts=drafts, end_reason=outlook.end_reason)
