"""What other systems are told: events, the endpoints they go to, and each delivery with its attempts."""

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
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp

webhook_events = tenant_table(
    "webhook_events",
    Column("type", String(60), nullable=False),
    Column("loan_id", Uuid),
    Column("payment_id", Uuid),
    Column("loan_event_number", Integer),
    timestamp("occurred_at"),
    Column("business_date", Date, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("recorded_in", BigInteger, nullable=False, server_default=text("(pg_current_xact_id())::text::bigint")),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    Index("ix_webhook_events_feed", "tenant_id", "recorded_in", "id"),
    Index("ix_webhook_events_loan", "tenant_id", "loan_id", "recorded_in", "id"),
)
"""Append-only, written in the transaction of its cause, whether anybody listens or not: it is the feed. `recorded_in`: the
transaction, in whose order the feed is read (ids are made before the commit, so they are not in its order)."""

webhook_endpoints = tenant_table(
    "webhook_endpoints",
    Column("url", String(2000), nullable=False),
    Column("description", String(200)),
    Column("event_types", JSONB(none_as_null=True)),
    Column("status", String(10), nullable=False),
    Column("disabled_reason", String(200)),
    Column("failing_since", DateTime(timezone=True)),
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary),
    Column("previous_secret_until", DateTime(timezone=True)),
    Column("removed_at", DateTime(timezone=True)),
    timestamp("created_at"),
    timestamp("updated_at"),
    CheckConstraint("status IN ('active', 'disabled')", name="status"),
    CheckConstraint("(previous_secret IS NULL) = (previous_secret_until IS NULL)", name="previous_secret"),
)
"""`event_types` NULL: all. Secrets are encrypted; the previous one signs too until `previous_secret_until`."""

webhook_deliveries = tenant_table(
    "webhook_deliveries",
    Column("event_id", Uuid, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    Column("replay_of", Uuid),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_status_code", Integer),
    Column("last_reason", String(200)),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    timestamp("created_at"),
    belongs_to("event_id", "webhook_events"),
    belongs_to("endpoint_id", "webhook_endpoints"),
    belongs_to("replay_of", "webhook_deliveries"),
    Index(
        "uq_webhook_deliveries_first",
        "tenant_id",
        "event_id",
        "endpoint_id",
        unique=True,
        postgresql_where=text("replay_of IS NULL"),
    ),
    Index("ix_webhook_deliveries_endpoint", "tenant_id", "endpoint_id", "id"),
    CheckConstraint("status IN ('pending', 'delivered', 'failed', 'cancelled')", name="status"),
    CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="finished_at"),
)
"""One per event and endpoint, by constraint, and one more for each replay."""

webhook_attempts = tenant_table(
    "webhook_attempts",
    Column("delivery_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("attempted_at", DateTime(timezone=True), nullable=False),
    Column("status_code", Integer),
    Column("latency_ms", Integer, nullable=False),
    Column("reason", String(200), nullable=False),
    belongs_to("delivery_id", "webhook_deliveries"),
    key=("delivery_id", "number"),
)
"""What each attempt got: never the body of an answer."""
