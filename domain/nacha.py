"""A NACHA file of debits from, and credits to, borrowers' bank accounts: what it is made of, and its bytes.

Source: Nacha Operating Rules, Appendix Three (record formats), 2.5.17 (WEB), 2.5.13 (PPD) and 2.12.4 (reinitiated entries:
a batch of their own, described "RETRY PYMT"). The same File gives the same bytes, whatever the order of its entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final

from domain.borrower import check_routing_number
from domain.errors import FieldError, InvalidInput
from domain.nacha_records import (
    ADDENDA,
    BATCH_CONTROL,
    BATCH_HEADER,
    BLOCKING_FACTOR,
    ENTRY_DETAIL,
    FILE_CONTROL,
    FILE_HEADER,
    PADDING,
    allowed,
    fitted,
    write,
)

MAX_AMOUNT: Final = 99_999_999_99
"""Minor units: the ten digits of an entry's amount."""
MAX_TOTAL: Final = 9_999_999_999_99
"""Minor units: the twelve digits of a total, of a batch or of the file."""
MAX_SEQUENCE: Final = 9_999_999
MAX_BATCH_RECORDS: Final = 999_999
MAX_ACCOUNT: Final = 17
MAX_ADDENDA: Final = 80
DEFAULT_LABEL: Final = "LOAN PYMT"
RETRY_LABEL: Final = "RETRY PYMT"
"""How a debit is described that was returned R01 or R09 and is drafted again."""
HASH_DIGITS: Final = 10**10
MIXED, CREDITS_ONLY, DEBITS_ONLY = 200, 220, 225


class SecCode(StrEnum):
    """How the borrower authorized it: WEB over the internet, PPD in writing. Credits are PPD: WEB credits are payments of
    one person to another (2.5.17)."""

    WEB = "WEB"
    PPD = "PPD"


class AccountType(StrEnum):
    CHECKING = "checking"
    SAVINGS = "savings"


class Direction(StrEnum):
    """`debit` takes money from the borrower's account, `credit` brings money to it."""

    DEBIT = "debit"
    CREDIT = "credit"


TRANSACTION_CODES: Final[dict[tuple[AccountType, Direction], int]] = {
    (AccountType.CHECKING, Direction.CREDIT): 22,
    (AccountType.CHECKING, Direction.DEBIT): 27,
    (AccountType.SAVINGS, Direction.CREDIT): 32,
    (AccountType.SAVINGS, Direction.DEBIT): 37,
}


@dataclass(frozen=True, slots=True)
class Originator:
    """The lender as its bank knows it, by agreement with that bank.

    `destination_routing`: nine digits, the bank or operator the file goes to. `origin`: the immediate origin, at most ten
    characters, most often "1" and the employer identification number. `company_name` is what the borrower's statement
    shows (16 characters at most). `company_id`: at most ten characters. `odfi_routing`: nine digits, the bank that
    originates (often the destination itself); its first eight begin every trace number.
    """

    destination_routing: str
    destination_name: str
    origin: str
    origin_name: str
    company_name: str
    company_id: str
    odfi_routing: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One debit or credit. `sequence` is the end of its trace number (1 to 9,999,999, once in a file); `amount` in minor
    units. `individual_id` is what the borrower's statement and the bank's questions name it by. `recurring` says in a
    WEB batch whether it is one of a series. `label` is the batch's company entry description (RETRY_LABEL for a debit
    that is drafted again). `addenda`: at most 80 characters of text. Not shown by repr: what is the borrower's secret."""

    sequence: int
    routing: str
    account_number: str = field(repr=False)
    account_type: AccountType
    amount: int
    individual_id: str
    individual_name: str = field(repr=False)
    direction: Direction = Direction.DEBIT
    label: str = DEFAULT_LABEL
    recurring: bool = True
    addenda: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one SEC code that are meant to settle on one banking day. Each label is a batch of its own in the file."""

    sec_code: SecCode
    effective_date: date
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A file as a whole. `created_at` is written as its wall clock says (the lender's zone). `id_modifier`: A to Z or 0 to
    9, another one for each file of a day."""

    originator: Originator
    created_at: datetime
    id_modifier: str
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a file adds up to: entries (addenda not counted), and minor units."""

    entries: int
    debits: int
    credits: int


def totals(file: File) -> Totals:
    """What the bank's confirmation of a file is compared with."""
    entries = [entry for batch in file.batches for entry in batch.entries]
    return Totals(len(entries), _sum(entries, Direction.DEBIT), _sum(entries, Direction.CREDIT))


def trace_number(odfi_routing: str, sequence: int) -> str:
    """The fifteen digits that name an entry, and that its return names again."""
    return f"{odfi_routing[:8]}{sequence:07d}"


