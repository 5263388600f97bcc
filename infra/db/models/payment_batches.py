"""Files of payments, and their rows."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.db.metadata import belongs_to, tenant_table, timestamp
from infra.db.types import MinorUnits

payment_batches = tenant_table(
    "payment_batches",
    Column("file_hash", LargeBinary, nullable=False),
    Column("columns", JSONB, nullable=False),
    Column("status", String(20), nullable=False),
    Column("business_date", Date, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("control_total", MinorUnits),
    Column("created_by", Uuid),
    Column("posted_by", Uuid),
    Column("cancel_reason", String(2000)),
    timestamp("created_at"),
    Column("posting_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Index(
        "uq_payment_batches_file",
        "tenant_id",
        "file_hash",
        unique=True,
        postgresql_where=text("status <> 'cancelled'"),
    ),
    CheckConstraint("status IN ('previewing', 'previewed', 'posting', 'posted', 'cancelled')", name="status"),
    CheckConstraint("control_total IS NOT NULL OR status IN ('previewing', 'cancelled')", name="control_total"),
    CheckConstraint("(finished_at IS NOT NULL) = (status IN ('posted', 'cancelled'))", name="finished"),
    CheckConstraint("(posting_at IS NOT NULL) >= (status IN ('posting', 'posted'))", name="posting"),
)
"""A file of payments: previewed when it is uploaded, posted when a person says so. One that is not cancelled a file, by the
SHA-256 of its bytes. `columns`: the names of its columns; `control_total`: what the preview found can be posted, once all
rows are previewed; `business_date`: the one it was uploaded on."""

payment_batch_rows = tenant_table(
    "payment_batch_rows",
    Column("batch_id", Uuid, nullable=False),
    Column("line", Integer, nullable=False),
    Column("cells", JSONB, nullable=False),
    Column("loan_number", String(50)),
    Column("loan_id", Uuid),
    Column("amount", MinorUnits),
    Column("effective_date", Date),
    Column("payment_method", String(10)),
    Column("external_id", String(255)),
    Column("outcome", String(20), nullable=False),
    Column("unapplied", MinorUnits),
    Column("code", String(60)),
    Column("reason", String(1000)),
    Column("payment_id", Uuid),
    belongs_to("batch_id", "payment_batches"),
    belongs_to("loan_id", "loans"),
    belongs_to("payment_id", "payments"),
    UniqueConstraint("tenant_id", "batch_id", "line"),
    Index("ix_payment_batch_rows_outcome", "tenant_id", "batch_id", "outcome", "line"),
    Index(
        "ix_payment_batch_rows_waiting",
        "tenant_id",
        "batch_id",
        "loan_number",
        postgresql_where=text("outcome = 'waiting'"),
    ),
    CheckConstraint(
        "outcome IN ('waiting', 'acceptable', 'unapplied', 'already_there', 'rejected', 'posted')", name="outcome"
    ),
    CheckConstraint("(outcome = 'rejected') = (reason IS NOT NULL)", name="rejected"),
    CheckConstraint("(outcome IN ('posted', 'already_there')) = (payment_id IS NOT NULL)", name="payment"),
    CheckConstraint(
        "outcome IN ('rejected', 'waiting') OR loan_id IS NOT NULL AND coalesce(amount, 0) > 0 "
        "AND effective_date IS NOT NULL AND payment_method IS NOT NULL AND external_id IS NOT NULL",
        name="complete",
    ),
)
"""A row of a file: `cells` as they were sent, then as they were read, then what became of it. `waiting` is yet to be
previewed, `acceptable` and `unapplied` (of which `unapplied` would be left over) are yet to be posted: the outcome is the
checkpoint of the preview, and of the posting, where it is written in the transaction of the payment."""
