"""The notices of drafts that take another amount than the one before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import append_only

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "autopay_notices",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("process_date", sa.Date(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_autopay_notices_number")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_autopay_notices_amount")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "enrolment_id"],
            ["autopay_enrolments.tenant_id", "autopay_enrolments.id"],
            name=op.f("fk_autopay_notices_tenant_id_enrolment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "enrolment_id", "process_date", "number", name=op.f("pk_autopay_notices")),
    )
    append_only("autopay_notices")
    op.create_index(
        "ix_autopay_enrolments_resumes",
        "autopay_enrolments",
        ["tenant_id", "paused_until"],
        postgresql_where=sa.text("status = 'paused'"),
    )
