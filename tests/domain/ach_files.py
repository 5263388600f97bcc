"""NACHA files to test with: an originator, entries and files that are acceptable until a test changes something."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from domain.nacha import RETRY_LABEL, AccountType, Batch, Direction, Entry, File, Originator, SecCode
from domain.nacha_records import fitted

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


ROUTINGS = st.sampled_from(["021000021", "091000019", "322271627", "011000015", "121042882"])
NAMES = st.text(min_size=1, max_size=40).filter(lambda text: any("A" <= letter <= "Z" for letter in fitted(text, 22)))
IDS = st.text(min_size=1, max_size=30).filter(lambda text: bool(fitted(text, 15)))
ADDENDA = st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=80).filter(str.strip)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Batch, ...]:
    """Batches of any entries that the format can hold."""
    sequences = draw(st.lists(st.integers(1, 9_999_999), min_size=1, max_size=14, unique=True))
    made: dict[SecCode, list[Entry]] = {SecCode.WEB: [], SecCode.PPD: []}
    for sequence in sequences:
        sec_code = draw(st.sampled_from(SecCode))
        direction = draw(st.sampled_from(Direction)) if sec_code is SecCode.PPD else Direction.DEBIT
        labels = ["LOAN PYMT", RETRY_LABEL] if direction is Direction.DEBIT else ["REFUND"]
        made[sec_code].append(
            Entry(
                sequence,
                draw(ROUTINGS),
                draw(st.from_regex(r"[0-9A-Z-]{0,16}[1-9]", fullmatch=True)),
                draw(st.sampled_from(AccountType)),
                draw(st.integers(1, 99_999_999_99)),
                draw(IDS),
                draw(NAMES),
                direction,
                draw(st.sampled_from(labels)),
                draw(st.booleans()),
                draw(ADDENDA),
            )
        )
    settles = draw(st.dates(date(2026, 1, 1), date(2099, 12, 31)))
    return tuple(Batch(sec_code, settles, tuple(entries)) for sec_code, entries in made.items() if entries)
