"""The records of a NACHA file as data: where each field begins, how wide it is, and how a value is written into it.

Source: Nacha Operating Rules, Appendix Three (ACH Record Format Specifications): 94 characters a record, ten records a
block; numbers are right-justified and filled with zeros, texts left-justified and filled with spaces; only the characters
from space to tilde. Both the writer (nacha.py) and the readers (nacha_read.py, nacha_returns.py) go by these tables.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RECORD_LENGTH: Final = 94
BLOCKING_FACTOR: Final = 10
PADDING: Final = "9" * RECORD_LENGTH
"""Fills the last block of ten."""

NUMBER, TEXT, FIXED, BLANK = "number", "text", "fixed", "blank"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: `start` counts from 1 as the rules do. `value` is what a fixed field holds."""

    name: str
    start: int
    width: int
    kind: str = TEXT
    value: str = ""

    def of(self, line: str) -> str:
        """The field's characters in a record."""
        return line[self.start - 1 : self.start - 1 + self.width]


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of record; its fields cover the 94 characters without a gap."""

    title: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


def _layout(title: str, *fields: tuple[str, int, str] | tuple[str, int, str, str]) -> Layout:
    placed, start = [], 1
    for name, width, kind, *value in fields:
        placed.append(Field(name, start, width, kind, value[0] if value else ""))
        start += width
    if start != RECORD_LENGTH + 1:
        raise AssertionError(f"{title} has {start - 1} characters")
    return Layout(title, tuple(placed))


FILE_HEADER: Final = _layout(
    "file header",
    ("record type", 1, FIXED, "1"),
    ("priority code", 2, FIXED, "01"),
    ("immediate destination", 10, TEXT),
    ("immediate origin", 10, TEXT),
    ("file creation date", 6, NUMBER),
    ("file creation time", 4, TEXT),
    ("file id modifier", 1, TEXT),
    ("record size", 3, FIXED, "094"),
    ("blocking factor", 2, FIXED, "10"),
    ("format code", 1, FIXED, "1"),
    ("immediate destination name", 23, TEXT),
    ("immediate origin name", 23, TEXT),
    ("reference code", 8, TEXT),
)

BATCH_HEADER: Final = _layout(
    "batch header",
    ("record type", 1, FIXED, "5"),
    ("service class code", 3, NUMBER),
    ("company name", 16, TEXT),
    ("company discretionary data", 20, TEXT),
    ("company identification", 10, TEXT),
    ("standard entry class code", 3, TEXT),
    ("company entry description", 10, TEXT),
    ("company descriptive date", 6, TEXT),
    ("effective entry date", 6, TEXT),
    ("settlement date", 3, TEXT),  # a day of the year (001 to 366), written by the ACH operator
    ("originator status code", 1, TEXT),
    ("originating DFI identification", 8, TEXT),
    ("batch number", 7, NUMBER),
)

ENTRY_DETAIL: Final = _layout(
    "entry detail",
    ("record type", 1, FIXED, "6"),
    ("transaction code", 2, NUMBER),
    ("receiving DFI identification", 8, NUMBER),
    ("check digit", 1, NUMBER),
    ("DFI account number", 17, TEXT),
    ("amount", 10, NUMBER),
    ("individual identification number", 15, TEXT),
    ("individual name", 22, TEXT),
    ("discretionary data", 2, TEXT),  # in a WEB batch: the payment type code, R recurring or S single
    ("addenda record indicator", 1, NUMBER),
    ("trace number", 15, NUMBER),
)

ADDENDA: Final = _layout(
    "addenda",
    ("record type", 1, FIXED, "7"),
    ("addenda type code", 2, FIXED, "05"),
    ("payment related information", 80, TEXT),
    ("addenda sequence number", 4, NUMBER),
    ("entry detail sequence number", 7, NUMBER),
)

RETURN_ADDENDA: Final = _layout(
    "return addenda",
    ("record type", 1, FIXED, "7"),
    ("addenda type code", 2, FIXED, "99"),
    ("return reason code", 3, TEXT),
    ("original entry trace number", 15, NUMBER),
    ("date of death", 6, TEXT),  # with R14 and R15 only
    ("original receiving DFI identification", 8, NUMBER),
    ("addenda information", 44, TEXT),
    ("trace number", 15, NUMBER),
)

CHANGE_ADDENDA: Final = _layout(
    "notification of change addenda",
    ("record type", 1, FIXED, "7"),
    ("addenda type code", 2, FIXED, "98"),
    ("change code", 3, TEXT),
    ("original entry trace number", 15, NUMBER),
    ("reserved", 6, TEXT),
    ("original receiving DFI identification", 8, NUMBER),
    ("corrected data", 29, TEXT),
    ("reserved after the data", 15, TEXT),
    ("trace number", 15, NUMBER),
)

BATCH_CONTROL: Final = _layout(
    "batch control",
    ("record type", 1, FIXED, "8"),
    ("service class code", 3, NUMBER),
    ("entry/addenda count", 6, NUMBER),
    ("entry hash", 10, NUMBER),
    ("total debit amount", 12, NUMBER),
    ("total credit amount", 12, NUMBER),
    ("company identification", 10, TEXT),
    ("message authentication code", 19, BLANK),  # nobody here holds the key that it would be checked with
    ("reserved", 6, BLANK),
    ("originating DFI identification", 8, TEXT),
    ("batch number", 7, NUMBER),
)

FILE_CONTROL: Final = _layout(
    "file control",
    ("record type", 1, FIXED, "9"),
    ("batch count", 6, NUMBER),
    ("block count", 6, NUMBER),
    ("entry/addenda count", 8, NUMBER),
    ("entry hash", 10, NUMBER),
    ("total debit amount", 12, NUMBER),
    ("total credit amount", 12, NUMBER),
    ("reserved", 39, BLANK),
)


def write(layout: Layout, values: Mapping[str, int | str]) -> str:
    """A record of 94 characters. Texts that are not named stay blank.

    Raises: ValueError when a value is wider than its field or holds other characters: whoever calls has checked that.
    """
    parts = []
    for field in layout.fields:
        value = str(values.get(field.name, field.value))
        part = value.rjust(field.width, "0") if field.kind == NUMBER else value.ljust(field.width)
        if len(part) != field.width or not allowed(part) or (field.kind == NUMBER and not is_number(part)):
            raise ValueError(f"{layout.title}: the {field.name} does not fit its {field.width} characters")
        parts.append(part)
    return "".join(parts)


def is_number(text: str) -> bool:
    """Whether a text consists of the digits 0 to 9 only, and is not empty."""
    return text.isascii() and text.isdigit()


def allowed(text: str) -> bool:
    """Whether a text has only characters that a NACHA file may hold."""
    return all(" " <= character <= "~" for character in text)


_SPELLED: Final = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
        "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ł": "l", "Ł": "L", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N",
        "‘": "'", "’": "'", "ʼ": "'", "ʻ": "'", "`": "'", "´": "'", "“": '"', "”": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "\t": " ", "\n": " ", "\r": " ",
    }
)  # fmt: skip
"""Letters that do not decompose into a letter and an accent, and the marks that word processors put in place of ASCII."""


def transliterated(text: str) -> str:
    """A text in capitals without accents, with single spaces, and without whatever a NACHA file cannot hold ("José Ñuñez"
    becomes "JOSE NUNEZ"; a name in another script becomes empty)."""
    spelled = unicodedata.normalize("NFKD", text.translate(_SPELLED)).translate(_SPELLED).upper()
    return " ".join("".join(character for character in spelled if " " <= character <= "~").split())


def fitted(text: str, width: int) -> str:
    """A name or an identification as it goes into a field of that width: transliterated, and cut on the right."""
    return transliterated(text)[:width].rstrip()
