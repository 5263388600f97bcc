"""Programs, borrowers, loans, their events and the cached results of the replay."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits, Rate

programs = tenant_table(
    "programs",
    Column("name", String(200), nullable=False),
    Column("description", String(2000), nullable=False, server_default=text("''")),
    Column("status", String(20), nullable=False, server_default=text("'active'")),
    Column("current_version", Integer, nullable=False),
    timestamp("created_at"),
    timestamp("updated_at"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("status IN ('active', 'archived')", name="status"),
)

program_versions = tenant_table(
    "program_versions",
    Column("program_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("created_by", Uuid),
    timestamp("created_at"),
    belongs_to("program_id", "programs"),
    key=("program_id", "version"),
)
"""Append-only: a loan keeps the version it was booked under."""

borrowers = tenant_table(
    "borrowers",
    Column("first_name", String(100), nullable=False),
    Column("middle_name", String(100)),
    Column("last_name", String(100), nullable=False),
    Column("birth_date", Date),
    Column("email", String(254)),
    Column("phone", String(20)),
    Column("ssn_encrypted", LargeBinary),
    Column("ssn_last_four", String(4)),
    Column("language", String(10), nullable=False, server_default=text("'en'")),
    Column("communication_preferences", JSONB, nullable=False, server_default=text("'{}'")),
    Column("external_id", String(100)),
    timestamp("created_at"),
    timestamp("updated_at"),
    UniqueConstraint("tenant_id", "external_id"),
)

borrower_details = tenant_table(
    "borrower_details",
    Column("borrower_id", Uuid, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("data", JSONB, nullable=False),
    Column("is_primary", SmallInteger, nullable=False, server_default=text("0")),
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("borrower_id", "borrowers"),
    CheckConstraint("kind IN ('address', 'phone', 'email', 'employer', 'reference', 'note', 'credit_score')", name="kind"),
    Index(None, "tenant_id", "borrower_id", "kind"),
)
"""Addresses, phones, emails, employers, references, notes and credit scores: one schema a kind (domain/borrower.py)."""

loans = tenant_table(
    "loans",
    Column("loan_number", String(50), nullable=False),
    Column("borrower_id", Uuid, nullable=False),
    Column("program_id", Uuid, nullable=False),
    Column("program_version", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("principal_amount", MinorUnits, nullable=False),
    Column("annual_rate", Rate, nullable=False),
    Column("term_periods", Integer, nullable=False),
    Column("origination_date", Date, nullable=False),
    Column("first_due_date", Date, nullable=False),
    Column("maturity_date", Date, nullable=False),
    Column("level_payment", MinorUnits, nullable=False),
    Column("stated_payment", MinorUnits),  # the contract's, where the level payment is not the annuity
    Column("balloon", MinorUnits, nullable=False, server_default=text("0")),
    Column("interest_only_periods", Integer, nullable=False, server_default=text("0")),
    Column("deferred_periods", Integer, nullable=False, server_default=text("0")),
    Column("due_days", ARRAY(SmallInteger), nullable=False, server_default=text("'{}'")),
    Column("prepaid_finance_charge", MinorUnits, nullable=False, server_default=text("0")),
    # what follows is the cached result of the replay
    Column("principal_balance", MinorUnits, nullable=False, server_default=text("0")),
    Column("accrued_interest", MinorUnits, nullable=False, server_default=text("0")),
    Column("fees_balance", MinorUnits, nullable=False, server_default=text("0")),
    Column("late_fees", MinorUnits, nullable=False, server_default=text("0")),
    Column("nsf_fees", MinorUnits, nullable=False, server_default=text("0")),
    Column("other_fees", MinorUnits, nullable=False, server_default=text("0")),
    Column("due_from_borrower", MinorUnits, nullable=False, server_default=text("0")),
    Column("charged_off_balance", MinorUnits, nullable=False, server_default=text("0")),
    Column("non_accrual_interest", MinorUnits, nullable=False, server_default=text("0")),
    Column("unapplied_balance", MinorUnits, nullable=False, server_default=text("0")),
    Column("past_due_amount", MinorUnits, nullable=False, server_default=text("0")),
    Column("oldest_unpaid_due_date", Date),
    Column("days_past_due", Integer, nullable=False, server_default=text("0")),
    Column("delinquency_bucket", String(20), nullable=False, server_default=text("'current'")),
    Column("next_due_date", Date),
    Column("next_due_amount", MinorUnits, nullable=False, server_default=text("0")),
    Column("total_paid", MinorUnits, nullable=False, server_default=text("0")),
    Column("last_payment_date", Date),
    Column("paid_off_on", Date),
    Column("processed_through", Date),
    Column("state_hash", String(64)),
    Column("last_sequence", Integer, nullable=False, server_default=text("0")),
    Column("source", String(20), nullable=False, server_default=text("'api'")),
    timestamp("created_at"),
    timestamp("updated_at"),
    UniqueConstraint("tenant_id", "loan_number"),
    belongs_to("borrower_id", "borrowers"),
    belongs_to("program_id", "programs"),
    Index(None, "tenant_id", "borrower_id"),
    Index(None, "tenant_id", "status", "id"),
    CheckConstraint(
        "status IN ('boarding', 'active', 'paid_off', 'charged_off', 'transferred', 'cancelled')", name="status"
    ),
    CheckConstraint("principal_amount > 0 AND annual_rate >= 0 AND term_periods > 0", name="terms"),
    CheckConstraint(
        "stated_payment > 0 AND balloon = 0 OR stated_payment IS NULL AND balloon BETWEEN 0 AND principal_amount",
        name="shape",
    ),
    CheckConstraint(
        "interest_only_periods >= 0 AND interest_only_periods < term_periods AND deferred_periods >= 0", name="periods"
    ),
    CheckConstraint("prepaid_finance_charge >= 0 AND prepaid_finance_charge < principal_amount", name="prepaid"),
    CheckConstraint("principal_balance >= 0 AND unapplied_balance >= 0 AND fees_balance >= 0", name="balances"),
)

booked_schedules = tenant_table(
    "booked_schedules",
    Column("loan_id", Uuid, nullable=False),
    Column("rows", JSONB, nullable=False),
    Column("finance_charge", MinorUnits, nullable=False),
    Column("total_of_payments", MinorUnits, nullable=False),
    Column("apr", String(20)),
    belongs_to("loan_id", "loans"),
    key=("loan_id",),
)
"""The schedule and disclosures a loan was booked with. Never changed."""

loan_events = tenant_table(
    "loan_events",
    Column("loan_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("supersedes", Integer),
    Column("kind", String(40), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("reason", String(2000)),
    Column("recorded_business_date", Date, nullable=False),
    Column("recorded_by", Uuid),
    timestamp("recorded_at"),
    belongs_to("loan_id", "loans"),
    ForeignKeyConstraint(
        ["tenant_id", "loan_id", "supersedes"],
        ["loan_events.tenant_id", "loan_events.loan_id", "loan_events.sequence"],
    ),
    UniqueConstraint("tenant_id", "loan_id", "sequence"),
    UniqueConstraint("tenant_id", "loan_id", "supersedes"),
    CheckConstraint("supersedes < sequence AND (kind <> 'voided' OR supersedes IS NOT NULL)", name="supersedes"),
)
"""Append-only source events: what people or the outside world did. The loan's state is the replay of those that stand.

