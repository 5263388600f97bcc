"""Corrections of loans' histories, whatever kind they are, and the archived days each of them restates; payouts that were
cancelled; indexes for what waits for a second person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import protect

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None

_REVERSALS = """
    INSERT INTO loan_corrections (tenant_id, id, loan_id, payment_id, kind, since, applied_on, events_through,
                                  restated_through, requested_by, created_at, finished_at)
    SELECT tenant_id, id, loan_id, payment_id, 'reversal', effective_date, applied_on, events_through, restated_through,
           requested_by, updated_at, CASE WHEN step IN ('notice', 'done') THEN updated_at END
    FROM payment_reversals WHERE applied_on IS NOT NULL
"""
"""A reversal that was carried out is a correction with its id, at the checkpoint it had come to."""


def upgrade() -> None:
    op.create_table(
        "loan_corrections",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("applied_on", sa.Date(), nullable=False),
        sa.Column("events_through", sa.Integer(), nullable=False),
        sa.Column("restated_through", sa.Date(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('backdate', 'reversal', 'void', 'refund')", name=op.f("ck_loan_corrections_kind")),
        sa.CheckConstraint("since <= applied_on", name=op.f("ck_loan_corrections_since")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_loan_corrections_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_loan_corrections_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_loan_corrections")),
    )
    op.create_index(op.f("ix_loan_corrections_tenant_id_loan_id"), "loan_corrections", ["tenant_id", "loan_id"])
    _as_owner(("payment_reversals",), _REVERSALS)
    protect("loan_corrections")
    _restatements_are_of_corrections()
    op.drop_constraint(op.f("ck_payment_reversals_applied_to"), "payment_reversals")
    op.drop_column("payment_reversals", "events_through")
    op.drop_column("payment_reversals", "restated_through")
    op.create_check_constraint(
        op.f("ck_payment_reversals_applied_to"), "payment_reversals", "(applied_on IS NULL) = (effective_date IS NULL)"
    )
    _payouts_can_be_cancelled()
    for table in ("payment_reversals", "payouts"):
        op.create_index(
            f"ix_{table}_pending", table, ["tenant_id", "id"], postgresql_where=sa.text("status = 'pending_approval'")
        )


def _restatements_are_of_corrections() -> None:
    op.drop_constraint(op.f("fk_status_restatements_tenant_id_reversal_id"), "status_restatements")
    op.alter_column("status_restatements", "reversal_id", new_column_name="correction_id")
    op.execute("ALTER TABLE status_restatements NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE loan_corrections NO FORCE ROW LEVEL SECURITY")
    op.create_foreign_key(
        op.f("fk_status_restatements_tenant_id_correction_id"),
        "status_restatements",
        "loan_corrections",
        ["tenant_id", "correction_id"],
        ["tenant_id", "id"],
    )
    op.execute("ALTER TABLE status_restatements FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE loan_corrections FORCE ROW LEVEL SECURITY")


def _payouts_can_be_cancelled() -> None:
    op.add_column("payouts", sa.Column("cancelled_by", sa.Uuid(), nullable=True))
    op.add_column("payouts", sa.Column("cancelled_on", sa.Date(), nullable=True))
    op.add_column("payouts", sa.Column("cancel_reason", sa.String(length=2000), nullable=True))
    for name in ("status", "approved"):
        op.drop_constraint(op.f(f"ck_payouts_{name}"), "payouts")
    checks = {
        "status": "status IN ('pending_approval', 'approved', 'sent', 'rejected', 'cancelled')",
        "approved": "(status IN ('approved', 'sent', 'cancelled')) = (approved_on IS NOT NULL)",
        "cancelled": "(status = 'cancelled') = (cancelled_on IS NOT NULL)",
    }
    for name, check in checks.items():
        op.create_check_constraint(op.f(f"ck_payouts_{name}"), "payouts", check)


def _as_owner(tables: tuple[str, ...], statement: str) -> None:
    """Run a statement over every tenant's rows: row-level security is forced on the owner too."""
    for table in tables:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(statement)
    for table in tables:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
