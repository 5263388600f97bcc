"""Flags of loans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import protect

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loan_flags",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("flag", sa.String(length=20), nullable=False),
        sa.Column("set_on", sa.Date(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("flag IN ('bankruptcy', 'deceased', 'fraud')", name=op.f("ck_loan_flags_flag")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_loan_flags_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "loan_id", "flag", name=op.f("pk_loan_flags")),
    )
    protect("loan_flags", grants="SELECT, INSERT, DELETE")
