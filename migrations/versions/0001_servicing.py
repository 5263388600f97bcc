"""Programs, borrowers, loans, payments and the journal, with row-level security forced on each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import append_only, privileges_on_database, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    privileges_on_database()
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only: post a correction instead', TG_TABLE_NAME; END $$"
    )
    op.create_table(
        "borrowers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("middle_name", sa.String(length=100), nullable=True),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("ssn_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("ssn_last_four", sa.String(length=4), nullable=True),
        sa.Column("language", sa.String(length=10), server_default=sa.text("'en'"), nullable=False),
        sa.Column(
            "communication_preferences",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_borrowers")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_borrowers_tenant_id_external_id")),
    )
    op.create_table(
        "programs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=2000), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.String(length=20), server_default=sa.text("'active'"), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('active', 'archived')", name=op.f("ck_programs_status")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_programs")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_programs_tenant_id_name")),
    )
    op.create_table(
        "borrower_details",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_primary", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('address', 'phone', 'email', 'employer', 'reference', 'note', 'credit_score')",
            name=op.f("ck_borrower_details_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "borrower_id"],
            ["borrowers.tenant_id", "borrowers.id"],
            name=op.f("fk_borrower_details_tenant_id_borrower_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_borrower_details")),
    )
    op.create_index(
        op.f("ix_borrower_details_tenant_id_borrower_id_kind"),
        "borrower_details",
        ["tenant_id", "borrower_id", "kind"],
        unique=False,
    )
    op.create_table(
        "loans",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_number", sa.String(length=50), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column("program_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("principal_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("annual_rate", sa.Numeric(12, 8), nullable=False),
        sa.Column("term_periods", sa.Integer(), nullable=False),
        sa.Column("origination_date", sa.Date(), nullable=False),
        sa.Column("first_due_date", sa.Date(), nullable=False),
        sa.Column("maturity_date", sa.Date(), nullable=False),
        sa.Column("level_payment", sa.Numeric(19, 2), nullable=False),
        sa.Column("principal_balance", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("accrued_interest", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("fees_balance", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("unapplied_balance", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("past_due_amount", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("oldest_unpaid_due_date", sa.Date(), nullable=True),
        sa.Column("days_past_due", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("delinquency_bucket", sa.String(length=20), server_default=sa.text("'current'"), nullable=False),
        sa.Column("next_due_date", sa.Date(), nullable=True),
        sa.Column("next_due_amount", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("total_paid", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("last_payment_date", sa.Date(), nullable=True),
        sa.Column("paid_off_on", sa.Date(), nullable=True),
        sa.Column("processed_through", sa.Date(), nullable=True),
        sa.Column("state_hash", sa.String(length=64), nullable=True),
        sa.Column("last_sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("source", sa.String(length=20), server_default=sa.text("'api'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('boarding', 'active', 'paid_off', 'charged_off', 'transferred', 'cancelled')",
            name=op.f("ck_loans_status"),
        ),
        sa.CheckConstraint("principal_amount > 0 AND annual_rate >= 0 AND term_periods > 0", name=op.f("ck_loans_terms")),
        sa.CheckConstraint(
            "principal_balance >= 0 AND unapplied_balance >= 0 AND fees_balance >= 0", name=op.f("ck_loans_balances")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "borrower_id"],
            ["borrowers.tenant_id", "borrowers.id"],
            name=op.f("fk_loans_tenant_id_borrower_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "program_id"], ["programs.tenant_id", "programs.id"], name=op.f("fk_loans_tenant_id_program_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_loans")),
        sa.UniqueConstraint("tenant_id", "loan_number", name=op.f("uq_loans_tenant_id_loan_number")),
    )
    op.create_index(op.f("ix_loans_tenant_id_borrower_id"), "loans", ["tenant_id", "borrower_id"], unique=False)
    op.create_index(op.f("ix_loans_tenant_id_status_id"), "loans", ["tenant_id", "status", "id"], unique=False)
    op.create_table(
        "payment_instruments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_type", sa.String(length=20), nullable=False),
        sa.Column("account_holder_name", sa.String(length=200), nullable=False),
        sa.Column("bank_name", sa.String(length=200), nullable=True),
        sa.Column("routing_number", sa.String(length=9), nullable=True),
        sa.Column("account_number_last_four", sa.String(length=4), nullable=False),
        sa.Column("account_type", sa.String(length=20), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "instrument_type IN ('bank_account', 'card')", name=op.f("ck_payment_instruments_instrument_type")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "borrower_id"],
            ["borrowers.tenant_id", "borrowers.id"],
            name=op.f("fk_payment_instruments_tenant_id_borrower_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payment_instruments")),
    )
    op.create_index(
        op.f("ix_payment_instruments_tenant_id_borrower_id"),
        "payment_instruments",
        ["tenant_id", "borrower_id"],
        unique=False,
    )
    op.create_table(
        "program_versions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "program_id"],
            ["programs.tenant_id", "programs.id"],
            name=op.f("fk_program_versions_tenant_id_program_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "program_id", "version", name=op.f("pk_program_versions")),
    )
    op.create_table(
        "booked_schedules",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("rows", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("finance_charge", sa.Numeric(19, 2), nullable=False),
        sa.Column("total_of_payments", sa.Numeric(19, 2), nullable=False),
        sa.Column("apr", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_booked_schedules_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "loan_id", name=op.f("pk_booked_schedules")),
    )
    op.create_table(
        "instalments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("payment", sa.Numeric(19, 2), nullable=False),
        sa.Column("principal", sa.Numeric(19, 2), nullable=False),
        sa.Column("interest", sa.Numeric(19, 2), nullable=False),
        sa.Column("principal_paid", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("interest_paid", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_instalments_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "loan_id", "number", name=op.f("pk_instalments")),
    )
    op.create_table(
        "journal_entries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("entry_key", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("posting_date", sa.Date(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_journal_entries_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reverses_id"],
            ["journal_entries.tenant_id", "journal_entries.id"],
            name=op.f("fk_journal_entries_tenant_id_reverses_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint(
            "tenant_id",
            "loan_id",
            "entry_key",
            "revision",
            name=op.f("uq_journal_entries_tenant_id_loan_id_entry_key_revision"),
        ),
    )
    op.create_table(
        "loan_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_business_date", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_loan_events_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_loan_events")),
        sa.UniqueConstraint("tenant_id", "loan_id", "sequence", name=op.f("uq_loan_events_tenant_id_loan_id_sequence")),
    )
    op.create_table(
        "loan_fees",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("fee_key", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("assessed_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("paid", sa.Numeric(19, 2), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_loan_fees_tenant_id_loan_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "loan_id", "fee_key", name=op.f("pk_loan_fees")),
    )
    op.create_table(
        "payments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("payment_method", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("settlement_status", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=True),
        sa.Column("payment_instrument_id", sa.Uuid(), nullable=True),
        sa.Column("principal_applied", sa.Numeric(19, 2), nullable=False),
        sa.Column("interest_applied", sa.Numeric(19, 2), nullable=False),
        sa.Column("fees_applied", sa.Numeric(19, 2), nullable=False),
        sa.Column("unapplied_amount", sa.Numeric(19, 2), nullable=False),
        sa.Column("recorded_business_date", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "payment_method IN ('ach', 'wire', 'check', 'card', 'cash', 'other')", name=op.f("ck_payments_payment_method")
        ),
        sa.CheckConstraint(
            "settlement_status IN ('not_applicable', 'in_transit', 'settled', 'returned')",
            name=op.f("ck_payments_settlement_status"),
        ),
        sa.CheckConstraint("source IN ('staff', 'autopay', 'portal')", name=op.f("ck_payments_source")),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'voided', 'failed', 'returned', 'reversed')",
            name=op.f("ck_payments_status"),
        ),
        sa.CheckConstraint(
            "amount = principal_applied + interest_applied + fees_applied + unapplied_amount",
            name=op.f("ck_payments_allocated"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "loan_id"], ["loans.tenant_id", "loans.id"], name=op.f("fk_payments_tenant_id_loan_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_instrument_id"],
            ["payment_instruments.tenant_id", "payment_instruments.id"],
            name=op.f("fk_payments_tenant_id_payment_instrument_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payments")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_payments_tenant_id_external_id")),
    )
    op.create_index(op.f("ix_payments_tenant_id_loan_id"), "payments", ["tenant_id", "loan_id"], unique=False)
    op.create_table(
        "journal_transfers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("posting_date", sa.Date(), nullable=False),
        sa.Column("debit_account", sa.SmallInteger(), nullable=False),
        sa.Column("credit_account", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_journal_transfers_amount")),
        sa.CheckConstraint("debit_account <> credit_account", name=op.f("ck_journal_transfers_accounts")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "entry_id"],
            ["journal_entries.tenant_id", "journal_entries.id"],
            name=op.f("fk_journal_transfers_tenant_id_entry_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", "line", name=op.f("pk_journal_transfers")),
    )
    op.create_index("ix_journal_transfers_loan", "journal_transfers", ["tenant_id", "loan_id"], unique=False)
    op.create_index("ix_journal_transfers_posting_date", "journal_transfers", ["tenant_id", "posting_date"], unique=False)
    op.create_table(
        "payment_allocations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("component", sa.String(length=20), nullable=False),
        sa.Column("instalment_number", sa.Integer(), nullable=True),
        sa.Column("fee_key", sa.String(length=60), nullable=True),
        sa.Column("amount", sa.Numeric(19, 2), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_id"],
            ["payments.tenant_id", "payments.id"],
            name=op.f("fk_payment_allocations_tenant_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "payment_id", "line", name=op.f("pk_payment_allocations")),
    )
    for table in (
        "borrowers",
        "programs",
        "borrower_details",
        "loans",
        "payment_instruments",
        "instalments",
        "loan_fees",
        "payments",
        "payment_allocations",
    ):
        protect(table)
    for table in (
        "program_versions",
        "booked_schedules",
        "journal_entries",
        "loan_events",
        "journal_transfers",
    ):
        append_only(table)
