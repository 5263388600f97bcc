"""Reading a NACHA file: its records taken apart, and everything checked that its control records say about it.

Source: Nacha Operating Rules, Appendix Three. A file that does not fit together is refused as a whole, with the first
line that is wrong and what was expected there: half a file of returns is not to be acted on. What is let pass, because
banks and transfers do it and nothing is lost by it: lines that end in CR LF, no line ends at all (the mainframe form),
a missing last line end, missing or surplus padding, entries that are not in order of their trace numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from domain.errors import FieldError, InvalidInput
from domain.nacha import HASH_DIGITS, Direction
from domain.nacha_records import (
    BATCH_CONTROL,
    BATCH_HEADER,
    BLANK,
    BLOCKING_FACTOR,
    CHANGE_ADDENDA,
    ENTRY_DETAIL,
    FILE_CONTROL,
    FILE_HEADER,
    FIXED,
    NUMBER,
    PADDING,
    RECORD_LENGTH,
    RETURN_ADDENDA,
    Layout,
    is_number,
)

MAX_BYTES: Final = 20_000_000
"""Some hundred thousand returns: more than a lender's bank has for a day."""
ADDENDA_TYPES: Final = frozenset({"02", "05", "08", "98", "99"} | {str(code) for code in range(10, 19)})
_CREDITS: Final = frozenset(tens + units for tens in (20, 30, 40, 50) for units in (1, 2, 3, 4))
_DEBITS: Final = frozenset({tens + units for tens in (20, 30, 40) for units in (6, 7, 8, 9)} | {55, 56})
"""Transaction codes (Appendix Three): 1 and 6 are returns and notifications, 3 and 8 prenotes, 4 and 9 without money."""


@dataclass(frozen=True, slots=True)
class ReadAddenda:
    """A record that goes with an entry. `fields` only of types 98 and 99."""

    line: int
    type_code: str
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """An entry as it stands in a file; `amount` in minor units, `routing` nine digits, texts without their padding."""

    line: int
    transaction_code: int
    direction: Direction
    routing: str
    account_number: str = field(repr=False)
    amount: int
    individual_id: str
    individual_name: str = field(repr=False)
    discretionary_data: str
    trace_number: str
    addenda: tuple[ReadAddenda, ...]


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch as it stands in a file. `settles_on` is None where the operator wrote no settlement date."""

    line: int
    service_class: int
    sec_code: str
    description: str
    company_id: str
    effective_date: str
    settles_on: date | None
    odfi: str
    entries: tuple[ReadEntry, ...]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that fits together."""

    created_on: date
    id_modifier: str
    destination: str
    origin: str
    batches: tuple[ReadBatch, ...]


def damaged(line: int, expected: str) -> InvalidInput:
    """The refusal of a file: `line` counts from 1."""
    error = FieldError(f"/lines/{line}", expected, "damaged_nacha_file")
    return InvalidInput(f"The file is not a sound NACHA file. Line {line}: {expected}.", code=error.code, errors=[error])


def read(content: bytes) -> ReadFile:
    """A NACHA file taken apart.

    Raises: InvalidInput (code damaged_nacha_file, pointer /lines/N) at the first line that is not as it must be.
    """
    lines = _lines(content)
    if not lines[0].startswith("101"):
        raise damaged(1, "a NACHA file begins with a file header record, 101")
    header = fields_of(FILE_HEADER, lines[0], 1)
    created_on = _date(header["file creation date"], 1, "the file creation date")
    batches: list[ReadBatch] = []
    controls: list[dict[str, str]] = []
    at = 1
    while at < len(lines) and lines[at][0] == "5":
        batch, control, at = _batch(lines, at, created_on)
        batches.append(batch)
        controls.append(control)
    _expect(lines, at, "9", "a batch header (5) or the file control (9)")
    _check_file(fields_of(FILE_CONTROL, lines[at], at + 1), controls, at)
    for number, line in enumerate(lines[at + 1 :], start=at + 2):
        if line[0] == "1":
            raise damaged(number, "another file begins here: send each file on its own")
        if line != PADDING:
            raise damaged(number, "only padding, 94 nines, may follow the file control")
    return ReadFile(
        created_on,
        header["file id modifier"],
        header["immediate destination"].strip(),
        header["immediate origin"].strip(),
        tuple(batches),
    )


