"""What each loan was at each close of business, and on which of those days a correction has shown it to be otherwise."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Date, DateTime, Index, Integer, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits

status_archive = tenant_table(
    "status_archive",
    Column("loan_id", Uuid, nullable=False),
    Column("as_of", Date, nullable=False),
    timestamp("archived_at"),
    Column("status", String(20), nullable=False),
    Column("principal_balance", MinorUnits, nullable=False),
    Column("accrued_interest", MinorUnits, nullable=False),
    Column("interest_accrued_today", MinorUnits, nullable=False),
    Column("per_diem", MinorUnits, nullable=False),
    Column("fees_balance", MinorUnits, nullable=False),
    Column("unapplied_balance", MinorUnits, nullable=False),
    Column("due_interest", MinorUnits, nullable=False),
    Column("due_principal", MinorUnits, nullable=False),
    Column("due_principal_and_interest", MinorUnits, nullable=False),
    Column("due_fees", MinorUnits, nullable=False),
    Column("amount_due", MinorUnits, nullable=False),
    Column("past_due_amount", MinorUnits, nullable=False),
    Column("past_due_30_amount", MinorUnits, nullable=False),
    Column("days_past_due", Integer, nullable=False),
    Column("delinquency_bucket", String(20), nullable=False),
    Column("delinquency_bucket_balance", MinorUnits),
    Column("last_current_date", Date),
    Column("last_current_30_date", Date),
    Column("first_delinquency_date", Date),
    Column("delinquency_count", Integer, nullable=False),
    Column("delinquent_days", Integer, nullable=False),
    Column("delinquency_percent", MinorUnits, nullable=False),  # hundredths of a percent, as cents are of a dollar
    Column("next_payment_date", Date),
    Column("next_payment_amount", MinorUnits, nullable=False),
    Column("last_payment_date", Date),
    Column("last_payment_amount", MinorUnits),
    Column("total_paid", MinorUnits, nullable=False),
    Column("payoff_amount", MinorUnits),
    Column("payoff_fees", MinorUnits),
    Column("period_start", Date),
    Column("period_end", Date),
    Column("periods_remaining", Integer, nullable=False),
    Column("final_payment_date", Date),
    Column("final_payment_amount", MinorUnits, nullable=False),
    Column("loan_age", Integer, nullable=False),
    Column("loan_recency", Integer),
    Column("net_charge_off", MinorUnits, nullable=False),
    Column("last_human_activity_date", Date),
    belongs_to("loan_id", "loans"),
    key=("loan_id", "as_of"),
)
"""Append-only: one row per loan and day, written by close of business; what was known at that close. The figures are those
of domain.status_archive.Status."""

loan_corrections = tenant_table(
    "loan_corrections",
    Column("loan_id", Uuid, nullable=False),
    Column("payment_id", Uuid),
    Column("kind", String(20), nullable=False),
    Column("since", Date, nullable=False),
    Column("applied_on", Date, nullable=False),
    Column("events_through", Integer, nullable=False),
    Column("restated_through", Date),
    Column("requested_by", Uuid),
    timestamp("created_at"),
    Column("finished_at", DateTime(timezone=True)),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    Index(None, "tenant_id", "loan_id"),
    CheckConstraint("kind IN ('backdate', 'reversal', 'void', 'refund')", name="kind"),
    CheckConstraint("since <= applied_on", name="since"),
)
"""A correction of a loan's history, and how far its archived days were compared. `since`: the first day that can be
otherwise by it; `applied_on`: the business date; `events_through`: the number of its last event; `restated_through`: the
last archived day that was compared, the checkpoint; `finished_at`: when no day was left. A reversal's has the reversal's
id."""

status_restatements = tenant_table(
    "status_restatements",
    Column("correction_id", Uuid, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("differs", JSONB, nullable=False),
    timestamp("restated_at"),
    belongs_to("correction_id", "loan_corrections"),
    belongs_to("loan_id", "loans"),
    key=("correction_id", "as_of"),
)
"""Append-only: an archived day of a loan on which, once its history was corrected, other figures (`differs`: their names)
are known than were archived. The archive itself stays; what is known now is replayed for whoever asks."""
