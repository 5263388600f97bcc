"""Cells of CSV files that people open in a spreadsheet: what would be taken for a formula gets an apostrophe before it."""

from __future__ import annotations

from typing import Final

_FORMULA: Final = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV Injection), the signs also in full width."""


def plain(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if _is_formula(text) else text


def original(text: str) -> str:
    """The cell that `plain` was given, so that a file we wrote can be read again."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    return text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)  # some take off what is blank before they look
