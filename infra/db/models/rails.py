"""How drafts go to a bank and what comes back: the lender's settings, cutoffs, what each hands over, files, answers."""

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
    Time,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits

rail_settings = tenant_table(
    "rail_settings",
    Column("rail", String(10), nullable=False, server_default=text("'sandbox'")),
    Column("cutoff_time", Time, nullable=False, server_default=text("'16:00'")),
    Column("sec_code", String(3), nullable=False, server_default=text("'WEB'")),
    Column("originator", JSONB),
    Column("last_sequence", BigInteger, nullable=False, server_default=text("0")),
    timestamp("updated_at"),
    CheckConstraint("rail IN ('sandbox', 'nacha')", name="rail"),
    CheckConstraint("sec_code IN ('WEB', 'PPD')", name="sec_code"),
    CheckConstraint("rail <> 'nacha' OR originator IS NOT NULL", name="originator"),
    key=(),
)
"""How a lender's drafts go out; without a row, by the sandbox. `originator`: the lender as its bank knows it.
`last_sequence`: how many entries were numbered, from which their trace numbers come."""

rail_cutoffs = tenant_table(
    "rail_cutoffs",
    Column("business_date", Date, nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("rail", String(10)),
    Column("sec_code", String(3)),
    Column("originator", JSONB),
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
    CheckConstraint("(status = 'open') = (rail IS NULL)", name="rail"),
    CheckConstraint("(status = 'acknowledged') = (acknowledged_at IS NOT NULL)", name="acknowledged"),
)
"""A cutoff of a date; at most one is open, by constraint. `cursor`: the last draft that was looked at, the checkpoint of
collecting; `kept_back`: drafts that did not go out after all. `handed_over_on`: the business date on which it was
collected, which is the day the rail gets it. What it goes by (`rail`, `originator`) is fixed when it begins."""

rail_entries = tenant_table(
    "rail_entries",
    Column("cutoff_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("draft_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("payment_instrument_id", Uuid, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("trace_number", String(15)),
    Column("individual_id", String(50), nullable=False),
    Column("account_holder_name", String(200), nullable=False),
    Column("routing_number", String(9)),
    Column("account_type", String(20)),
    Column("account_number_last_four", String(4), nullable=False),
    Column("account_number_encrypted", LargeBinary),
    Column("status", String(20), nullable=False, server_default=text("'in_transit'")),
    Column("handed_over_on", Date),
    Column("settles_on", Date),
    Column("settled_on", Date),
    Column("returned_on", Date),
    Column("return_code", String(3)),
    timestamp("created_at"),
    belongs_to("cutoff_id", "rail_cutoffs"),
    belongs_to("draft_id", "autopay_drafts"),
    belongs_to("payment_id", "payments"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_instrument_id", "payment_instruments"),
    UniqueConstraint("tenant_id", "cutoff_id", "number"),
    UniqueConstraint("tenant_id", "draft_id"),
    Index(None, "tenant_id", "payment_id"),
    Index(None, "tenant_id", "trace_number"),
    Index("ix_rail_entries_settling", "tenant_id", "settles_on", postgresql_where=text("status = 'in_transit'")),
    Index("ix_rail_entries_in_transit", "tenant_id", "handed_over_on", postgresql_where=text("status = 'in_transit'")),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("status IN ('in_transit', 'settled', 'returned')", name="status"),
    CheckConstraint("(status = 'returned') = (return_code IS NOT NULL)", name="returned"),
    CheckConstraint("(status = 'returned') = (returned_on IS NOT NULL)", name="returned_on"),
)
"""A draft that a cutoff hands to the rail: once per draft, by constraint. `number` is its place; what its bank is told is as
it was then, so that the same rows are the same bytes for ever. `account_number_encrypted` is bound to the instrument.
`settles_on`: when the rail counts as having delivered the money, if nothing comes back before; None: it has not said."""

rail_files = tenant_table(
    "rail_files",
    Column("cutoff_id", Uuid, nullable=False),
    Column("name", String(80), nullable=False),
    Column("storage_key", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("created_on", Date, nullable=False),
    Column("id_modifier", String(1), nullable=False),
    Column("effective_date", Date, nullable=False),
    timestamp("created_at"),
    Column("stored_at", DateTime(timezone=True)),
    belongs_to("cutoff_id", "rail_cutoffs"),
    UniqueConstraint("tenant_id", "cutoff_id"),
    UniqueConstraint("tenant_id", "name"),
)
"""The file of a cutoff: one, by constraint. Its bytes are made again from the cutoff's rows, and are always these."""

rail_return_files = tenant_table(
    "rail_return_files",
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("origin", String(10), nullable=False),
    Column("created_on", Date, nullable=False),
    Column("id_modifier", String(1), nullable=False),
    Column("content_encrypted", LargeBinary, nullable=False),
    Column("status", String(20), nullable=False),
    Column("received_on", Date, nullable=False),
    Column("created_by", Uuid),
    timestamp("created_at"),
    Column("finished_at", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "sha256"),
    CheckConstraint("status IN ('received', 'done')", name="status"),
    CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="finished"),
)
"""A file that a bank sent back, the same bytes once, by constraint."""

rail_answers = tenant_table(
    "rail_answers",
    Column("file_id", Uuid),
    Column("line", Integer),
    Column("kind", String(10), nullable=False),
    Column("code", String(3), nullable=False),
    Column("trace_number", String(15)),
    Column("original_trace", String(15)),
    Column("answered_on", Date, nullable=False),
    Column("amount", MinorUnits),
    Column("corrected_encrypted", LargeBinary),
    Column("entry_id", Uuid),
    Column("outcome", String(20), nullable=False),
    Column("reason", String(500)),
    Column("taken_on", Date),
    timestamp("created_at"),
    belongs_to("file_id", "rail_return_files"),
    belongs_to("entry_id", "rail_entries"),
    UniqueConstraint("tenant_id", "file_id", "line"),
    Index(
        "uq_rail_answers_once",
        "tenant_id",
        "entry_id",
        "code",
        "answered_on",
        unique=True,
        postgresql_where=text("outcome IN ('posted', 'corrected')"),
    ),
    Index("ix_rail_answers_pending", "tenant_id", "file_id", "line", postgresql_where=text("outcome = 'pending'")),
    CheckConstraint("kind IN ('return', 'change', 'unknown')", name="kind"),
    CheckConstraint("outcome IN ('pending', 'posted', 'corrected', 'repeated', 'unmatched', 'review')", name="outcome"),
    CheckConstraint("(outcome = 'pending') = (taken_on IS NULL)", name="taken"),
)
"""What a bank said about an entry of ours: a return or a change, each once per entry, code and day, by constraint."""

rail_messages = tenant_table(
    "rail_messages",
    Column("draft_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("code", String(3), nullable=False),
    Column("comes_on", Date, nullable=False),
    Column("corrected", String(29)),
    Column("taken_at", DateTime(timezone=True)),
    belongs_to("draft_id", "autopay_drafts"),
    UniqueConstraint("tenant_id", "draft_id", "number"),
    Index("ix_rail_messages_due", "tenant_id", "comes_on", postgresql_where=text("taken_at IS NULL")),
)
"""What the sandbox's bank is going to say about a draft, by its script."""

cases = tenant_table(
    "cases",
    Column("kind", String(30), nullable=False),
    Column("loan_id", Uuid, nullable=False),
    Column("payment_id", Uuid),
    Column("status", String(20), nullable=False),
    Column("opened_on", Date, nullable=False),
    Column("detail", String(500), nullable=False),
    Column("resolution", String(2000)),
    Column("resolved_by", Uuid),
    Column("ended_on", Date),
    timestamp("created_at"),
    timestamp("updated_at"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    Index(
        "uq_cases_open",
        "tenant_id",
        "kind",
        "payment_id",
        unique=True,
        postgresql_where=text("status IN ('open', 'in_progress', 'waiting_on_borrower')"),
    ),
    Index(None, "tenant_id", "loan_id"),
    CheckConstraint("kind IN ('draft_in_transit', 'return_to_review', 'late_return')", name="kind"),
    CheckConstraint("status IN ('open', 'in_progress', 'waiting_on_borrower', 'resolved', 'closed')", name="status"),
    CheckConstraint("(status IN ('resolved', 'closed')) = (ended_on IS NOT NULL)", name="ended"),
)
"""Something that people have to look at; one open case per kind and payment, by constraint."""
