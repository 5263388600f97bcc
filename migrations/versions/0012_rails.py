"""Cutoffs of the rail, and what each hands over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rail_cutoffs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("cursor", sa.Uuid(), nullable=True),
        sa.Column("sent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("kept_back", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("handed_over_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'collecting', 'collected', 'acknowledged')", name=op.f("ck_rail_cutoffs_status")
        ),
        sa.CheckConstraint(
            "(status = 'acknowledged') = (acknowledged_at IS NOT NULL)", name=op.f("ck_rail_cutoffs_acknowledged")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_cutoffs")),
        sa.UniqueConstraint(
            "tenant_id", "business_date", "number", name=op.f("uq_rail_cutoffs_tenant_id_business_date_number")
        ),
    )
    op.create_index(
        "uq_rail_cutoffs_open", "rail_cutoffs", ["tenant_id"], unique=True, postgresql_where=sa.text("status = 'open'")
    )
    op.create_index(
        "ix_rail_cutoffs_unfinished",
        "rail_cutoffs",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("status <> 'acknowledged'"),
    )
    op.create_table(
        "rail_entries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cutoff_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_rail_entries_amount")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "cutoff_id"],
            ["rail_cutoffs.tenant_id", "rail_cutoffs.id"],
            name=op.f("fk_rail_entries_tenant_id_cutoff_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "draft_id"],
            ["autopay_drafts.tenant_id", "autopay_drafts.id"],
            name=op.f("fk_rail_entries_tenant_id_draft_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_rail_entries_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_entries")),
        sa.UniqueConstraint("tenant_id", "cutoff_id", "number", name=op.f("uq_rail_entries_tenant_id_cutoff_id_number")),
        sa.UniqueConstraint("tenant_id", "draft_id", name=op.f("uq_rail_entries_tenant_id_draft_id")),
    )
    protect("rail_cutoffs")
    protect("rail_entries")
