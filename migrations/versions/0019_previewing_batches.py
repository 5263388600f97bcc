"""Files of payments whose rows are still being previewed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("payment_batches", "control_total", existing_type=sa.Numeric(19, 2), nullable=True)
    op.drop_constraint(op.f("ck_payment_batches_status"), "payment_batches")
    states = "status IN ('previewing', 'previewed', 'posting', 'posted', 'cancelled')"
    op.create_check_constraint(op.f("ck_payment_batches_status"), "payment_batches", states)
    known = "control_total IS NOT NULL OR status IN ('previewing', 'cancelled')"
    op.create_check_constraint(op.f("ck_payment_batches_control_total"), "payment_batches", known)

    op.drop_constraint(op.f("ck_payment_batch_rows_outcome"), "payment_batch_rows")
    outcomes = "outcome IN ('waiting', 'acceptable', 'unapplied', 'already_there', 'rejected', 'posted')"
    op.create_check_constraint(op.f("ck_payment_batch_rows_outcome"), "payment_batch_rows", outcomes)
    op.drop_constraint(op.f("ck_payment_batch_rows_complete"), "payment_batch_rows")
    complete = (
        "outcome IN ('rejected', 'waiting') OR loan_id IS NOT NULL AND coalesce(amount, 0) > 0 "
        "AND effective_date IS NOT NULL AND payment_method IS NOT NULL AND external_id IS NOT NULL"
    )
    op.create_check_constraint(op.f("ck_payment_batch_rows_complete"), "payment_batch_rows", complete)
    op.create_index(
        "ix_payment_batch_rows_waiting",
        "payment_batch_rows",
        ["tenant_id", "batch_id", "loan_number"],
        unique=False,
        postgresql_where=sa.text("outcome = 'waiting'"),
    )
