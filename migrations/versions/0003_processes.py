"""Workflow intents, autopay and the sandbox rail, with row-level security forced on each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflow_intents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("workflow_type", sa.String(length=80), nullable=False),
        sa.Column("workflow_id", sa.String(length=200), nullable=False),
        sa.Column("message_id", sa.String(length=80), server_default=sa.text("''"), nullable=False),
        sa.Column("message_name", sa.String(length=80), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "search_attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("status", sa.String(length=10), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("action IN ('start', 'signal', 'schedule')", name=op.f("ck_workflow_intents_action")),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dropped')", name=op.f("ck_workflow_intents_status")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_workflow_intents")),
        sa.UniqueConstraint(
            "tenant_id",
            "workflow_id",
            "action",
            "message_id",
            name=op.f("uq_workflow_intents_tenant_id_workflow_id_action_message_id"),
        ),
    )
    op.create_index(
        "ix_workflow_intents_pending",
        "workflow_intents",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "autopay_enrolments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("payment_instrument_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("amount_type", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("next_process_date", sa.Date(), nullable=True),
        sa.Column("paused_until", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(amount_type = 'static') = (amount IS NOT NULL)", name=op.f("ck_autopay_enrolments_amount")),
        sa.CheckConstraint("amount_type IN ('next_due', 'static')", name=op.f("ck_autopay_enrolments_amount_type")),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'suspended', 'cancelled', 'completed')",
            name=op.f("ck_autopay_enrolments_status"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_autopay_enrolments_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_instrument_id"],
            ["payment_instruments.tenant_id", "payment_instruments.id"],
            name=op.f("fk_autopay_enrolments_tenant_id_payment_instrument_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_autopay_enrolments")),
    )
    op.create_index(
        "ix_autopay_enrolments_due",
        "autopay_enrolments",
        ["tenant_id", "next_process_date"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_autopay_enrolments_open",
        "autopay_enrolments",
        ["tenant_id", "loan_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('active', 'paused', 'suspended')"),
    )
    op.create_table(
        "autopay_drafts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("process_date", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("rail_reference", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'sent', 'settled', 'not_drafted', 'failed')", name=op.f("ck_autopay_drafts_status")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "enrolment_id"],
            ["autopay_enrolments.tenant_id", "autopay_enrolments.id"],
            name=op.f("fk_autopay_drafts_tenant_id_enrolment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_autopay_drafts_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_autopay_drafts_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_autopay_drafts")),
        sa.UniqueConstraint(
            "tenant_id",
            "enrolment_id",
            "process_date",
            "attempt",
            name=op.f("uq_autopay_drafts_tenant_id_enrolment_id_process_date_attempt"),
        ),
        sa.UniqueConstraint("tenant_id", "payment_id", name=op.f("uq_autopay_drafts_tenant_id_payment_id")),
    )
    op.create_index(
        "ix_autopay_drafts_pending",
        "autopay_drafts",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "rail_transfers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("accepted_on", sa.Date(), nullable=False),
        sa.Column("settles_on", sa.Date(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "draft_id"],
            ["autopay_drafts.tenant_id", "autopay_drafts.id"],
            name=op.f("fk_rail_transfers_tenant_id_draft_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_transfers")),
        sa.UniqueConstraint("tenant_id", "draft_id", name=op.f("uq_rail_transfers_tenant_id_draft_id")),
    )
    op.create_index(
        "ix_rail_transfers_unsettled",
        "rail_transfers",
        ["tenant_id", "settles_on"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    for table in ("workflow_intents", "autopay_enrolments", "autopay_drafts", "rail_transfers"):
        protect(table)
    op.execute("CREATE POLICY dispatch ON workflow_intents TO perdiem_dispatch USING (true)")
    op.execute("GRANT SELECT ON workflow_intents TO perdiem_dispatch")
    op.execute(
        "GRANT UPDATE (status, attempts, last_error, next_attempt_at, delivered_at) ON workflow_intents TO perdiem_dispatch"
    )
