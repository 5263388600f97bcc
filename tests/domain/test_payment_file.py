"""What a file of payments may look like, and what of it is refused: the file as a whole, or a row."""

from __future__ import annotations

import csv
import io
import time
from datetime import date

import pytest

from domain.errors import InvalidInput
from domain.money import MAX_MINOR, format_amount
from domain.payment_file import MAX_BYTES, MAX_ROWS, MAX_ROWS_A_LOAN, FileRow, PaymentFile, read, rejects
from domain.spreadsheet import original

HEADER = "loan_number,amount,date,method,external_id"
GOOD = "L-1,297.47,2020-10-09,ach,X-1"


def file_of(*rows: str, header: str = HEADER, end: str = "\n") -> PaymentFile:
    return read(end.join([header, *rows]).encode())


def row_of(row: str, header: str = HEADER) -> FileRow:
    return file_of(row, header=header).rows[0]


def test_a_row_is_read() -> None:
    assert row_of(GOOD) == FileRow(
        2, ("L-1", "297.47", "2020-10-09", "ach", "X-1"), "L-1", 297_47, date(2020, 10, 9), "ach", "X-1"
    )


def test_date_and_method_may_be_left_out_or_blank() -> None:
    for row in (row_of("L-1,5,X-1", "loan_number,amount,external_id"), row_of("L-1,5, ,,X-1")):
        assert (row.amount, row.effective_date, row.payment_method, row.error) == (5_00, None, "check", None)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{GOOD}".encode(),
        f"{HEADER}\r\n{GOOD}\r\n".encode(),
        f"\ufeff{HEADER}\n{GOOD}\n".encode(),
        b'"loan_number","amount","date","method","external_id"\n"L-1","297.47","2020-10-09","ach","X-1"\n',
        f"\n{HEADER}\n\n,,,,\n{GOOD}\n\n".encode(),
        b" LOAN_NUMBER , Amount,DATE,method,external_id\n L-1 , 297.47,2020-10-09,ACH,X-1 \n",
    ],
    ids=["no last line end", "CRLF", "byte order mark", "all quoted", "blank lines", "case and spaces"],
)
def test_ways_to_write_the_same(content: bytes) -> None:
    (row,) = read(content).rows
    assert (row.loan_number, row.amount, row.effective_date) == ("L-1", 297_47, date(2020, 10, 9))
    assert (row.payment_method, row.external_id, row.error) == ("ach", "X-1", None)


def test_columns_may_come_in_any_order_and_those_of_a_file_of_rejects_are_not_read() -> None:
    row = row_of('X-1,"because, it was",7,1.00,L-1', "external_id,reason,line,amount,loan_number")
    assert (row.line, row.loan_number, row.amount, row.external_id, row.error) == (2, "L-1", 1_00, "X-1", None)


