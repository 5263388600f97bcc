"""A lockbox file: payments as CSV, a row a payment. Read here into rows, each with what is wrong with it.

Only what can be seen in the file itself: whether a loan takes a payment is asked of the loan (domain/replay.py).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, cast, get_args

from domain.calendars import FIRST_YEAR, LAST_YEAR
from domain.errors import FieldError, InvalidInput
from domain.money import MAX_MINOR, format_amount, parse_amount
from domain.spreadsheet import original, plain

Method = Literal["ach", "wire", "check", "card", "cash", "other"]

MAX_BYTES: Final = 10_000_000
MAX_ROWS: Final = 50_000
MAX_ROWS_A_LOAN: Final = 100
"""Each payment of a loan is previewed on all before it: more of one loan than anybody pays would keep everybody waiting."""
REQUIRED: Final = ("loan_number", "amount", "external_id")
OPTIONAL: Final = ("date", "method")
OURS: Final = ("line", "reason")
"""The columns a file of rejects has besides; they are not read, so that it can be corrected and sent again."""
METHODS: Final[tuple[str, ...]] = get_args(Method)
DEFAULT_METHOD: Final = "check"
_LONGEST: Final = {"loan_number": 50, "external_id": 255}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of the file: the line it begins on (the header is line 1) and its cells as they are.

    `amount` in minor units. `effective_date` None: the file does not say. `error` is the first thing wrong with it
    (pointer: the column), and then what could not be read is None.
    """

    line: int
    cells: tuple[str, ...]
    loan_number: str | None = None
    amount: int | None = None
    effective_date: date | None = None
    payment_method: Method | None = None
    external_id: str | None = None
    error: FieldError | None = None


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A file that could be read: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[FileRow, ...]


def read(content: bytes) -> PaymentFile:
    """Read a file: UTF-8 with or without byte order mark, comma separated, quoted as RFC 4180 says, with a header.

    A row that cannot be a payment carries its error. Raises InvalidInput for a file that cannot be read as a whole: its
    encoding, its quoting (naming the line), unknown, missing or repeated columns (naming them), no rows, too many, or
    more money than an amount can say.
    """
    lines = _lines(_text(content))
    header = next(lines, None)
    if header is None:
        raise _refused("The file is empty: it needs a header line and a row a payment.", "empty_file")
    columns = _columns(*header)
    rows: list[FileRow] = []
    first: dict[str, int] = {}
    of_loan: Counter[str] = Counter()
    for line, cells in lines:
        if len(rows) == MAX_ROWS:
            raise _refused(f"The file must have at most {MAX_ROWS} rows; send it in parts.", "too_many_rows", line)
        row = _row(columns, line, cells)
        if row.external_id is not None and first.setdefault(row.external_id, line) != line:
            message = f"is on line {first[row.external_id]} already: each payment needs its own"
            row = FileRow(line, cells, error=FieldError("external_id", message, "duplicate_external_id"))
        if row.error is None and row.loan_number is not None:
            of_loan[row.loan_number] += 1
            if of_loan[row.loan_number] > MAX_ROWS_A_LOAN:
                message = f"has {MAX_ROWS_A_LOAN} rows in this file already: send the others in another one"
                row = FileRow(line, cells, error=FieldError("loan_number", message, "too_many_rows_of_loan"))
        rows.append(row)
    if not rows:
        raise _refused("The file has a header and no rows.", "empty_file")
    if sum(max(row.amount or 0, 0) for row in rows) > MAX_MINOR:
        most = format_amount(MAX_MINOR)
        raise _refused(f"The amounts of a file must add up to at most {most}; send it in parts.", "total_too_large")
    return PaymentFile(columns, tuple(rows))


