"""How drafts go to a bank: cutoffs, and what each hands over."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Date, DateTime, Index, Integer, String, UniqueConstraint, Uuid, text

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits

rail_cutoffs = tenant_table(
    "rail_cutoffs",
    Column("business_date", Date, nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("cursor", Uuid),
    Column("sent", Integer, nullable=False, server_default=text("0")),
    Column("kept_back", Integer, nullable=False, server_default=text("0")),
    Column("amount", MinorUnits, nullable=False, server_default=text("0")),
    Column("handed_over_on", Date),
    timestamp("created_at"),
    Column("acknowledged_at", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "business_date", "number"),
    Index("uq_rail_cutoffs_open", "tenant_id", unique=True, postgresql_where=text("status = 'open'")),
    Index("ix_rail_cutoffs_unfinished", "tenant_id", postgresql_where=text("status <> 'acknowledged'")),
    CheckConstraint("status IN ('open', 'collecting', 'collected', 'acknowledged')", name="status"),
    CheckConstraint("(status = 'acknowledged') = (acknowledged_at IS NOT NULL)", name="acknowledged"),
)
"""A cutoff of a date; at most one is open, by constraint. `cursor`: the last draft that was looked at, the checkpoint of
collecting; `kept_back`: drafts that did not go out after all. `handed_over_on`: the business date on which it was
collected, which is the day the rail gets it."""

rail_entries = tenant_table(
    "rail_entries",
    Column("cutoff_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("draft_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    timestamp("created_at"),
    belongs_to("cutoff_id", "rail_cutoffs"),
    belongs_to("draft_id", "autopay_drafts"),
    belongs_to("payment_id", "payments"),
    UniqueConstraint("tenant_id", "cutoff_id", "number"),
    UniqueConstraint("tenant_id", "draft_id"),
    CheckConstraint("amount > 0", name="amount"),
)
"""A draft that a cutoff hands to the rail: once per draft, by constraint; `number` is its place."""