def test_a_quoted_cell_may_hold_what_separates_cells_and_rows_count_as_lines() -> None:
    rows = file_of('"L,""1""",1.00,,,X-1', '"L\n2",1.00,,,X-2', "L-3,1.00,,,X-3").rows
    assert [(row.line, row.loan_number) for row in rows] == [(2, 'L,"1"'), (3, None), (5, "L-3")]
    assert rows[1].error is not None
    assert rows[1].error.code == "invalid_text"


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("L-1,,,,X-1", "amount", "invalid_amount"),
        ("L-1,ten,,,X-1", "amount", "invalid_amount"),
        ('L-1,"1,234.50",,,X-1', "amount", "invalid_amount"),
        ("L-1,1 234.50,,,X-1", "amount", "invalid_amount"),
        ("L-1,1_234.50,,,X-1", "amount", "invalid_amount"),
        ("L-1,$5.00,,,X-1", "amount", "invalid_amount"),
        ("L-1,5.005,,,X-1", "amount", "invalid_amount"),
        ("L-1,1e3,,,X-1", "amount", "invalid_amount"),
        ("L-1,NaN,,,X-1", "amount", "invalid_amount"),
        ("L-1,٥,,,X-1", "amount", "invalid_amount"),
        ("L-1," + "9" * 40 + ",,,X-1", "amount", "invalid_amount"),
        ("L-1,5,10/09/2020,,X-1", "date", "invalid_date"),
        ("L-1,5,20201009,,X-1", "date", "invalid_date"),
        ("L-1,5,2020-W41-5,,X-1", "date", "invalid_date"),
        ("L-1,5,2020-02-30,,X-1", "date", "invalid_date"),
        ("L-1,5,0001-01-01,,X-1", "date", "invalid_date"),
        ("L-1,5,,barter,X-1", "method", "invalid_method"),
        (",5,,,X-1", "loan_number", "missing"),
        ("L-1,5,,,", "external_id", "missing"),
        ("L-1,5,,, ", "external_id", "missing"),
        ("L-1,5,,," + "x" * 256, "external_id", "too_long"),
        ("L" * 51 + ",5,,,X-1", "loan_number", "too_long"),
        ("L-1,5,,,X\u202e1", "external_id", "invalid_text"),
        ("L-1,5,,", "", "wrong_number_of_cells"),
        ("L-1,5,,,X-1,", "", "wrong_number_of_cells"),
    ],
)
def test_a_row_that_cannot_be_a_payment(row: str, column: str, code: str) -> None:
    rows = file_of(row, "L-9,1.00,,,X-9").rows
    assert rows[0].error is not None
    assert (rows[0].error.pointer, rows[0].error.code) == (column, code)
    assert rows[0].amount is None
    assert rows[1].error is None, "the others are read"


def test_an_external_id_counts_once_in_a_file_also_when_its_row_is_wrong() -> None:
    rows = file_of("L-1,5,,,X-1", "L-2,6,,,X-1", "L-3,bad,,,X-2", "L-3,7,,,X-2", "L-1,5,,,X-3").rows
    assert [row.error and row.error.code for row in rows] == [
        None,
        "duplicate_external_id",
        "invalid_amount",
        "duplicate_external_id",
        None,
    ]
    assert rows[1].error is not None
    assert "line 2" in rows[1].error.message