def rejects(columns: Sequence[str], rows: Iterable[tuple[int, Sequence[str], str]]) -> Iterator[str]:
    """The lines of a CSV of rejected rows (line, cells, reason): the columns of the file, then `line` and `reason`.

    What a spreadsheet would take for a formula begins with an apostrophe, which `read` takes off again.
    """
    kept = [at for at, name in enumerate(columns) if name not in OURS]
    yield _csv([*(columns[at] for at in kept), *OURS])
    for line, cells, reason in rows:
        own = [plain(cells[at]) if at < len(cells) else "" for at in kept]
        yield _csv([*own, str(line), plain(reason)])


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _refused(f"The file must have at most {MAX_BYTES} bytes; send it in parts.", "file_too_large")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(f"The file must be UTF-8; line {line} is not.", "invalid_encoding", line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _refused(f"The file must not contain the character U+0000; line {line} does.", "invalid_encoding", line)
    return text


def _lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines that are not blank, each with the number of the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _refused(f"The file is not valid CSV from line {begins} on: {error}.", "invalid_csv", begins) from None
        if any(cell.strip() for cell in cells):
            yield begins, tuple(cells)


def _columns(line: int, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in header)
    known = (*REQUIRED, *OPTIONAL, *OURS)
    missing = [name for name in REQUIRED if name not in names]
    unknown = [f"{name[:40]!r}" for name in dict.fromkeys(names) if name not in known]
    counted = Counter(names)
    twice = [name for name in sorted(known) if counted[name] > 1]
    wrong = [
        f"{what} {', '.join(listed[:20])}"
        for what, listed in (("lacks the columns", missing), ("has the unknown columns", unknown), ("has twice", twice))
        if listed
    ]
    if wrong:
        allowed = f"It needs {', '.join(REQUIRED)} and may have {', '.join(OPTIONAL)}, separated by commas."
        raise _refused(f"The header {', and '.join(wrong)}. {allowed}", "invalid_columns", line)
    return names


class _Wrong(Exception):
    """What is wrong with a cell."""

    def __init__(self, column: str, message: str, code: str) -> None:
        super().__init__(message)
        self.error = FieldError(column, message, code)


def _row(columns: Sequence[str], line: int, cells: tuple[str, ...]) -> FileRow:
    if len(cells) != len(columns):
        message = f"the row has {len(cells)} cells, the header {len(columns)}"
        return FileRow(line, cells, error=FieldError("", message, "wrong_number_of_cells"))
    values = {name: original(cell.strip()).strip() for name, cell in zip(columns, cells, strict=True)}
    external_id: str | None = None
    try:
        loan_number, external_id = _name(values, "loan_number"), _name(values, "external_id")
        amount, method = _amount(values["amount"]), _method(values.get("method", ""))
        on = _date(values.get("date", ""))
    except _Wrong as wrong:
        return FileRow(line, cells, external_id=external_id, error=wrong.error)
    return FileRow(line, cells, loan_number, amount, on, method, external_id)


def _name(values: dict[str, str], column: str) -> str:
    text = values[column]
    if not text:
        raise _Wrong(column, "is needed", "missing")
    if len(text) > _LONGEST[column]:
        raise _Wrong(column, f"must have at most {_LONGEST[column]} characters", "too_long")
    if not text.isprintable():
        raise _Wrong(column, "must be one line without control characters", "invalid_text")
    return text


def _amount(text: str) -> int:
    try:
        return parse_amount(text)
    except InvalidInput as refusal:
        raise _Wrong("amount", refusal.errors[0].message, refusal.code) from None


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        parsed = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != text or not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        message = f'must be a day such as "2026-02-15", between the years {FIRST_YEAR} and {LAST_YEAR}'
        raise _Wrong("date", message, "invalid_date")
    return parsed


def _method(text: str) -> Method:
    method = text.lower() or DEFAULT_METHOD
    if method not in METHODS:
        raise _Wrong("method", f"must be one of {', '.join(METHODS)}", "invalid_method")
    return cast(Method, method)


def _refused(detail: str, code: str, line: int | None = None) -> InvalidInput:
    """The refusal of a file: `line` counts from 1, None is the whole of it."""
    error = FieldError("" if line is None else f"/lines/{line}", detail, code)
    return InvalidInput(detail, code=code, errors=[error])
