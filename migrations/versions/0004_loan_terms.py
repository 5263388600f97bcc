"""What shapes a loan's schedule: a stated payment, a balloon, interest-only and deferred periods, days of the month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("loans", sa.Column("stated_payment", sa.Numeric(19, 2), nullable=True))
    op.add_column("loans", sa.Column("balloon", sa.Numeric(19, 2), server_default=zero, nullable=False))
    op.add_column("loans", sa.Column("interest_only_periods", sa.Integer(), server_default=zero, nullable=False))
    op.add_column("loans", sa.Column("deferred_periods", sa.Integer(), server_default=zero, nullable=False))
    days = postgresql.ARRAY(sa.SmallInteger())
    op.add_column("loans", sa.Column("due_days", days, server_default=sa.text("'{}'"), nullable=False))
    op.add_column("loans", sa.Column("prepaid_finance_charge", sa.Numeric(19, 2), server_default=zero, nullable=False))
    op.create_check_constraint(
        op.f("ck_loans_shape"),
        "loans",
        "stated_payment > 0 AND balloon = 0 OR stated_payment IS NULL AND balloon BETWEEN 0 AND principal_amount",
    )
    op.create_check_constraint(
        op.f("ck_loans_periods"),
        "loans",
        "interest_only_periods >= 0 AND interest_only_periods < term_periods AND deferred_periods >= 0",
    )
    op.create_check_constraint(
        op.f("ck_loans_prepaid"), "loans", "prepaid_finance_charge >= 0 AND prepaid_finance_charge < principal_amount"
    )
