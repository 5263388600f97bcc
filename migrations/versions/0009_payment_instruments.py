"""Payment instruments: sealed account numbers and tokens, cards, verification, one of the same account a borrower."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = "status IN ('active', 'paused', 'suspended')"


def upgrade() -> None:
    table = "payment_instruments"
    for column in (
        sa.Column("card_brand", sa.String(length=20), nullable=True),
        sa.Column("card_expiry_month", sa.SmallInteger(), nullable=True),
        sa.Column("card_expiry_year", sa.SmallInteger(), nullable=True),
        sa.Column("account_number_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("processor_token_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("identity_hash", sa.LargeBinary(), nullable=True),
        sa.Column("verification_status", sa.String(length=20), server_default=sa.text("'unverified'"), nullable=False),
        sa.Column("verification_method", sa.String(length=20), nullable=True),
        sa.Column("verification_changed_on", sa.Date(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    ):
        op.add_column(table, column)
    for name, condition in (
        ("number", "account_number_encrypted IS NULL OR instrument_type = 'bank_account' AND routing_number IS NOT NULL"),
        ("card_expiry", "(card_expiry_month IS NULL) = (card_expiry_year IS NULL) AND card_expiry_month BETWEEN 1 AND 12"),
        (
            "verification_status",
            "verification_status IN ('unverified', 'pending', 'verified', 'failed') AND "
            "(verification_status = 'unverified') = (verification_method IS NULL)",
        ),
        ("verification_method", "verification_method IN ('prenote', 'micro_deposit', 'instant', 'manual')"),
    ):
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    op.create_index(
        "uq_payment_instruments_identity",
        table,
        ["tenant_id", "borrower_id", "identity_hash"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "ix_autopay_enrolments_instrument",
        "autopay_enrolments",
        ["tenant_id", "payment_instrument_id"],
        unique=False,
        postgresql_where=sa.text(_OPEN),
    )
