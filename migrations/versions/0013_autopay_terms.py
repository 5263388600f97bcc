"""What an autopay may be: cadences, amounts, fallback accounts; recurring payments beside it; what a draft was decided as."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ENROLMENTS, _DRAFTS = "autopay_enrolments", "autopay_drafts"
_OPEN = "status IN ('active', 'paused', 'suspended')"
_ACCOUNTS = ("fallback_instrument_id", "second_fallback_instrument_id")
_CHECKS = {
    "kind": "kind IN ('autopay', 'recurring')",
    "amount_type": (
        "amount_type IN ('next_due', 'static', 'next_period', 'past_due', 'principal_interest_past_due', "
        "'interest_only_past_due', 'fees_due')"
    ),
    "recurring": "kind = 'autopay' OR amount_type = 'static' AND frequency <> 'due_dates'",
    "frequency": (
        "frequency IN ('due_dates', 'weekly', 'biweekly', 'semimonthly', 'monthly', 'quarterly', 'semiannual', 'annual', "
        "'custom', 'single')"
    ),
    "dates": "(frequency = 'custom') = (cardinality(dates) > 0)",
    "date_anchor": "date_anchor IN ('apply_date', 'process_date')",
    "scheduling": "scheduling IN ('calendar_day', 'business_day')",
    "process_days_after": "process_days_after BETWEEN 0 AND 15",
    "end": "end_date IS NULL OR number_of_periods IS NULL",
    "payoff_rule": "payoff_rule IN ('cap', 'do_not_process')",
    "extra_towards": "extra_towards IN ('principal_only', 'coming_dues', 'next_due_date')",
    "retry_days": "retry_days BETWEEN 0 AND 5",
}


def upgrade() -> None:
    _terms()
    op.drop_index("uq_autopay_enrolments_open", _ENROLMENTS)
    op.create_index(
        "uq_autopay_enrolments_open",
        _ENROLMENTS,
        ["tenant_id", "loan_id"],
        unique=True,
        postgresql_where=sa.text(f"{_OPEN} AND kind = 'autopay'"),
    )
    op.create_index(op.f("ix_autopay_enrolments_tenant_id_loan_id"), _ENROLMENTS, ["tenant_id", "loan_id"], unique=False)
    op.drop_index("ix_autopay_enrolments_instrument", _ENROLMENTS)
    for account in ("payment_instrument_id", *_ACCOUNTS):
        name = f"ix_autopay_enrolments_{account.removesuffix('_id')}"
        op.create_index(name, _ENROLMENTS, ["tenant_id", account], unique=False, postgresql_where=sa.text(_OPEN))
    _drafts()


def _terms() -> None:
    for name, kind, default in (
        ("kind", sa.String(length=10), "'autopay'"),
        ("frequency", sa.String(length=20), "'due_dates'"),
        ("dates", postgresql.ARRAY(sa.Date()), "'{}'"),
        ("last_day_of_month", sa.Boolean(), "false"),
        ("date_anchor", sa.String(length=20), "'apply_date'"),
        ("scheduling", sa.String(length=20), "'calendar_day'"),
        ("process_days_after", sa.SmallInteger(), "0"),
        ("payoff_rule", sa.String(length=20), "'cap'"),
        ("process_zero_or_negative", sa.Boolean(), "true"),
        ("post_payment_update", sa.Boolean(), "false"),
        ("retry_days", sa.SmallInteger(), "2"),
    ):
        op.add_column(_ENROLMENTS, sa.Column(name, kind, server_default=sa.text(default), nullable=False))
    for name, kind in (
        ("process_time", sa.Time()),
        ("number_of_periods", sa.Integer()),
        ("extra_towards", sa.String(length=20)),
        *((account, sa.Uuid()) for account in _ACCOUNTS),
    ):
        op.add_column(_ENROLMENTS, sa.Column(name, kind, nullable=True))
    op.alter_column(_ENROLMENTS, "amount_type", type_=sa.String(length=30), existing_nullable=False)
    op.drop_constraint(op.f("ck_autopay_enrolments_amount_type"), _ENROLMENTS, type_="check")
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_autopay_enrolments_{name}"), _ENROLMENTS, condition)
    for account in _ACCOUNTS:
        _draws_on(_ENROLMENTS, account)


def _drafts() -> None:
    op.add_column(_DRAFTS, sa.Column("apply_date", sa.Date(), nullable=True))
    op.add_column(_DRAFTS, sa.Column("payment_instrument_id", sa.Uuid(), nullable=True))
    for table in (_DRAFTS, "payments"):  # which binds the owner too
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE autopay_drafts SET apply_date = process_date")
    op.execute(
        "UPDATE autopay_drafts AS draft SET apply_date = payment.effective_date, "
        "payment_instrument_id = payment.payment_instrument_id FROM payments AS payment "
        "WHERE payment.tenant_id = draft.tenant_id AND payment.id = draft.payment_id"
    )
    for table in (_DRAFTS, "payments"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.alter_column(_DRAFTS, "apply_date", nullable=False)
    _draws_on(_DRAFTS, "payment_instrument_id")
    op.drop_index("ix_autopay_drafts_pending", _DRAFTS)
    op.create_index(
        "ix_autopay_drafts_pending",
        _DRAFTS,
        ["tenant_id", "loan_id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )


def _draws_on(table: str, column: str) -> None:
    op.create_foreign_key(
        op.f(f"fk_{table}_tenant_id_{column}"),
        table,
        "payment_instruments",
        ["tenant_id", column],
        ["tenant_id", "id"],
    )
