"""How drafts go to a bank and what comes back: settings, cutoffs, entries, files, answers; and cases."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES: Final = (
    "rail_cutoffs",
    "rail_return_files",
    "rail_settings",
    "rail_files",
    "cases",
    "rail_entries",
    "rail_messages",
    "rail_answers",
)

_READ: Final = ("rail_transfers", "autopay_drafts", "payments", "payment_instruments", "loans")
_CUTOFFS_BEFORE: Final = """
    INSERT INTO rail_cutoffs (tenant_id, id, business_date, number, status, rail, sec_code, sent, amount, handed_over_on,
        acknowledged_at)
    SELECT tenant_id, gen_random_uuid(), accepted_on, 1, 'acknowledged', 'sandbox', 'WEB', count(*), sum(amount), accepted_on,
        now()
    FROM rail_transfers WHERE settled_at IS NULL GROUP BY tenant_id, accepted_on
"""
_ENTRIES_BEFORE: Final = """
    INSERT INTO rail_entries (tenant_id, id, cutoff_id, number, draft_id, payment_id, loan_id, payment_instrument_id, amount,
        attempt, sequence, individual_id, account_holder_name, account_number_last_four, handed_over_on, settles_on)
    SELECT t.tenant_id, gen_random_uuid(), c.id, row_number() OVER same, d.id, p.id, d.loan_id, i.id, t.amount, d.attempt,
        row_number() OVER same, l.loan_number, i.account_holder_name, i.account_number_last_four, t.accepted_on, t.settles_on
    FROM rail_transfers t
    JOIN rail_cutoffs c ON c.tenant_id = t.tenant_id AND c.business_date = t.accepted_on
    JOIN autopay_drafts d ON d.tenant_id = t.tenant_id AND d.id = t.draft_id
    JOIN payments p ON p.tenant_id = d.tenant_id AND p.id = d.payment_id
    JOIN payment_instruments i ON i.tenant_id = p.tenant_id AND i.id = p.payment_instrument_id
    JOIN loans l ON l.tenant_id = d.tenant_id AND l.id = d.loan_id
    WHERE t.settled_at IS NULL
    WINDOW same AS (PARTITION BY c.id ORDER BY t.id)
