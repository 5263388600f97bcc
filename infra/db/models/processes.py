"""What connects rows and workflows: intents, autopay enrolments, drafts, payouts, the sandbox rail, reversals
of payments."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    SmallInteger,
    String,
    Time,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits

workflow_intents = tenant_table(
    "workflow_intents",
    Column("action", String(10), nullable=False),
    Column("workflow_type", String(80), nullable=False),
    Column("workflow_id", String(200), nullable=False),
    Column("message_id", String(80), nullable=False, server_default=text("''")),
    Column("message_name", String(80)),
    Column("payload", JSONB, nullable=False),
    Column("search_attributes", JSONB, nullable=False, server_default=text("'{}'")),
    Column("status", String(10), nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", String(500)),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("delivered_at", DateTime(timezone=True)),
    timestamp("created_at"),
    UniqueConstraint("tenant_id", "workflow_id", "action", "message_id"),
    Index("ix_workflow_intents_pending", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    CheckConstraint("action IN ('start', 'signal', 'schedule')", name="action"),
    CheckConstraint("status IN ('pending', 'delivered', 'dropped')", name="status"),
)
"""A workflow to start, to tell something, or to start at each midnight of a zone (`workflow_id` is then the schedule's):
written in the transaction of its cause, delivered after commit (and again by the dispatcher until it is). Carries ids,
dates and a zone, no personal data: the dispatcher's role reads it across tenants."""

autopay_enrolments = tenant_table(
    "autopay_enrolments",
    Column("loan_id", Uuid, nullable=False),
    Column("kind", String(10), nullable=False, server_default=text("'autopay'")),
    Column("payment_instrument_id", Uuid),
    Column("fallback_instrument_id", Uuid),
    Column("second_fallback_instrument_id", Uuid),
    Column("status", String(20), nullable=False),
    Column("amount_type", String(30), nullable=False),
    Column("amount", MinorUnits),
    Column("frequency", String(20), nullable=False, server_default=text("'due_dates'")),
    Column("dates", ARRAY(Date), nullable=False, server_default=text("'{}'")),
    Column("last_day_of_month", Boolean, nullable=False, server_default=text("false")),
    Column("date_anchor", String(20), nullable=False, server_default=text("'apply_date'")),
    Column("scheduling", String(20), nullable=False, server_default=text("'calendar_day'")),
    Column("process_days_after", SmallInteger, nullable=False, server_default=text("0")),
    Column("process_time", Time),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date),
    Column("number_of_periods", Integer),
    Column("payoff_rule", String(20), nullable=False, server_default=text("'cap'")),
    Column("process_zero_or_negative", Boolean, nullable=False, server_default=text("true")),
    Column("post_payment_update", Boolean, nullable=False, server_default=text("false")),
    Column("extra_towards", String(20)),
    Column("retry_days", SmallInteger, nullable=False, server_default=text("2")),
    Column("next_process_date", Date),
    Column("paused_until", Date),
    Column("end_reason", String(200)),
    Column("suspended_for", String(20)),
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_instrument_id", "payment_instruments"),
    belongs_to("fallback_instrument_id", "payment_instruments"),
    belongs_to("second_fallback_instrument_id", "payment_instruments"),
    Index(
        "uq_autopay_enrolments_open",
        "tenant_id",
        "loan_id",
        unique=True,
        postgresql_where=text("status IN ('active', 'paused', 'suspended') AND kind = 'autopay'"),
    ),
    Index(None, "tenant_id", "loan_id"),
    *(
        Index(
            f"ix_autopay_enrolments_{name}",
            "tenant_id",
            f"{name}_id",
            postgresql_where=text("status IN ('active', 'paused', 'suspended')"),
        )
        for name in ("payment_instrument", "fallback_instrument", "second_fallback_instrument")
    ),
    Index("ix_autopay_enrolments_due", "tenant_id", "next_process_date", postgresql_where=text("status = 'active'")),
    Index("ix_autopay_enrolments_resumes", "tenant_id", "paused_until", postgresql_where=text("status = 'paused'")),
    CheckConstraint("status IN ('active', 'paused', 'suspended', 'cancelled', 'completed')", name="status"),
    CheckConstraint(
        "suspended_for IS NULL OR status = 'suspended' AND "
        "suspended_for IN ('correct_instrument', 'new_authorization', 'deceased')",
        name="suspended_for",
    ),
    CheckConstraint("kind IN ('autopay', 'recurring')", name="kind"),
    CheckConstraint(
        "amount_type IN ('next_due', 'static', 'next_period', 'past_due', 'principal_interest_past_due', "
        "'interest_only_past_due', 'fees_due')",
        name="amount_type",
    ),
    CheckConstraint("(amount_type = 'static') = (amount IS NOT NULL)", name="amount"),
    CheckConstraint("kind = 'autopay' OR amount_type = 'static' AND frequency <> 'due_dates'", name="recurring"),
    CheckConstraint(
        "frequency IN ('due_dates', 'weekly', 'biweekly', 'semimonthly', 'monthly', 'quarterly', 'semiannual', 'annual', "
        "'custom', 'single')",
        name="frequency",
    ),
    CheckConstraint("(frequency = 'custom') = (cardinality(dates) > 0)", name="dates"),
    CheckConstraint("date_anchor IN ('apply_date', 'process_date')", name="date_anchor"),
    CheckConstraint("scheduling IN ('calendar_day', 'business_day')", name="scheduling"),
    CheckConstraint("process_days_after BETWEEN 0 AND 15", name="process_days_after"),
    CheckConstraint("end_date IS NULL OR number_of_periods IS NULL", name="end"),
    CheckConstraint("payoff_rule IN ('cap', 'do_not_process')", name="payoff_rule"),
    CheckConstraint("extra_towards IN ('principal_only', 'coming_dues', 'next_due_date')", name="extra_towards"),
    CheckConstraint("retry_days BETWEEN 0 AND 5", name="retry_days"),
)
"""What borrowers have authorized to be drafted: one open autopay a loan, by constraint, and recurring payments of a fixed
amount beside it. What the columns mean: domain/cadence.py, domain/draft_amounts.py, domain/drafting.py."""

