"""What a bank sends back: entries that were returned (addenda 99) and notifications of change (COR, addenda 98).

Source: Nacha Operating Rules, Appendix Four (return entries) and Appendix Five (notifications of change). What a code
means is in ach_returns.py and ach_changes.py; here it is only read. Entries that are neither, and those between banks
(dishonored returns R61-R70, contested ones R71-R77, refused notifications C61-C69), are handed over as unknown: somebody
has to look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from domain.nacha import Direction
from domain.nacha_read import ReadAddenda, ReadBatch, ReadEntry, read


@dataclass(frozen=True, slots=True)
class ReturnedEntry:
    """An entry of ours that comes back.

    `trace_number` is the return's own; with `original_trace` it names the return for good. `on`: the settlement date that
    the operator wrote, else the date of the file. `amount` in minor units. `rdfi`: the first eight digits of the
    borrower's bank. `direction`: of the original entry. `date_of_death` with R14 and R15 only, where the bank gave it.
    """

    line: int
    trace_number: str
    original_trace: str
    code: str
    on: date
    amount: int
    direction: Direction
    rdfi: str
    information: str
    date_of_death: date | None
    company_id: str
    sec_code: str


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """A notification of change: the entry was posted, and the next one is to be made as `corrected_data` says (29
    characters, not stripped on the left: their places have a meaning; see ach_changes.corrected)."""

    line: int
    trace_number: str
    original_trace: str
    code: str
    on: date
    rdfi: str
    corrected_data: str = field(repr=False)
    company_id: str


@dataclass(frozen=True, slots=True)
class UnknownEntry:
    """An entry that nothing can be done about without a person: `reason` says why. `original_trace` and `code` are empty
    where the entry has none. `amount` in minor units."""

    line: int
    reason: str
    trace_number: str
    original_trace: str
    code: str
    on: date
    amount: int
    direction: Direction
    company_id: str


@dataclass(frozen=True, slots=True)
class BankFile:
    """A file from a bank, in the order of its lines."""

    created_on: date
    id_modifier: str
    destination: str
    origin: str
    returns: tuple[ReturnedEntry, ...]
    changes: tuple[ChangedEntry, ...]
    unknown: tuple[UnknownEntry, ...]


def parse_returns(content: bytes) -> BankFile:
    """A file of returns and notifications of change.

    Raises: InvalidInput (code damaged_nacha_file, pointer /lines/N) when the file does not fit together: nothing of it
        is handed over then. See nacha_read.py for what is let pass.
    """
    file = read(content)
    returns: list[ReturnedEntry] = []
    changes: list[ChangedEntry] = []
    unknown: list[UnknownEntry] = []
    for batch in file.batches:
        on = batch.settles_on or file.created_on
        for entry in batch.entries:
            row = _row(batch, entry, on)
            if isinstance(row, ReturnedEntry):
                returns.append(row)
            elif isinstance(row, ChangedEntry):
                changes.append(row)
            else:
                unknown.append(row)
    parts = (tuple(returns), tuple(changes), tuple(unknown))
    return BankFile(file.created_on, file.id_modifier, file.destination, file.origin, *parts)


def _row(batch: ReadBatch, entry: ReadEntry, on: date) -> ReturnedEntry | ChangedEntry | UnknownEntry:
    answers = [addenda for addenda in entry.addenda if addenda.type_code in ("98", "99")]
    if len(answers) != 1:
        reason = "is neither a return nor a notification of change" if not answers else "has more than one answer"
        return _unknown(batch, entry, on, reason)
    (answer,) = answers
    code = _code(answer)
    if answer.type_code == "99" and re.fullmatch(r"R[0-9]{2}", code) and not "R61" <= code <= "R77":
        return ReturnedEntry(
            entry.line,
            entry.trace_number,
            answer.fields["original entry trace number"],
            code,
            on,
            entry.amount,
            entry.direction,
            answer.fields["original receiving DFI identification"],
            answer.fields["addenda information"].strip(),
            _date_of_death(answer.fields["date of death"]),
            batch.company_id,
            batch.sec_code,
        )
    if answer.type_code == "98" and re.fullmatch(r"C[0-9]{2}", code) and not "C61" <= code <= "C69":
        return ChangedEntry(
            entry.line,
            entry.trace_number,
            answer.fields["original entry trace number"],
            code,
            on,
            answer.fields["original receiving DFI identification"],
            answer.fields["corrected data"],
            batch.company_id,
        )
    return _unknown(batch, entry, on, _between_banks(code), answer)


def _code(answer: ReadAddenda) -> str:
    """The reason or change code; some banks write it in small letters."""
    return answer.fields["return reason code" if answer.type_code == "99" else "change code"].strip().upper()


def _between_banks(code: str) -> str:
    if "R61" <= code <= "R70":
        return "is a dishonored return, which is between the banks"
    if "R71" <= code <= "R77":
        return "is a contested dishonored return: the bank holds to its return"
    if "C61" <= code <= "C69":
        return "is a refused notification of change, which is between the banks"
    return "has a code that does not exist"


def _unknown(batch: ReadBatch, entry: ReadEntry, on: date, reason: str, answer: ReadAddenda | None = None) -> UnknownEntry:
    original = answer.fields["original entry trace number"] if answer else ""
    code = _code(answer) if answer else ""
    own = (entry.trace_number, original, code, on, entry.amount, entry.direction)
    return UnknownEntry(entry.line, f"the entry {reason}", *own, batch.company_id)


def _date_of_death(text: str) -> date | None:
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6])) if text.strip() else None
    except ValueError:  # a return is not refused for this: it says R14 or R15, whatever the day
        return None