sequence: number of the row within the loan. supersedes: the row it replaces, or voids (kind `voided`); once. position: place
among the events of a day: the row's own sequence, or the position of what it supersedes.
"""

instalments = tenant_table(
    "instalments",
    Column("loan_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("payment", MinorUnits, nullable=False),
    Column("principal", MinorUnits, nullable=False),
    Column("interest", MinorUnits, nullable=False),
    Column("principal_paid", MinorUnits, nullable=False, server_default=text("0")),
    Column("interest_paid", MinorUnits, nullable=False, server_default=text("0")),
    Column("interest_waived", MinorUnits, nullable=False, server_default=text("0")),
    Column("fees", MinorUnits, nullable=False, server_default=text("0")),
    Column("fees_paid", MinorUnits, nullable=False, server_default=text("0")),
    Column("status", String(20), nullable=False),
    Column("paid_on", Date),
    belongs_to("loan_id", "loans"),
    key=("loan_id", "number"),
)
"""The current schedule of a loan: cached result of the replay."""

loan_fees = tenant_table(
    "loan_fees",
    Column("loan_id", Uuid, nullable=False),
    Column("fee_key", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("due_date", Date, nullable=False),
    Column("assessed_on", Date, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("paid", MinorUnits, nullable=False, server_default=text("0")),
    Column("waived", MinorUnits, nullable=False, server_default=text("0")),
    Column("paid_on", Date),
    belongs_to("loan_id", "loans"),
    key=("loan_id", "fee_key"),
)
"""Fees of a loan: cached result of the replay."""

loan_flags = tenant_table(
    "loan_flags",
    Column("loan_id", Uuid, nullable=False),
    Column("flag", String(20), nullable=False),
    Column("set_on", Date, nullable=False),
    Column("set_by", Uuid),
    Column("reason", String(2000), nullable=False),
    timestamp("created_at"),
    belongs_to("loan_id", "loans"),
    CheckConstraint("flag IN ('bankruptcy', 'deceased', 'fraud')", name="flag"),
    key=("loan_id", "flag"),
)
"""The flags that are set on a loan. A row is never changed; it is deleted when its flag is cleared."""

payment_instruments = tenant_table(
    "payment_instruments",
    Column("borrower_id", Uuid, nullable=False),
    Column("instrument_type", String(20), nullable=False),
    Column("account_holder_name", String(200), nullable=False),
    Column("bank_name", String(200)),
    Column("routing_number", String(9)),
    Column("account_number_last_four", String(4), nullable=False),
    Column("account_type", String(20)),
    Column("card_brand", String(20)),
    Column("card_expiry_month", SmallInteger),
    Column("card_expiry_year", SmallInteger),
    Column("account_number_encrypted", LargeBinary),
    Column("processor_token_encrypted", LargeBinary),
    Column("identity_hash", LargeBinary),  # keyed; null for rows older than the column
    Column("verification_status", String(20), nullable=False, server_default=text("'unverified'")),
    Column("verification_method", String(20)),
    Column("verification_changed_on", Date),
    Column("removed_at", DateTime(timezone=True)),  # kept: payments and drafts made with it refer to it
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("borrower_id", "borrowers"),
    Index(None, "tenant_id", "borrower_id"),
    Index(
        "uq_payment_instruments_identity",
        "tenant_id",
        "borrower_id",
        "identity_hash",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
    CheckConstraint("instrument_type IN ('bank_account', 'card')", name="instrument_type"),
    CheckConstraint(
        "account_number_encrypted IS NULL OR instrument_type = 'bank_account' AND routing_number IS NOT NULL", name="number"
    ),
    CheckConstraint(
        "(card_expiry_month IS NULL) = (card_expiry_year IS NULL) AND card_expiry_month BETWEEN 1 AND 12", name="card_expiry"
    ),
    CheckConstraint(
        "verification_status IN ('unverified', 'pending', 'verified', 'failed') AND "
        "(verification_status = 'unverified') = (verification_method IS NULL)",
        name="verification_status",
    ),
    CheckConstraint("verification_method IN ('prenote', 'micro_deposit', 'instant', 'manual')", name="verification_method"),
)
"""Bank accounts and cards. Account numbers and processors' tokens are sealed; `identity_hash` finds the same one twice."""

