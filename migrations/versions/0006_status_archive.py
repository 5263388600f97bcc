"""The status archive: what each loan was at each close of business, append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import append_only

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "status_archive",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("principal_balance", sa.Numeric(19, 2), nullable=False),
        sa.Column("accrued_interest", sa.Numeric(19, 2), nullable=False),
        sa.Column("interest_accrued_today", sa.Numeric(19, 2), nullable=False),
        sa.Column("per_diem", sa.Numeric(19, 2), nullable=False),
        sa.Column("fees_balance", sa.Numeric(19, 2), nullable=False),
        sa.Column("unapplied_balance", sa.Numeric(19, 2), nullable=False),
        sa.Column("due_interest", sa.Numeric(19, 2), nullable=False),
        sa.Column("due_principal", sa.Numeric(19, 2), nullable=False),
        sa.Column("due_principal_and_interest", sa.Numeric(19, 2), nullable=False),
        sa.Column("due_fees", sa.Numeric(19, 2), nullable=False),
        sa.Column("amount_due", sa.Numeric(19, 2), nullable=False),
        sa.Column("past_due_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("past_due_30_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("days_past_due", sa.Integer(), nullable=False),
        sa.Column("delinquency_bucket", sa.String(length=20), nullable=False),
        sa.Column("delinquency_bucket_balance", sa.Numeric(19, 2), nullable=True),
        sa.Column("last_current_date", sa.Date(), nullable=True),
        sa.Column("last_current_30_date", sa.Date(), nullable=True),
        sa.Column("first_delinquency_date", sa.Date(), nullable=True),
        sa.Column("delinquency_count", sa.Integer(), nullable=False),
        sa.Column("delinquent_days", sa.Integer(), nullable=False),
        sa.Column("delinquency_percent", sa.Numeric(19, 2), nullable=False),
        sa.Column("next_payment_date", sa.Date(), nullable=True),
        sa.Column("next_payment_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("last_payment_date", sa.Date(), nullable=True),
        sa.Column("last_payment_amount", sa.Numeric(19, 2), nullable=True),
        sa.Column("total_paid", sa.Numeric(19, 2), nullable=False),
        sa.Column("payoff_amount", sa.Numeric(19, 2), nullable=True),
        sa.Column("payoff_fees", sa.Numeric(19, 2), nullable=True),
        sa.Column("period_start", sa.Date(), nullable=True),
        sa.Column("period_end", sa.Date(), nullable=True),
        sa.Column("periods_remaining", sa.Integer(), nullable=False),
        sa.Column("final_payment_date", sa.Date(), nullable=True),
        sa.Column("final_payment_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("loan_age", sa.Integer(), nullable=False),
        sa.Column("loan_recency", sa.Integer(), nullable=True),
        sa.Column("net_charge_off", sa.Numeric(19, 2), nullable=False),
        sa.Column("last_human_activity_date", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_status_archive_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "loan_id", "as_of", name=op.f("pk_status_archive")),
    )
    append_only("status_archive")
