"""Tenants, their users, sessions, audit and idempotency keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.db.metadata import belongs_to, metadata, tenant_table, timestamp
from infra.db.types import MinorUnits

tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", String(63), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("host", String(253), unique=True),
    Column("zone", String(64), nullable=False),
    Column("mode", String(10), nullable=False),
    Column("business_date", Date, nullable=False),
    Column("branding", JSONB, nullable=False, server_default=text("'{}'")),
    Column("approval_limit", MinorUnits),
    timestamp("created_at"),
    CheckConstraint("mode IN ('live', 'sandbox')", name="mode"),
)

tenant_directory = Table(
    "tenant_directory",
    metadata,
    Column("slug", String(63), primary_key=True),
    Column("host", String(253), unique=True),
    Column("tenant_id", Uuid, nullable=False, unique=True),
)
"""Found before the tenant is known. No personal data; read only through a SECURITY DEFINER function."""

login_directory = Table(
    "login_directory",
    metadata,
    Column("login_hash", LargeBinary, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    PrimaryKeyConstraint("login_hash", "tenant_id"),
)
"""Keyed hash of an email address -> the users it belongs to, one a tenant."""

users = tenant_table(
    "users",
    Column("email", String(254), nullable=False),
    Column("full_name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("password_hash", String(255)),
    Column("borrower_id", Uuid),
    Column("failed_logins", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", DateTime(timezone=True)),
    timestamp("created_at"),
    timestamp("updated_at"),
    UniqueConstraint("tenant_id", "email"),
    UniqueConstraint("tenant_id", "borrower_id"),
    belongs_to("borrower_id", "borrowers"),
    CheckConstraint("role IN ('viewer', 'loan_officer', 'admin', 'owner', 'borrower')", name="role"),
    CheckConstraint("status IN ('invited', 'active', 'disabled')", name="status"),
    CheckConstraint("(role = 'borrower') = (borrower_id IS NOT NULL)", name="borrower"),
    CheckConstraint("email = lower(email)", name="email_lower"),
)

sessions = tenant_table(
    "sessions",
    Column("user_id", Uuid, nullable=False),
    Column("refresh_hash", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    timestamp("created_at"),
    belongs_to("user_id", "users"),
    Index(None, "tenant_id", "user_id"),
)

one_time_tokens = tenant_table(
    "one_time_tokens",
    Column("user_id", Uuid, nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    timestamp("created_at"),
    belongs_to("user_id", "users"),
    UniqueConstraint("tenant_id", "token_hash"),
    CheckConstraint("purpose IN ('invitation', 'activation', 'password_reset')", name="purpose"),
)

audit_log = tenant_table(
    "audit_log",
    Column("actor_id", Uuid),
    Column("actor_kind", String(20), nullable=False),
    Column("action", String(80), nullable=False),
    Column("object_type", String(40), nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("reason", String(2000)),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("business_date", Date, nullable=False),
    timestamp("recorded_at"),
    CheckConstraint("actor_kind IN ('user', 'workflow', 'operator')", name="actor_kind"),
    Index(None, "tenant_id", "object_type", "object_id"),
)
"""Append-only (trigger and privileges): who changed what, when, why, from what, to what."""

idempotency_keys = tenant_table(
    "idempotency_keys",
    Column("key", String(255), nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", JSONB, nullable=False),
    timestamp("created_at"),
    key=("key",),
)
"""The response a POST gave, stored in the transaction of its effect."""

business_days = tenant_table(
    "business_days",
    Column("business_date", Date, nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("loans_closed", BigInteger, nullable=False, server_default=text("0")),
    Column("interest_accrued", MinorUnits, nullable=False, server_default=text("0")),
    Column("late_fees_assessed", BigInteger, nullable=False, server_default=text("0")),
    Column("drafts_settled", BigInteger, nullable=False, server_default=text("0")),
    Column("cursor", Uuid),
    Column("reconciliation", JSONB),
    timestamp("opened_at"),
    key=("business_date",),
)
"""One row a business date: `cursor` is the close of business's checkpoint (last loan done), `closed_at` its end,
`reconciliation` how each control account compared with the loans then."""

date_advances = tenant_table(
    "date_advances",
    Column("from_date", Date, nullable=False),
    Column("to_date", Date, nullable=False),
    Column("status", String(20), nullable=False, server_default=text("'running'")),
    Column("requested_by", Uuid),
    timestamp("created_at"),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('running', 'done')", name="status"),
    CheckConstraint("to_date > from_date", name="forward"),
    Index("uq_date_advances_running", "tenant_id", unique=True, postgresql_where=text("status = 'running'")),
)
