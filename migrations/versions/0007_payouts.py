"""Refunds and reimbursements, and what the sandbox rail has taken of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("refunded_amount", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(op.f("ck_payments_refunded"), "payments", "refunded_amount BETWEEN 0 AND amount")
    op.create_table(
        "payouts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("override", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decision_reason", sa.String(length=2000), nullable=True),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("goes_out_on", sa.Date(), nullable=True),
        sa.Column("sent_on", sa.Date(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payouts_amount")),
        sa.CheckConstraint("kind IN ('refund', 'reimbursement')", name=op.f("ck_payouts_kind")),
        sa.CheckConstraint("(kind = 'refund') = (payment_id IS NOT NULL)", name=op.f("ck_payouts_payment")),
        sa.CheckConstraint("status IN ('pending_approval', 'approved', 'sent', 'rejected')", name=op.f("ck_payouts_status")),
        sa.CheckConstraint("(status IN ('approved', 'sent')) = (approved_on IS NOT NULL)", name=op.f("ck_payouts_approved")),
        sa.CheckConstraint("(status = 'sent') = (sent_on IS NOT NULL)", name=op.f("ck_payouts_sent")),
        sa.CheckConstraint("decided_by <> requested_by", name=op.f("ck_payouts_second_person")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_payouts_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"], name=op.f("fk_payouts_tenant_id_payment_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payouts")),
    )
    op.create_index(op.f("ix_payouts_tenant_id_loan_id"), "payouts", ["tenant_id", "loan_id"])
    op.create_index(op.f("ix_payouts_tenant_id_payment_id"), "payouts", ["tenant_id", "payment_id"])
    op.create_index(
        "ix_payouts_due", "payouts", ["tenant_id", "goes_out_on"], postgresql_where=sa.text("status = 'approved'")
    )
    op.create_table(
        "rail_payouts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("accepted_on", sa.Date(), nullable=False),
        sa.Column("goes_out_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payout_id"], ["payouts.tenant_id", "payouts.id"], name=op.f("fk_rail_payouts_tenant_id_payout_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_payouts")),
        sa.UniqueConstraint("tenant_id", "payout_id", name=op.f("uq_rail_payouts_tenant_id_payout_id")),
    )
    for table in ("payouts", "rail_payouts"):
        protect(table)