autopay_drafts = tenant_table(
    "autopay_drafts",
    Column("enrolment_id", Uuid, nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("process_date", Date, nullable=False),
    Column("apply_date", Date, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("payment_instrument_id", Uuid),
    Column("amount", MinorUnits, nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", String(200)),
    Column("payment_id", Uuid),
    Column("rail_reference", String(100)),
    Column("send_on", Date),
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("enrolment_id", "autopay_enrolments"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    belongs_to("payment_instrument_id", "payment_instruments"),
    UniqueConstraint("tenant_id", "enrolment_id", "process_date", "attempt"),
    UniqueConstraint("tenant_id", "payment_id"),
    Index("ix_autopay_drafts_pending", "tenant_id", "loan_id", postgresql_where=text("status = 'pending'")),
    CheckConstraint("status IN ('pending', 'sent', 'settled', 'not_drafted', 'failed')", name="status"),
)
"""One draft per enrolment, process date and attempt, by constraint. `apply_date`: of its period, also where the payment
counts on another day; `payment_instrument_id`: the account it is taken from, as decided. `send_on`: not before this date;
None: at once."""

autopay_notices = tenant_table(
    "autopay_notices",
    Column("enrolment_id", Uuid, nullable=False),
    Column("process_date", Date, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("sent_on", Date, nullable=False),
    timestamp("created_at"),
    belongs_to("enrolment_id", "autopay_enrolments"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("amount > 0", name="amount"),
    key=("enrolment_id", "process_date", "number"),
)
"""Append-only: what borrowers were told beforehand of drafts that take another amount than the one before. `number`: of the
notices of a process date, from 1 on; another one follows where the amount is no longer the one told. `sent_on`: the
business date."""

rail_transfers = tenant_table(
    "rail_transfers",
    Column("draft_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("accepted_on", Date, nullable=False),
    Column("settles_on", Date),
    timestamp("created_at"),
    belongs_to("draft_id", "autopay_drafts"),
    UniqueConstraint("tenant_id", "draft_id"),
)
"""What the sandbox rail has accepted: the bank's side of a draft, once per draft by constraint."""

payment_reversals = tenant_table(
    "payment_reversals",
    Column("payment_id", Uuid, nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("assess_nsf_fee", Boolean, nullable=False),
    Column("status", String(20), nullable=False),
    Column("step", String(20), nullable=False),
    timestamp("step_since"),
    Column("requested_by", Uuid),
    Column("requested_on", Date, nullable=False),
    Column("decided_by", Uuid),
    Column("decided_at", DateTime(timezone=True)),
    Column("decision_reason", String(2000)),
    Column("applied_on", Date),
    Column("effective_date", Date),
    Column("nsf_fee", MinorUnits),
    Column("return_code", String(3)),
    Column("follow_up", String(20)),
    Column("loan_reopened", Boolean),
    Column("autopay_outcome", String(20)),
    Column("autopay_enrolment_id", Uuid),
    Column("notice", String(20)),
    timestamp("created_at"),
    timestamp("updated_at"),
    Column("finished_at", DateTime(timezone=True)),
    belongs_to("payment_id", "payments"),
    belongs_to("loan_id", "loans"),
    belongs_to("autopay_enrolment_id", "autopay_enrolments"),
    Index(
        "uq_payment_reversals_open", "tenant_id", "payment_id", unique=True, postgresql_where=text("status <> 'rejected'")
    ),
    Index(None, "tenant_id", "payment_id"),
    Index("ix_payment_reversals_pending", "tenant_id", "id", postgresql_where=text("status = 'pending_approval'")),
    Index("ix_payment_reversals_autopay", "tenant_id", postgresql_where=text("step = 'autopay'")),
    CheckConstraint("status IN ('pending_approval', 'applied', 'completed', 'rejected')", name="status"),
    CheckConstraint("step IN ('approval', 'autopay', 'snapshots', 'notice', 'done')", name="step"),
    CheckConstraint("(status = 'pending_approval') = (step = 'approval')", name="approval"),
    CheckConstraint("(status IN ('applied', 'completed')) = (applied_on IS NOT NULL)", name="applied"),
    CheckConstraint("(applied_on IS NULL) = (effective_date IS NULL)", name="applied_to"),
    CheckConstraint("decided_by <> requested_by", name="second_person"),
    CheckConstraint("autopay_outcome IN ('none', 'told', 'replanned', 'ended')", name="autopay_outcome"),
    CheckConstraint("notice IN ('sent', 'no_address', 'failed')", name="notice"),
)
"""A reversal of a payment, from its request on: one a payment that was not rejected, by constraint. `effective_date`: of the
payment when it was reversed. How far its archived days were compared is in the row of `loan_corrections` with its id."""

payouts = tenant_table(
    "payouts",
    Column("loan_id", Uuid, nullable=False),
    Column("payment_id", Uuid),
    Column("kind", String(20), nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("override", Boolean, nullable=False),
    Column("status", String(20), nullable=False),
    Column("requested_by", Uuid),
    Column("requested_on", Date, nullable=False),
    Column("decided_by", Uuid),
    Column("decision_reason", String(2000)),
    Column("approved_on", Date),
    Column("goes_out_on", Date),
    Column("sent_on", Date),
    Column("cancelled_by", Uuid),
    Column("cancelled_on", Date),
    Column("cancel_reason", String(2000)),
    Column("told_at", DateTime(timezone=True)),
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    Index(None, "tenant_id", "loan_id"),
    Index(None, "tenant_id", "payment_id"),
    Index("ix_payouts_pending", "tenant_id", "id", postgresql_where=text("status = 'pending_approval'")),
    Index("ix_payouts_due", "tenant_id", "goes_out_on", postgresql_where=text("status = 'approved'")),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("kind IN ('refund', 'reimbursement')", name="kind"),
    CheckConstraint("(kind = 'refund') = (payment_id IS NOT NULL)", name="payment"),
    CheckConstraint("status IN ('pending_approval', 'approved', 'sent', 'rejected', 'cancelled')", name="status"),
    CheckConstraint("(status IN ('approved', 'sent', 'cancelled')) = (approved_on IS NOT NULL)", name="approved"),
    CheckConstraint("(status = 'sent') = (sent_on IS NOT NULL)", name="sent"),
    CheckConstraint("(status = 'cancelled') = (cancelled_on IS NOT NULL)", name="cancelled"),
    CheckConstraint("decided_by <> requested_by", name="second_person"),
)
"""Money that goes to a borrower. `decided_by`: the second person, where one was needed, who is never the first.
`override`: the refund takes what its payment has paid (PaymentReceived.withheld). Its event is named after the row's id."""

rail_payouts = tenant_table(
    "rail_payouts",
    Column("payout_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("accepted_on", Date, nullable=False),
    Column("goes_out_on", Date, nullable=False),
    timestamp("created_at"),
    belongs_to("payout_id", "payouts"),
    UniqueConstraint("tenant_id", "payout_id"),
)
"""What the sandbox rail has accepted to pay out: the bank's side of a payout, once per payout by constraint."""
