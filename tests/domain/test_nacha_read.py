"""A NACHA file is read again as it was written, and one that does not fit together is refused at its first wrong line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.nacha import RETRY_LABEL, AccountType, Batch, File, build, trace_number
from domain.nacha_read import MAX_BYTES, ReadFile, read
from domain.nacha_records import fitted
from domain.nacha_returns import parse_returns
from tests.bank import Answer, answer, traces
from tests.domain.ach_files import CREATED, ORIGINATOR, SETTLES, batches, entry, file_of

OURS = build(file_of(entry(1), entry(2, addenda="Loan L-2"), entry(3, label=RETRY_LABEL)))
BANKS = answer(
    OURS,
    [
        Answer(traces(OURS)[0], "R01", date(2026, 3, 4)),
        Answer(traces(OURS)[1], "C01", information="1918171614"),
        Answer(traces(OURS)[2], "R02", date(2026, 3, 5)),
    ],
    date(2026, 3, 5),
)


def refusal(content: bytes) -> tuple[str, str]:
    """Where and why a file is refused."""
    with pytest.raises(InvalidInput) as refused:
        parse_returns(content)
    assert refused.value.code == "damaged_nacha_file"
    (error,) = refused.value.errors
    assert error.message in refused.value.detail
    return error.pointer, error.message


def changed(content: bytes, line: int, column: int, text: str) -> bytes:
    """The file with some characters replaced; line and column count from 1."""
    lines = content.decode().split("\n")
    old = lines[line - 1]
    lines[line - 1] = old[: column - 1] + text + old[column - 1 + len(text) :]
    assert lines[line - 1] != old
    return "\n".join(lines).encode()


def line_of(content: bytes, record_type: str) -> int:
    """The first line of a type, counted from 1."""
    return next(k for k, line in enumerate(content.decode().split("\n"), start=1) if line.startswith(record_type))


@given(batches())
def test_what_was_built_is_read_again(made: tuple[Batch, ...]) -> None:
    found = read(build(File(ORIGINATOR, CREATED, "A", made)))
    assert (found.created_on, found.id_modifier) == (CREATED.date(), "A")
    assert (found.destination, found.origin) == (ORIGINATOR.destination_routing, ORIGINATOR.origin)
    again = {
        (batch.sec_code, batch.description, batch.effective_date, one.trace_number): one
        for batch in found.batches
        for one in batch.entries
    }
    sent = [(batch, one) for batch in made for one in batch.entries]
    assert len(again) == len(sent)
    for batch, one in sent:
        key = (batch.sec_code, one.label, f"{batch.effective_date:%y%m%d}", trace_number("091000019", one.sequence))
        back = again[key]
        assert (back.routing, back.account_number, back.amount) == (one.routing, one.account_number, one.amount)
        assert (back.direction, len(back.addenda)) == (one.direction, int(one.addenda is not None))
        assert (back.transaction_code < 30) == (one.account_type is AccountType.CHECKING)
        assert back.individual_name == fitted(one.individual_name, 22)
        assert back.individual_id == fitted(one.individual_id, 15)


@pytest.mark.parametrize("content", [OURS, BANKS], ids=["ours", "the bank's"])
@pytest.mark.parametrize("record_type", ["8", "9"])
def test_every_corruption_of_one_character_of_a_control_record_is_refused(content: bytes, record_type: str) -> None:
    """All 94 places of each control record, each with a digit, a letter, a space and another digit."""
    lines = content.decode().split("\n")
    controls = [k for k, line in enumerate(lines, start=1) if line.startswith(record_type) and line != "9" * 94]
    assert controls
    for number in controls:
        for column in range(1, 95):
            old = lines[number - 1][column - 1]
            for new in {"0", "1", "5", "6", "7", "8", "9", "A", "z", " ", "\t", "é"} - {old}:
                refusal(changed(content, number, column, new))


@given(st.data())
def test_no_content_gives_anything_but_a_file_or_a_refusal(data: st.DataObject) -> None:
    """Bytes of a real file with a stretch of them replaced, moved or dropped."""
    content = data.draw(st.sampled_from([OURS, BANKS]))
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 300))
    piece = data.draw(st.binary(max_size=20) | st.sampled_from([b"\n", b"\r\n", content[:95], content[95:190]]))
    found: ReadFile | InvalidInput
    try:
        found = read(content[:start] + piece + content[start + length :])
    except InvalidInput as error:
        found = error
    assert isinstance(found, ReadFile) or found.code == "damaged_nacha_file"


@given(st.binary(max_size=400))
def test_anything_else_is_refused(content: bytes) -> None:
    assert refusal(content)


def without(record_type: str) -> Callable[[bytes], bytes]:
    def drop(content: bytes) -> bytes:
        lines = content.decode().split("\n")
        del lines[line_of(content, record_type) - 1]
        return "\n".join(lines).encode()

    return drop


@pytest.mark.parametrize(
    ("damage", "line", "expected"),
    [
        (lambda _: b"", 1, "the file is empty"),
        (lambda _: b"\n\n", 1, "the file is empty"),
        (lambda _: b"PK\x03\x04....", 1, "character 3 is the byte 0x03"),
        (lambda _: b"loan_number,amount\nL-1,5.00\n", 1, "begins with a file header record"),
        (lambda _: b'{"returns": []}', 1, "begins with a file header record"),
        (lambda _: b"1" * 94, 1, "begins with a file header record"),
        (lambda content: content.decode().encode("utf-16"), 1, "character 1 is the byte 0xff"),
        (lambda content: content.decode().encode("cp037"), 1, "character 1 is the byte 0xf1"),
        (lambda content: b"\xef\xbb\xbf" + content, 1, "character 1 is the byte 0xef"),
        (lambda content: content.replace(b"JOHN DOE  ", "JOSÉ DOE ".encode(), 1), 3, "character 58 is the byte 0xc3"),
        (lambda content: content.replace(b" \n", b"\n"), 1, "a record has 94 characters, this one 93"),
        (lambda content: content.replace(b"\n", b"\n\n", 3), 2, "a record has 94 characters, this one 0"),
        (lambda content: content.replace(b"\n", b" \n", 1), 1, "a record has 94 characters, this one 95"),
        (lambda content: content[: 95 * 2], 3, "the file ends here, an entry (6) or the batch control (8) was expected"),
        (lambda content: content[: 95 * 3], 4, "the file ends here, the entry's addenda (7) was expected"),
        (lambda content: content[: 95 * 4], 5, "the file ends here, an entry (6) or the batch control (8) was expected"),
        (lambda content: content[: 95 * 2 + 40], 3, "a record has 94 characters, this one 40"),
        (lambda content: content[:95], 2, "the file ends here, a batch header (5) or the file control (9) was expected"),
        (without("5"), 2, "a batch header (5) or the file control (9) was expected, not a record of type 6"),
        (without("8"), 5, "an entry (6) or the batch control (8) was expected, not a record of type 5"),
        (without("6"), 3, "an entry (6) or the batch control (8) was expected, not a record of type 7"),
        (without("7"), 4, "the entry's addenda (7) was expected, not a record of type 8"),
        (without("900"), 14, "padding begins here, a batch header (5) or the file control (9) was expected"),
        (lambda content: content + content, 21, "another file begins here: send each file on its own"),
        (lambda content: content + content.split(b"\n")[1] + b"\n", 21, "only padding, 94 nines, may follow"),
        (lambda content: changed(content, 1, 24, "261301"), 1, "the file creation date must be a date, YYMMDD"),
        (lambda content: changed(content, 1, 35, "096"), 1, "the file header's record size (35-37) must be 094"),
        (lambda content: changed(content, 3, 2, "99"), 3, "transaction code 99 is not one of the format"),
        (lambda content: changed(content, 3, 30, "$"), 3, "the entry detail's amount (30-39) must be 10 digits"),
        (lambda content: changed(content, 3, 79, "0"), 3, "indicator is 0, and an addenda record follows"),
        (lambda content: changed(content, 4, 2, "97"), 4, "97 is no addenda type code of the format"),
        (lambda content: changed(content, 4, 7, "X"), 4, "original entry trace number (7-21) must be 15 digits"),
        (lambda content: changed(content, 6, 76, "399"), 6, "settlement date (76-78) must be a day of the year"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_at_its_line(damage: Callable[[bytes], bytes], line: int, expected: str) -> None:
    pointer, message = refusal(damage(BANKS))
    assert expected in message
    assert pointer == f"/lines/{line}"


@pytest.mark.parametrize(
    ("record_type", "column", "text", "expected"),
    [
        ("8", 2, "220", "batch control's service class code must be that of the batch header, line 2"),
        ("8", 5, "000003", "batch control's entry/addenda count is 3, the records before it make 2"),
        ("8", 11, "0000000001", "batch control's entry hash is 1, the records before it make 9100001"),
        ("8", 21, "000000000001", "batch control's total debit amount is 1, the records before it make 0"),
        ("8", 33, "000000000001", "batch control's total credit amount is 1, the records before it make 0"),
        ("8", 45, "2", "batch control's company identification must be that of the batch header, line 2"),
        ("8", 88, "0000002", "batch control's batch number must be that of the batch header, line 2"),
        ("900", 2, "000001", "file control's batch count is 1, the records before it make 3"),
        ("900", 8, "000001", "file control's block count is 1, the records before it make 2"),
        ("900", 14, "00000001", "file control's entry/addenda count is 1, the records before it make 6"),
        ("900", 22, "0000000001", "file control's entry hash is 1, the records before it make 27300003"),
        ("900", 32, "000000000001", "file control's total debit amount is 1, the records before it make 59494"),
        ("900", 44, "000000000001", "file control's total credit amount is 1, the records before it make 0"),
        ("900", 94, "0", "file control's reserved (56-94) must be blank"),
    ],
)
def test_a_control_record_that_is_wrong_says_what_it_should_be(
    record_type: str, column: int, text: str, expected: str
) -> None:
    line = line_of(BANKS, record_type)
    pointer, message = refusal(changed(BANKS, line, column, text))
    assert (pointer, expected in message) == (f"/lines/{line}", True), message


def test_an_entry_that_was_altered_is_found_by_the_sums() -> None:
    assert "total debit amount is 29747" in refusal(changed(BANKS, 7, 39, "8"))[1]
    assert "entry hash" in refusal(changed(BANKS, 7, 11, "7"))[1]


def test_no_refusal_repeats_what_is_in_an_entry() -> None:
    for column in (2, 4, 30, 79, 80):
        _, message = refusal(changed(BANKS, 7, column, "X"))
        assert "123456789" not in message
        assert "JOHN" not in message


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert "at most 20000000 are read" in refusal(b"1" * (MAX_BYTES + 1))[1]


@pytest.mark.parametrize(
    "sent",
    [
        BANKS.replace(b"\n", b"\r\n"),
        BANKS.rstrip(b"\n"),
        BANKS.rstrip(b"9\n") + b"\n",
        BANKS + b"9" * 94 + b"\n",
        BANKS + b"\n\n",
        BANKS.replace(b"\n", b""),
        BANKS.replace(b"\n", b"") + b"\r\n",
        BANKS.replace(b"R01", b"r01").replace(b"C01", b"c01"),
    ],
    ids=[
        "CR LF",
        "no last line end",
        "no padding",
        "more padding",
        "blank lines last",
        "no line ends",
        "one line",
        "small letters",
    ],
)
def test_what_banks_send_besides_is_read_as_the_same(sent: bytes) -> None:
    assert sent != BANKS
    assert parse_returns(sent) == parse_returns(BANKS)


@pytest.mark.parametrize(
    ("created", "day", "expected"),
    [
        (date(2026, 3, 5), "064", date(2026, 3, 5)),
        (date(2026, 1, 2), "365", date(2025, 12, 31)),
        (date(2026, 12, 31), "002", date(2027, 1, 2)),
        (date(2028, 12, 31), "366", date(2028, 12, 31)),
        (date(2026, 3, 5), "000", None),
        (date(2026, 3, 5), "   ", None),
    ],
)
def test_the_day_of_settlement_is_in_the_nearest_year(created: date, day: str, expected: date | None) -> None:
    ours = build(file_of(entry(1)))
    theirs = answer(ours, [Answer(traces(ours)[0], "R01", SETTLES)], created)
    (batch,) = read(theirs.replace(b"260303062", f"260303{day}".encode())).batches
    assert batch.settles_on == expected


def test_a_thousand_returns_are_read_in_their_order() -> None:
    ours = build(file_of(*(entry(k) for k in range(1, 1001))))
    theirs = answer(ours, [Answer(trace, "R01") for trace in traces(ours)], CREATED.date() + timedelta(days=2))
    found = parse_returns(theirs).returns
    assert [row.original_trace for row in found] == traces(ours)