def fields_of(layout: Layout, text: str, line: int) -> dict[str, str]:
    """The fields of a record by name, each of the kind that its layout says."""
    found = {}
    for part in layout.fields:
        value = part.of(text)
        where = f"the {layout.title}'s {part.name} ({part.start}-{part.start + part.width - 1}) must be"
        if part.kind == NUMBER and not is_number(value):
            raise damaged(line, f"{where} {part.width} digits")
        if part.kind == FIXED and value != part.value:
            raise damaged(line, f"{where} {part.value}")
        if part.kind == BLANK and value.strip():
            raise damaged(line, f"{where} blank")
        found[part.name] = value
    return found


def _lines(content: bytes) -> list[str]:
    """The records, without padding of the transfer. Every one has 94 characters from space to tilde."""
    if len(content) > MAX_BYTES:
        raise damaged(1, f"the file has {len(content)} bytes, at most {MAX_BYTES} are read")
    text = content.decode("latin-1").replace("\r\n", "\n").rstrip("\n")
    if "\n" not in text and len(text) > RECORD_LENGTH and len(text) % RECORD_LENGTH == 0:
        lines = [text[at : at + RECORD_LENGTH] for at in range(0, len(text), RECORD_LENGTH)]
    else:
        lines = text.split("\n")
    if lines == [""]:
        raise damaged(1, "the file is empty")
    for number, line in enumerate(lines, start=1):
        wrong = next((at for at, character in enumerate(line) if not " " <= character <= "~"), None)
        if wrong is not None:
            byte = f"0x{ord(line[wrong]):02x}"
            raise damaged(number, f"character {wrong + 1} is the byte {byte}, a NACHA file is ASCII from space to tilde")
        if number == 1 and not line.startswith("1"):
            raise damaged(1, "a NACHA file begins with a file header record, 101")
        if len(line) != RECORD_LENGTH:
            raise damaged(number, f"a record has {RECORD_LENGTH} characters, this one {len(line)}")
    return lines


def _expect(lines: Sequence[str], at: int, record_type: str, what: str) -> None:
    if at >= len(lines):
        raise damaged(len(lines) + 1, f"the file ends here, {what} was expected: it was cut off")
    if lines[at] == PADDING:
        raise damaged(at + 1, f"padding begins here, {what} was expected")
    if lines[at][0] != record_type:
        raise damaged(at + 1, f"{what} was expected, not a record of type {lines[at][0]}")


def _batch(lines: Sequence[str], start: int, created_on: date) -> tuple[ReadBatch, dict[str, str], int]:
    """The batch whose header is at `start`, its control record, and where the next record is."""
    header = fields_of(BATCH_HEADER, lines[start], start + 1)
    entries: list[ReadEntry] = []
    at, records = start + 1, 0
    while at < len(lines) and lines[at][0] == "6":
        entry, after = _entry(lines, at)
        entries.append(entry)
        records, at = records + after - at, after
    _expect(lines, at, "8", "an entry (6) or the batch control (8)")
    control = fields_of(BATCH_CONTROL, lines[at], at + 1)
    for name in ("service class code", "company identification", "originating DFI identification", "batch number"):
        if control[name] != header[name]:
            raise damaged(at + 1, f"the batch control's {name} must be that of the batch header, line {start + 1}")
    _check_sums(BATCH_CONTROL, control, _sums(entries, records), at)
    batch = ReadBatch(
        start + 1,
        int(header["service class code"]),
        header["standard entry class code"].upper(),
        header["company entry description"].strip(),
        header["company identification"].strip(),
        header["effective entry date"].strip(),
        _settlement_date(header["settlement date"], start + 1, created_on),
        header["originating DFI identification"],
        tuple(entries),
    )
    return batch, control, at + 1


