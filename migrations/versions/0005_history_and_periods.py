"""Events that supersede others, accounting periods, and the loan's balances by account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.security import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BALANCES = (
    "late_fees",
    "nsf_fees",
    "other_fees",
    "due_from_borrower",
    "charged_off_balance",
    "non_accrual_interest",
)

_REFUSE_CLOSED = """
CREATE FUNCTION refuse_closed_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM periods
        WHERE tenant_id = NEW.tenant_id AND status = 'closed' AND NEW.posting_date < month + interval '1 month'
    ) THEN
        RAISE EXCEPTION 'the accounting period of % is closed', NEW.posting_date;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    _balances_by_account()
    _superseding_events()
    _add_amounts("instalments", "interest_waived", "fees", "fees_paid")
    _add_amounts("loan_fees", "waived")
    op.add_column("loan_fees", sa.Column("paid_on", sa.Date(), nullable=True))
    _add_amounts("payments", "due_from_borrower_applied")
    op.drop_constraint(op.f("ck_payments_allocated"), "payments", type_="check")
    op.create_check_constraint(
        op.f("ck_payments_allocated"),
        "payments",
        "principal_applied + interest_applied + fees_applied + unapplied_amount + due_from_borrower_applied = "
        "CASE WHEN status IN ('pending', 'voided', 'failed', 'returned', 'reversed') THEN 0 ELSE amount END",
    )
    op.create_table(
        "periods",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reopened_by", sa.Uuid(), nullable=True),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_periods_status")),
        sa.CheckConstraint("date_trunc('month', month) = month", name=op.f("ck_periods_month")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_periods")),
        sa.UniqueConstraint("tenant_id", "month", name=op.f("uq_periods_tenant_id_month")),
    )
    protect("periods", grants="SELECT, INSERT, UPDATE")
    op.execute(_REFUSE_CLOSED)
    op.execute(
        "CREATE TRIGGER closed_period BEFORE INSERT ON journal_transfers "
        "FOR EACH ROW EXECUTE FUNCTION refuse_closed_period()"
    )


def _balances_by_account() -> None:
    _add_amounts("loans", *_BALANCES)
    _rewrite(
        "loans",
        "UPDATE loans SET late_fees = fees_balance, charged_off_balance = "
        "CASE status WHEN 'charged_off' THEN principal_balance + accrued_interest + fees_balance ELSE 0 END",
    )


def _add_amounts(table: str, *columns: str) -> None:
    for name in columns:
        op.add_column(table, sa.Column(name, sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False))


def _superseding_events() -> None:
    table = "loan_events"
    op.add_column(table, sa.Column("position", sa.Integer(), nullable=True))
    op.add_column(table, sa.Column("supersedes", sa.Integer(), nullable=True))
    op.add_column(table, sa.Column("reason", sa.String(length=2000), nullable=True))
    op.execute("ALTER TABLE loan_events DISABLE TRIGGER append_only")
    _rewrite(table, "UPDATE loan_events SET position = sequence")
    op.execute("ALTER TABLE loan_events ENABLE TRIGGER append_only")
    op.alter_column(table, "position", nullable=False)
    op.create_unique_constraint(
        op.f("uq_loan_events_tenant_id_loan_id_supersedes"), table, ["tenant_id", "loan_id", "supersedes"]
    )
    op.create_foreign_key(
        op.f("fk_loan_events_tenant_id_loan_id_supersedes"),
        table,
        table,
        ["tenant_id", "loan_id", "supersedes"],
        ["tenant_id", "loan_id", "sequence"],
    )
    op.create_check_constraint(
        op.f("ck_loan_events_supersedes"),
        table,
        "supersedes < sequence AND (kind <> 'voided' OR supersedes IS NOT NULL)",
    )


def _rewrite(table: str, statement: str) -> None:
    """Change rows of every tenant: the owner, whom row-level security binds too, steps around it for one statement."""
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(statement)
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