payments = tenant_table(
    "payments",
    Column("loan_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("payment_method", String(10), nullable=False),
    Column("status", String(20), nullable=False),
    Column("settlement_status", String(20), nullable=False),
    Column("source", String(10), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("external_id", String(255)),
    Column("request_hash", LargeBinary),
    Column("payment_instrument_id", Uuid),
    Column("principal_applied", MinorUnits, nullable=False),
    Column("interest_applied", MinorUnits, nullable=False),
    Column("fees_applied", MinorUnits, nullable=False),
    Column("unapplied_amount", MinorUnits, nullable=False),
    Column("due_from_borrower_applied", MinorUnits, nullable=False, server_default=text("0")),
    Column("refunded_amount", MinorUnits, nullable=False, server_default=text("0")),
    Column("return_code", String(3)),
    Column("recorded_business_date", Date, nullable=False),
    timestamp("created_at"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_instrument_id", "payment_instruments"),
    UniqueConstraint("tenant_id", "external_id"),
    Index(None, "tenant_id", "loan_id"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("refunded_amount BETWEEN 0 AND amount", name="refunded"),
    CheckConstraint(
        "principal_applied + interest_applied + fees_applied + unapplied_amount + due_from_borrower_applied = "
        "CASE WHEN status IN ('pending', 'voided', 'failed', 'returned', 'reversed') THEN 0 ELSE amount END",
        name="allocated",
    ),
    CheckConstraint("payment_method IN ('ach', 'wire', 'check', 'card', 'cash', 'other')", name="payment_method"),
    CheckConstraint(
        "status IN ('pending', 'processing', 'completed', 'voided', 'failed', 'returned', 'reversed')", name="status"
    ),
    CheckConstraint(
        "settlement_status IN ('not_applicable', 'in_transit', 'settled', 'returned')", name="settlement_status"
    ),
    CheckConstraint("source IN ('staff', 'autopay', 'portal')", name="source"),
    CheckConstraint("return_code IS NULL OR status = 'returned'", name="return_code"),
)

payment_allocations = tenant_table(
    "payment_allocations",
    Column("payment_id", Uuid, nullable=False),
    Column("line", Integer, nullable=False),
    Column("component", String(20), nullable=False),
    Column("instalment_number", Integer),
    Column("fee_key", String(60)),
    Column("amount", MinorUnits, nullable=False),
    belongs_to("payment_id", "payments"),
    key=("payment_id", "line"),
)
"""Where each cent of a payment went: cached result of the replay."""

periods = tenant_table(
    "periods",
    Column("month", Date, nullable=False),
    Column("status", String(10), nullable=False),
    Column("closed_by", Uuid),
    timestamp("closed_at"),
    Column("reopened_by", Uuid),
    Column("reopened_at", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "month"),
    CheckConstraint("status IN ('open', 'closed')", name="status"),
    CheckConstraint("date_trunc('month', month) = month", name="month"),
)
"""Months (by their first day) of the general ledger that were closed at least once; how often and why is in the audit
trail. Nothing is posted into a closed one, nor before it: a trigger of journal_transfers sees to it."""

journal_entries = tenant_table(
    "journal_entries",
    Column("loan_id", Uuid, nullable=False),
    Column("entry_key", String(100), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("posting_date", Date, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("payment_id", Uuid),
    Column("reverses_id", Uuid),
    timestamp("posted_at"),
    belongs_to("loan_id", "loans"),
    belongs_to("reverses_id", "journal_entries"),
    UniqueConstraint("tenant_id", "loan_id", "entry_key", "revision"),
)
"""Append-only (trigger and privileges). A correction is a mirror (`reverses_id`) and a replacement (next revision)."""

journal_transfers = tenant_table(
    "journal_transfers",
    Column("entry_id", Uuid, nullable=False),
    Column("line", SmallInteger, nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("posting_date", Date, nullable=False),
    Column("debit_account", SmallInteger, nullable=False),
    Column("credit_account", SmallInteger, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    belongs_to("entry_id", "journal_entries"),
    key=("entry_id", "line"),
)
"""The lines of the journal: each moves a positive amount from one account to another, so every entry balances."""
journal_transfers.append_constraint(CheckConstraint("amount > 0", name="amount"))
journal_transfers.append_constraint(CheckConstraint("debit_account <> credit_account", name="accounts"))
Index("ix_journal_transfers_loan", journal_transfers.c.tenant_id, journal_transfers.c.loan_id)
Index("ix_journal_transfers_posting_date", journal_transfers.c.tenant_id, journal_transfers.c.posting_date)