def build(file: File) -> bytes:
    """The file as it is sent: ASCII, 94 characters and a line feed a record, filled with nines to a multiple of ten.

    Raises: InvalidInput (code nacha_unrepresentable) when anything does not fit the format, with a pointer per value
        (/batches/0/entries/3/amount), naming each entry by its sequence.
    """
    errors = [*_file_errors(file), *originator_errors(file.originator), *_batch_errors(file)]
    if errors:
        shown = "; ".join(error.message for error in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise InvalidInput(f"No NACHA file can be made: {shown}{more}.", code="nacha_unrepresentable", errors=errors)
    records = [write(FILE_HEADER, _file_header(file))]
    controls: list[dict[str, int | str]] = []
    for number, (batch, entries) in enumerate(_batch_records(file), start=1):
        controls.append(_batch_control(file.originator, entries, number))
        records.append(write(BATCH_HEADER, _batch_header(file.originator, batch, entries, number)))
        for entry in entries:
            records += _entry_records(file.originator, batch.sec_code, entry)
        records.append(write(BATCH_CONTROL, controls[-1]))
    blocks = -(-(len(records) + 1) // BLOCKING_FACTOR)
    records.append(write(FILE_CONTROL, _file_control(controls, blocks)))
    records += [PADDING] * (blocks * BLOCKING_FACTOR - len(records))
    return "".join(f"{record}\n" for record in records).encode("ascii")


def entry_errors(entry: Entry, sec_code: SecCode, pointer: str = "") -> list[FieldError]:
    """What of an entry a NACHA file cannot hold: empty when it can be sent. The messages name the entry by its sequence
    and never its account number."""
    found: list[tuple[str, str]] = []
    if not 1 <= entry.sequence <= MAX_SEQUENCE:
        found.append(("sequence", f"its sequence must be from 1 to {MAX_SEQUENCE}"))
    if not 1 <= entry.amount <= MAX_AMOUNT:
        found.append(("amount", "its amount must be from 0.01 to 99999999.99"))
    try:
        check_routing_number(entry.routing)
    except InvalidInput as error:
        found.append(("routing", f"its routing number {error.errors[0].message}"))
    if not re.fullmatch(r"[0-9A-Z-]{1,17}", entry.account_number) or not entry.account_number.strip("0-"):
        found.append(("account_number", f"its account number must be 1 to {MAX_ACCOUNT} digits, capitals or hyphens"))
    if not re.search("[A-Z1-9]", fitted(entry.individual_name, 22)):
        found.append(("individual_name", "its name has no letter that the format knows (A to Z)"))
    if not fitted(entry.individual_id, 15):
        found.append(("individual_id", "its individual id is empty"))
    if not re.fullmatch(r"(?=.*[A-Z1-9])[A-Z0-9][A-Z0-9 ]{0,9}", entry.label):
        found.append(("label", "its label must be 1 to 10 capitals, digits or spaces"))
    if entry.addenda is not None and not _is_line(entry.addenda, MAX_ADDENDA):
        found.append(("addenda", f"its addenda must be 1 to {MAX_ADDENDA} ASCII characters"))
    if entry.direction is Direction.CREDIT and sec_code is not SecCode.PPD:
        found.append(("direction", "a credit to a borrower must be in a PPD batch"))
    if entry.direction is Direction.CREDIT and entry.label == RETRY_LABEL:
        found.append(("label", f"a credit cannot be a {RETRY_LABEL}"))
    return [FieldError(f"{pointer}/{name}", f"entry {entry.sequence}: {message}") for name, message in found]


def _file_errors(file: File) -> Iterator[FieldError]:
    if not re.fullmatch("[A-Z0-9]", file.id_modifier):
        yield FieldError("/id_modifier", "the file id modifier must be one of A to Z or 0 to 9")
    if not 2000 <= file.created_at.year <= 2099:
        yield FieldError("/created_at", "the file must be created between 2000 and 2099")
    if not file.batches:
        yield FieldError("/batches", "the file has no batch")
    for direction in Direction:
        if sum(_sum(batch.entries, direction) for batch in file.batches) > MAX_TOTAL:
            yield FieldError("/batches", f"the {direction}s of the file must not be more than 9999999999.99")


def originator_errors(originator: Originator) -> Iterator[FieldError]:
    """What of an originator a NACHA file cannot hold."""
    for name in ("destination_routing", "odfi_routing"):
        try:
            check_routing_number(getattr(originator, name))
        except InvalidInput as error:
            yield FieldError(f"/originator/{name}", f"the originator's {name} {error.errors[0].message}")
    for name in ("origin", "company_id"):
        value = getattr(originator, name)
        if not re.fullmatch(r"[0-9A-Z ]{1,10}", value) or not value.strip(" 0"):
            yield FieldError(f"/originator/{name}", f"the originator's {name} must be 1 to 10 digits or capitals")
    for name in ("destination_name", "origin_name", "company_name"):
        if not fitted(getattr(originator, name), 16).strip("0"):
            yield FieldError(f"/originator/{name}", f"the originator's {name} is empty")


def _batch_errors(file: File) -> Iterator[FieldError]:
    seen: set[int] = set()
    for position, batch in enumerate(file.batches):
        pointer = f"/batches/{position}"
        if not batch.entries:
            yield FieldError(f"{pointer}/entries", f"batch {position + 1} has no entry")
        if not 2000 <= batch.effective_date.year <= 2099:
            yield FieldError(f"{pointer}/effective_date", f"batch {position + 1} must be effective between 2000 and 2099")
        if sum(1 + (entry.addenda is not None) for entry in batch.entries) > MAX_BATCH_RECORDS:
            yield FieldError(f"{pointer}/entries", f"batch {position + 1} has more than {MAX_BATCH_RECORDS} records")
        for index, entry in enumerate(batch.entries):
            yield from entry_errors(entry, batch.sec_code, f"{pointer}/entries/{index}")
            if entry.sequence in seen:
                message = f"entry {entry.sequence}: its sequence is already that of another entry of the file"
                yield FieldError(f"{pointer}/entries/{index}/sequence", message)
            seen.add(entry.sequence)


def _is_line(text: str, width: int) -> bool:
    return bool(text.strip()) and len(text) <= width and allowed(text)


def _batch_records(file: File) -> Iterator[tuple[Batch, list[Entry]]]:
    """The batches as the file has them: each label on its own, entries in ascending order of trace number (Appendix
    Three asks for that)."""
    for batch in file.batches:
        by_label = sorted(batch.entries, key=lambda entry: (entry.label, entry.sequence))
        for _, entries in groupby(by_label, key=lambda entry: entry.label):
            yield batch, list(entries)


def _file_header(file: File) -> dict[str, int | str]:
    originator = file.originator
    return {
        "immediate destination": f" {originator.destination_routing}",
        "immediate origin": originator.origin.rjust(10),
        "file creation date": f"{file.created_at:%y%m%d}",
        "file creation time": f"{file.created_at:%H%M}",
        "file id modifier": file.id_modifier,
        "immediate destination name": fitted(originator.destination_name, 23),
        "immediate origin name": fitted(originator.origin_name, 23),
    }


def _batch_header(originator: Originator, batch: Batch, entries: Sequence[Entry], number: int) -> dict[str, int | str]:
    return {
        "service class code": _service_class(entries),
        "company name": fitted(originator.company_name, 16),
        "company identification": originator.company_id,
        "standard entry class code": batch.sec_code,
        "company entry description": entries[0].label,
        "effective entry date": f"{batch.effective_date:%y%m%d}",
        "originator status code": "1",  # a depository institution bound by the rules
        "originating DFI identification": originator.odfi_routing[:8],
        "batch number": number,
    }


def _entry_records(originator: Originator, sec_code: SecCode, entry: Entry) -> Iterator[str]:
    payment_type = "R" if entry.recurring else "S"
    yield write(
        ENTRY_DETAIL,
        {
            "transaction code": TRANSACTION_CODES[entry.account_type, entry.direction],
            "receiving DFI identification": entry.routing[:8],
            "check digit": entry.routing[8],
            "DFI account number": entry.account_number,
            "amount": entry.amount,
            "individual identification number": fitted(entry.individual_id, 15),
            "individual name": fitted(entry.individual_name, 22),
            "discretionary data": payment_type if sec_code is SecCode.WEB else "",
            "addenda record indicator": int(entry.addenda is not None),
            "trace number": trace_number(originator.odfi_routing, entry.sequence),
        },
    )
    if entry.addenda is not None:
        yield write(
            ADDENDA,
            {
                "payment related information": entry.addenda,
                "addenda sequence number": 1,
                "entry detail sequence number": entry.sequence,
            },
        )


def _batch_control(originator: Originator, entries: Sequence[Entry], number: int) -> dict[str, int | str]:
    return {
        "service class code": _service_class(entries),
        "entry/addenda count": sum(1 + (entry.addenda is not None) for entry in entries),
        "entry hash": sum(int(entry.routing[:8]) for entry in entries) % HASH_DIGITS,
        "total debit amount": _sum(entries, Direction.DEBIT),
        "total credit amount": _sum(entries, Direction.CREDIT),
        "company identification": originator.company_id,
        "originating DFI identification": originator.odfi_routing[:8],
        "batch number": number,
    }


def _file_control(batches: Sequence[dict[str, int | str]], blocks: int) -> dict[str, int | str]:
    return {
        "batch count": len(batches),
        "block count": blocks,
        "entry/addenda count": sum(int(batch["entry/addenda count"]) for batch in batches),
        "entry hash": sum(int(batch["entry hash"]) for batch in batches) % HASH_DIGITS,
        "total debit amount": sum(int(batch["total debit amount"]) for batch in batches),
        "total credit amount": sum(int(batch["total credit amount"]) for batch in batches),
    }


def _service_class(entries: Iterable[Entry]) -> int:
    directions = {entry.direction for entry in entries}
    if len(directions) > 1:
        return MIXED
    return DEBITS_ONLY if Direction.DEBIT in directions else CREDITS_ONLY


def _sum(entries: Iterable[Entry], direction: Direction) -> int:
    return sum(entry.amount for entry in entries if entry.direction is direction)