@pytest.mark.parametrize(
    ("content", "code", "says", "line"),
    [
        (b"", "empty_file", "header", None),
        (b"\xef\xbb\xbf\n\n", "empty_file", "header", None),
        (HEADER.encode(), "empty_file", "no rows", None),
        (b"amount,date\n5,\n", "invalid_columns", "lacks the columns loan_number, external_id", 1),
        (f"{HEADER},colour\n{GOOD},red\n".encode(), "invalid_columns", "'colour'", 1),
        (f"{HEADER},amount\n{GOOD},5\n".encode(), "invalid_columns", "has twice amount", 1),
        (b"loan_number;amount;external_id\nL-1;5;X\n", "invalid_columns", "separated by commas", 1),
        (f"{GOOD}\n".encode(), "invalid_columns", "lacks", 1),
        (f'{HEADER}\n{GOOD}\n"L-2,5,,,X-2\n'.encode(), "invalid_csv", "line 3", 3),
        (f'{HEADER}\n"L"-2,5,,,X-2\n'.encode(), "invalid_csv", "line 2", 2),
        (f"{HEADER}\nL-1,5,,,\0\n".encode(), "invalid_encoding", "U+0000", 2),
        (f"{HEADER}\nM\xfcller,5,,,X\n".encode("latin-1"), "invalid_encoding", "line 2", 2),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "invalid_encoding", "UTF-8", 1),
        (b"x" * (MAX_BYTES + 1), "file_too_large", str(MAX_BYTES), None),
        (f"{HEADER}\n{'L' * 200_000},5,,,X\n".encode(), "invalid_csv", "line 2", 2),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole(content: bytes, code: str, says: str, line: int | None) -> None:
    with pytest.raises(InvalidInput, match=r".") as refusal:
        read(content)
    assert refusal.value.code == code
    assert says in refusal.value.detail
    assert len(refusal.value.detail) < 2_000
    pointer = "" if line is None else f"/lines/{line}"
    assert [(error.pointer, error.code) for error in refusal.value.errors] == [(pointer, code)]


def test_no_more_rows_than_can_be_previewed() -> None:
    rows = [f"L-{n},5,,,X-{n}" for n in range(MAX_ROWS + 1)]
    assert len(file_of(*rows[:-1]).rows) == MAX_ROWS
    with pytest.raises(InvalidInput, match="50000"):
        file_of(*rows)


def test_no_more_money_than_a_person_could_confirm() -> None:
    """Posting needs the control total, which is an amount like any other."""
    most = format_amount(MAX_MINOR - 1)
    assert file_of(f"L-1,{most},,,A", "L-2,0.01,,,B", "L-3,-5,,,C").rows[0].amount == MAX_MINOR - 1
    with pytest.raises(InvalidInput, match=format_amount(MAX_MINOR)) as refusal:
        file_of(f"L-1,{most},,,A", "L-2,0.02,,,B")
    assert refusal.value.code == "total_too_large"


@pytest.mark.parametrize("name", ["memo", "amount", ""])
def test_a_header_of_very_many_columns_is_refused_at_once(name: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput) as refusal:
        read(b",".join([b"loan_number,external_id", *[name.encode()] * 100_000]) + b"\nL-1")
    assert (refusal.value.code, time.process_time() - began < 5) == ("invalid_columns", True)
    assert len(refusal.value.detail) < 2_000


def test_no_more_rows_of_a_loan_than_anybody_pays() -> None:
    rows = file_of(*(f"L-1,5,,,X-{n}" for n in range(MAX_ROWS_A_LOAN + 2)), "L-2,5,,,Y").rows
    assert [row.line for row in rows if row.error] == [MAX_ROWS_A_LOAN + 2, MAX_ROWS_A_LOAN + 3]
    error = rows[-2].error
    assert error is not None
    assert (error.pointer, error.code) == ("loan_number", "too_many_rows_of_loan")


def test_rejects_can_be_opened_in_a_spreadsheet_and_read_again() -> None:
    cells = ("=1+1", "-5.00", "", "ach", '@x,"y"\n')
    text = "".join(rejects(HEADER.split(","), [(7, cells, "=reason"), (9, ("L-2",), "one cell")]))
    shown = list(csv.reader(io.StringIO(text, newline="")))
    assert shown == [
        [*HEADER.split(","), "line", "reason"],
        ["'=1+1", "'-5.00", "", "ach", '\'@x,"y"\n', "7", "'=reason"],
        ["L-2", "", "", "", "", "9", "one cell"],
    ]
    again = read(text.encode()).rows[0]
    assert (again.loan_number, again.amount, again.external_id) == ("=1+1", -5_00, '@x,"y"')


@pytest.mark.parametrize("sign", [*"=+-@\t\r\n＝＋－＠", " =", "\u00a0="])
def test_no_sign_of_a_formula_is_left_in_the_rejects(sign: str) -> None:
    """Neither those of other widths, which a spreadsheet in an Asian language takes for the same, nor behind a space."""
    text = "".join(rejects(["external_id"], [(2, (f"{sign}1+1",), "x")]))
    assert [*csv.reader(io.StringIO(text, newline=""))][1][0] == f"'{sign}1+1"
    assert original(f"'{sign}1+1") == f"{sign}1+1"
    assert row_of("L-1,' -5.00,,,X").amount == -5_00


def test_the_rejects_of_rejects_have_the_same_columns() -> None:
    columns = [*HEADER.split(","), "line", "reason"]
    assert next(rejects(columns, [])) == f"{HEADER},line,reason\r\n"