"""
"""What the rail had taken and not settled yet goes on as entries of cutoffs that were carried out."""


def upgrade() -> None:
    op.create_table(
        "rail_cutoffs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("rail", sa.String(length=10), nullable=True),
        sa.Column("sec_code", sa.String(length=3), nullable=True),
        sa.Column("originator", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cursor", sa.Uuid(), nullable=True),
        sa.Column("sent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("kept_back", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("handed_over_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'acknowledged') = (acknowledged_at IS NOT NULL)", name=op.f("ck_rail_cutoffs_acknowledged")
        ),
        sa.CheckConstraint("(status = 'open') = (rail IS NULL)", name=op.f("ck_rail_cutoffs_rail")),
        sa.CheckConstraint(
            "status IN ('open', 'collecting', 'collected', 'acknowledged')", name=op.f("ck_rail_cutoffs_status")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_cutoffs")),
        sa.UniqueConstraint(
            "tenant_id", "business_date", "number", name=op.f("uq_rail_cutoffs_tenant_id_business_date_number")
        ),
    )
    op.create_index(
        "ix_rail_cutoffs_unfinished",
        "rail_cutoffs",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("status <> 'acknowledged'"),
    )
    op.create_index(
        "uq_rail_cutoffs_open", "rail_cutoffs", ["tenant_id"], unique=True, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "rail_return_files",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column("id_modifier", sa.String(length=1), nullable=False),
        sa.Column("content_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name=op.f("ck_rail_return_files_finished")),
        sa.CheckConstraint("status IN ('received', 'done')", name=op.f("ck_rail_return_files_status")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_return_files")),
        sa.UniqueConstraint("tenant_id", "sha256", name=op.f("uq_rail_return_files_tenant_id_sha256")),
    )
    op.create_table(
        "rail_settings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("rail", sa.String(length=10), server_default=sa.text("'sandbox'"), nullable=False),
        sa.Column("cutoff_time", sa.Time(), server_default=sa.text("'16:00'"), nullable=False),
        sa.Column("sec_code", sa.String(length=3), server_default=sa.text("'WEB'"), nullable=False),
        sa.Column("originator", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("rail <> 'nacha' OR originator IS NOT NULL", name=op.f("ck_rail_settings_originator")),
        sa.CheckConstraint("rail IN ('sandbox', 'nacha')", name=op.f("ck_rail_settings_rail")),
        sa.CheckConstraint("sec_code IN ('WEB', 'PPD')", name=op.f("ck_rail_settings_sec_code")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_rail_settings")),
    )
    op.create_table(
        "rail_files",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cutoff_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("storage_key", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column("id_modifier", sa.String(length=1), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "cutoff_id"],
            ["rail_cutoffs.tenant_id", "rail_cutoffs.id"],
            name=op.f("fk_rail_files_tenant_id_cutoff_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_files")),
        sa.UniqueConstraint("tenant_id", "cutoff_id", name=op.f("uq_rail_files_tenant_id_cutoff_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_rail_files_tenant_id_name")),
    )
    op.create_table(
        "cases",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("resolution", sa.String(length=2000), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(status IN ('resolved', 'closed')) = (ended_on IS NOT NULL)", name=op.f("ck_cases_ended")),
        sa.CheckConstraint("kind IN ('draft_in_transit', 'return_to_review')", name=op.f("ck_cases_kind")),
        sa.CheckConstraint(
            "status IN ('open', 'in_progress', 'waiting_on_borrower', 'resolved', 'closed')", name=op.f("ck_cases_status")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_cases_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"], name=op.f("fk_cases_tenant_id_payment_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_cases")),
    )
    op.create_index(op.f("ix_cases_tenant_id_loan_id"), "cases", ["tenant_id", "loan_id"], unique=False)
    op.create_index(
        "uq_cases_open",
        "cases",
        ["tenant_id", "kind", "payment_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('open', 'in_progress', 'waiting_on_borrower')"),
    )
    op.create_table(
        "rail_entries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cutoff_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("payment_instrument_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("trace_number", sa.String(length=15), nullable=True),
        sa.Column("individual_id", sa.String(length=50), nullable=False),
        sa.Column("account_holder_name", sa.String(length=200), nullable=False),
        sa.Column("routing_number", sa.String(length=9), nullable=True),
        sa.Column("account_type", sa.String(length=20), nullable=True),
        sa.Column("account_number_last_four", sa.String(length=4), nullable=False),
        sa.Column("account_number_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=20), server_default=sa.text("'in_transit'"), nullable=False),
        sa.Column("handed_over_on", sa.Date(), nullable=True),
        sa.Column("settles_on", sa.Date(), nullable=True),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("returned_on", sa.Date(), nullable=True),
        sa.Column("return_code", sa.String(length=3), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(status = 'returned') = (return_code IS NOT NULL)", name=op.f("ck_rail_entries_returned")),
        sa.CheckConstraint("(status = 'returned') = (returned_on IS NOT NULL)", name=op.f("ck_rail_entries_returned_on")),
        sa.CheckConstraint("status IN ('in_transit', 'settled', 'returned')", name=op.f("ck_rail_entries_status")),
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
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_rail_entries_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_rail_entries_tenant_id_payment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_instrument_id"],
            ["payment_instruments.tenant_id", "payment_instruments.id"],
            name=op.f("fk_rail_entries_tenant_id_payment_instrument_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_entries")),
        sa.UniqueConstraint("tenant_id", "cutoff_id", "number", name=op.f("uq_rail_entries_tenant_id_cutoff_id_number")),
        sa.UniqueConstraint("tenant_id", "draft_id", name=op.f("uq_rail_entries_tenant_id_draft_id")),
    )
    op.create_index(
        "ix_rail_entries_in_transit",
        "rail_entries",
        ["tenant_id", "handed_over_on"],
        unique=False,
        postgresql_where=sa.text("status = 'in_transit'"),
    )
    op.create_index(
        "ix_rail_entries_settling",
        "rail_entries",
        ["tenant_id", "settles_on"],
        unique=False,
        postgresql_where=sa.text("status = 'in_transit'"),
    )
    op.create_index(op.f("ix_rail_entries_tenant_id_payment_id"), "rail_entries", ["tenant_id", "payment_id"], unique=False)
    op.create_index(
        op.f("ix_rail_entries_tenant_id_trace_number"), "rail_entries", ["tenant_id", "trace_number"], unique=False
    )
    op.create_table(
        "rail_messages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=3), nullable=False),
        sa.Column("comes_on", sa.Date(), nullable=False),
        sa.Column("corrected", sa.String(length=29), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "draft_id"],
            ["autopay_drafts.tenant_id", "autopay_drafts.id"],
            name=op.f("fk_rail_messages_tenant_id_draft_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_messages")),
        sa.UniqueConstraint("tenant_id", "draft_id", "number", name=op.f("uq_rail_messages_tenant_id_draft_id_number")),
    )
    op.create_index(
        "ix_rail_messages_due",
        "rail_messages",
        ["tenant_id", "comes_on"],
        unique=False,
        postgresql_where=sa.text("taken_at IS NULL"),
    )
    op.create_table(
        "rail_answers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=3), nullable=False),
        sa.Column("trace_number", sa.String(length=15), nullable=True),
        sa.Column("original_trace", sa.String(length=15), nullable=True),
        sa.Column("answered_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=True),
        sa.Column("corrected_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("entry_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("taken_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(outcome = 'pending') = (taken_on IS NULL)", name=op.f("ck_rail_answers_taken")),
        sa.CheckConstraint("kind IN ('return', 'change', 'unknown')", name=op.f("ck_rail_answers_kind")),
        sa.CheckConstraint(
            "outcome IN ('pending', 'posted', 'corrected', 'repeated', 'unmatched', 'review')",
            name=op.f("ck_rail_answers_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "entry_id"],
            ["rail_entries.tenant_id", "rail_entries.id"],
            name=op.f("fk_rail_answers_tenant_id_entry_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "file_id"],
            ["rail_return_files.tenant_id", "rail_return_files.id"],
            name=op.f("fk_rail_answers_tenant_id_file_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_rail_answers")),
        sa.UniqueConstraint("tenant_id", "file_id", "line", name=op.f("uq_rail_answers_tenant_id_file_id_line")),
    )
    op.create_index(
        "ix_rail_answers_pending",
        "rail_answers",
        ["tenant_id", "file_id", "line"],
        unique=False,
        postgresql_where=sa.text("outcome = 'pending'"),
    )
    op.create_index(
        "uq_rail_answers_once",
        "rail_answers",
        ["tenant_id", "entry_id", "code", "answered_on"],
        unique=True,
        postgresql_where=sa.text("outcome IN ('posted', 'corrected')"),
    )
    op.add_column("autopay_drafts", sa.Column("send_on", sa.Date(), nullable=True))
    op.add_column("autopay_enrolments", sa.Column("suspended_for", sa.String(length=20), nullable=True))
    op.add_column("payment_reversals", sa.Column("return_code", sa.String(length=3), nullable=True))
    op.add_column("payment_reversals", sa.Column("follow_up", sa.String(length=20), nullable=True))
    op.add_column("payments", sa.Column("return_code", sa.String(length=3), nullable=True))
    op.create_check_constraint(
        "suspended_for",
        "autopay_enrolments",
        "suspended_for IS NULL OR status = 'suspended' AND "
        "suspended_for IN ('correct_instrument', 'new_authorization', 'deceased')",
    )
    op.create_check_constraint("return_code", "payments", "return_code IS NULL OR status = 'returned'")
    for table in _READ:  # row-level security binds the owner too, who sees no tenant's rows
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(_CUTOFFS_BEFORE)
    op.execute(_ENTRIES_BEFORE)
    for table in _READ:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in _TABLES:
        protect(table)
    op.alter_column("rail_transfers", "settles_on", existing_type=sa.DATE(), nullable=True)
    op.drop_index(op.f("ix_rail_transfers_unsettled"), table_name="rail_transfers", postgresql_where="(settled_at IS NULL)")
    op.drop_column("rail_transfers", "settled_at")
