"""Reversals of payments as processes, and the archived days each of them restates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import append_only, protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment_reversals",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("assess_nsf_fee", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("step_since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(length=2000), nullable=True),
        sa.Column("applied_on", sa.Date(), nullable=True),
        sa.Column("effective_date", sa.Date(), nullable=True),
        sa.Column("events_through", sa.Integer(), nullable=True),
        sa.Column("nsf_fee", sa.Numeric(19, 2), nullable=True),
        sa.Column("loan_reopened", sa.Boolean(), nullable=True),
        sa.Column("autopay_outcome", sa.String(length=20), nullable=True),
        sa.Column("autopay_enrolment_id", sa.Uuid(), nullable=True),
        sa.Column("restated_through", sa.Date(), nullable=True),
        sa.Column("notice", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending_approval', 'applied', 'completed', 'rejected')", name=op.f("ck_payment_reversals_status")
        ),
        sa.CheckConstraint(
            "step IN ('approval', 'autopay', 'snapshots', 'notice', 'done')", name=op.f("ck_payment_reversals_step")
        ),
        sa.CheckConstraint(
            "(status = 'pending_approval') = (step = 'approval')", name=op.f("ck_payment_reversals_approval")
        ),
        sa.CheckConstraint(
            "(status IN ('applied', 'completed')) = (applied_on IS NOT NULL)", name=op.f("ck_payment_reversals_applied")
        ),
        sa.CheckConstraint(
            "(applied_on IS NULL) = (effective_date IS NULL OR events_through IS NULL)",
            name=op.f("ck_payment_reversals_applied_to"),
        ),
        sa.CheckConstraint("decided_by <> requested_by", name=op.f("ck_payment_reversals_second_person")),
        sa.CheckConstraint(
            "autopay_outcome IN ('none', 'told', 'replanned', 'ended')", name=op.f("ck_payment_reversals_autopay_outcome")
        ),
        sa.CheckConstraint("notice IN ('sent', 'no_address', 'failed')", name=op.f("ck_payment_reversals_notice")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_reversals_tenant_id_payment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_payment_reversals_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "autopay_enrolment_id"],
            ["autopay_enrolments.tenant_id", "autopay_enrolments.id"],
            name=op.f("fk_payment_reversals_tenant_id_autopay_enrolment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_reversals")),
    )
    op.create_index(
        op.f("ix_payment_reversals_tenant_id_payment_id"), "payment_reversals", ["tenant_id", "payment_id"], unique=False
    )
    op.create_index(
        "uq_payment_reversals_open",
        "payment_reversals",
        ["tenant_id", "payment_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'rejected'"),
    )
    op.create_index(
        "ix_payment_reversals_autopay",
        "payment_reversals",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("step = 'autopay'"),
    )
    protect("payment_reversals")
    op.create_table(
        "status_restatements",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("differs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("restated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reversal_id"],
            ["payment_reversals.tenant_id", "payment_reversals.id"],
            name=op.f("fk_status_restatements_tenant_id_reversal_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_status_restatements_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "reversal_id", "as_of", name=op.f("pk_status_restatements")),
    )
    append_only("status_restatements")
