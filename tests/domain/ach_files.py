"""NACHA files to test with: an originator, entries and files that are acceptable until a test changes something."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from domain.nacha import AccountType, Batch, Entry, File, Originator, SecCode

ORIGINATOR = Originator(
    destination_routing="091000019",
    destination_name="First Bank",
    origin="1123456789",
    origin_name="Example Lending",
    company_name="Example Lending",
    company_id="1123456789",
    odfi_routing="091000019",
)
CREATED = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
SETTLES = date(2026, 3, 3)


def entry(sequence: int = 1, **changes: Any) -> Entry:
    """A debit of 297.47 from a checking account."""
    fields: dict[str, Any] = {
        "routing": "021000021",
        "account_number": "000123456789",
        "account_type": AccountType.CHECKING,
        "amount": 297_47,
        "individual_id": f"L-{sequence}",
        "individual_name": "John Doe",
    }
    return Entry(sequence, **(fields | changes))


def file_of(*entries: Entry, sec_code: SecCode = SecCode.WEB, **changes: Any) -> File:
    """A file of one batch (in the domain's sense)."""
    batches = (Batch(sec_code, SETTLES, entries),)
    return File(**({"originator": ORIGINATOR, "created_at": CREATED, "id_modifier": "A", "batches": batches} | changes))