def _entry(lines: Sequence[str], start: int) -> tuple[ReadEntry, int]:
    parts = fields_of(ENTRY_DETAIL, lines[start], start + 1)
    code = int(parts["transaction code"])
    if code not in _CREDITS | _DEBITS:
        raise damaged(start + 1, f"the entry's transaction code {code:02d} is not one of the format")
    at = start + 1
    addenda: list[ReadAddenda] = []
    while at < len(lines) and lines[at][0] == "7":
        addenda.append(_addenda(lines[at], at + 1))
        at += 1
    if parts["addenda record indicator"] == "1" and not addenda:
        _expect(lines, at, "7", "the entry's addenda (7)")
    if parts["addenda record indicator"] != "1" and addenda:
        said = parts["addenda record indicator"]
        raise damaged(start + 1, f"the entry's addenda record indicator is {said}, and an addenda record follows")
    entry = ReadEntry(
        start + 1,
        code,
        Direction.CREDIT if code in _CREDITS else Direction.DEBIT,
        parts["receiving DFI identification"] + parts["check digit"],
        parts["DFI account number"].strip(),
        int(parts["amount"]),
        parts["individual identification number"].strip(),
        parts["individual name"].strip(),
        parts["discretionary data"].strip(),
        parts["trace number"],
        tuple(addenda),
    )
    return entry, at


def _addenda(text: str, line: int) -> ReadAddenda:
    type_code = text[1:3]
    if type_code not in ADDENDA_TYPES:
        raise damaged(line, f"{type_code} is no addenda type code of the format")
    layout = {"98": CHANGE_ADDENDA, "99": RETURN_ADDENDA}.get(type_code)
    return ReadAddenda(line, type_code, fields_of(layout, text, line) if layout else {})


def _sums(entries: Iterable[ReadEntry], records: int) -> dict[str, int]:
    found = {"entry/addenda count": records, "entry hash": 0, "total debit amount": 0, "total credit amount": 0}
    for entry in entries:
        found["entry hash"] += int(entry.routing[:8])
        found[f"total {entry.direction} amount"] += entry.amount
    return found | {"entry hash": found["entry hash"] % HASH_DIGITS}


def _check_file(control: dict[str, str], batches: Sequence[dict[str, str]], at: int) -> None:
    names = ("entry/addenda count", "entry hash", "total debit amount", "total credit amount")
    expected = {name: sum(int(batch[name]) for batch in batches) for name in names}
    expected["entry hash"] %= HASH_DIGITS
    expected |= {"batch count": len(batches), "block count": -(-(at + 1) // BLOCKING_FACTOR)}
    _check_sums(FILE_CONTROL, control, expected, at)


def _check_sums(layout: Layout, control: dict[str, str], expected: dict[str, int], at: int) -> None:
    for name, value in expected.items():
        if int(control[name]) != value:
            said = int(control[name])
            raise damaged(at + 1, f"the {layout.title}'s {name} is {said}, the records before it make {value}")


def _date(text: str, line: int, what: str) -> date:
    """YYMMDD of this century."""
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        raise damaged(line, f"{what} must be a date, YYMMDD") from None


def _settlement_date(text: str, line: int, created_on: date) -> date | None:
    """The day of the year that the ACH operator writes, in the year that brings it nearest to the file's own date.
    Blank or zeros: nobody wrote one."""
    if not text.strip(" 0"):
        return None
    if not is_number(text) or not 1 <= int(text) <= 366:
        raise damaged(line, "the batch header's settlement date (76-78) must be a day of the year, 001 to 366, or blank")
    years = (created_on.year - 1, created_on.year, created_on.year + 1)
    days = [date.fromordinal(date(year, 1, 1).toordinal() + int(text) - 1) for year in years]
    return min(days, key=lambda day: abs(day - created_on))
