"""Files of payments, and their rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import protect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment_batches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_hash", sa.LargeBinary(), nullable=False),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("control_total", sa.Numeric(19, 2), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("posted_by", sa.Uuid(), nullable=True),
        sa.Column("cancel_reason", sa.String(length=2000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("posting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('previewed', 'posting', 'posted', 'cancelled')", name=op.f("ck_payment_batches_status")
        ),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (status IN ('posted', 'cancelled'))", name=op.f("ck_payment_batches_finished")
        ),
        sa.CheckConstraint(
            "(posting_at IS NOT NULL) >= (status IN ('posting', 'posted'))", name=op.f("ck_payment_batches_posting")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_batches")),
    )
    op.create_index(
        "uq_payment_batches_file",
        "payment_batches",
        ["tenant_id", "file_hash"],
        unique=True,
        postgresql_where=sa.text("status <> 'cancelled'"),
    )
    op.create_table(
        "payment_batch_rows",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("cells", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("loan_number", sa.String(length=50), nullable=True),
        sa.Column("loan_id", sa.Uuid(), nullable=True),
        sa.Column("amount", sa.Numeric(19, 2), nullable=True),
        sa.Column("effective_date", sa.Date(), nullable=True),
        sa.Column("payment_method", sa.String(length=10), nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("unapplied", sa.Numeric(19, 2), nullable=True),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("reason", sa.String(length=1000), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('acceptable', 'unapplied', 'already_there', 'rejected', 'posted')",
            name=op.f("ck_payment_batch_rows_outcome"),
        ),
        sa.CheckConstraint("(outcome = 'rejected') = (reason IS NOT NULL)", name=op.f("ck_payment_batch_rows_rejected")),
        sa.CheckConstraint(
            "(outcome IN ('posted', 'already_there')) = (payment_id IS NOT NULL)", name=op.f("ck_payment_batch_rows_payment")
        ),
        sa.CheckConstraint(
            "outcome = 'rejected' OR loan_id IS NOT NULL AND coalesce(amount, 0) > 0 AND effective_date IS NOT NULL "
            "AND payment_method IS NOT NULL AND external_id IS NOT NULL",
            name=op.f("ck_payment_batch_rows_complete"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "batch_id"],
            ["payment_batches.tenant_id", "payment_batches.id"],
            name=op.f("fk_payment_batch_rows_tenant_id_batch_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_payment_batch_rows_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_batch_rows_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_batch_rows")),
        sa.UniqueConstraint("tenant_id", "batch_id", "line", name=op.f("uq_payment_batch_rows_tenant_id_batch_id_line")),
    )
    op.create_index(
        "ix_payment_batch_rows_outcome", "payment_batch_rows", ["tenant_id", "batch_id", "outcome", "line"], unique=False
    )
    protect("payment_batches")
    protect("payment_batch_rows")
