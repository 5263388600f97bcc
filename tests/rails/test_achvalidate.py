"""Another implementation of the format accepts every kind of file that we make, and those of the bank for tests."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings

from domain.ach_changes import CHANGE_CODES
from domain.ach_returns import RETURN_CODES
from domain.nacha import RETRY_LABEL, AccountType, Batch, Direction, Entry, File, SecCode, build, totals, trace_number
from domain.nacha_returns import parse_returns
from tests.achvalidate import NotValid, Valid, Validator
from tests.bank import Answer, answer, traces
from tests.domain.ach_files import SETTLES, batches, entry, file_of

CREDIT: dict[str, Any] = {"direction": Direction.CREDIT, "label": "REFUND"}
ODD_NAMES = [
    "José Ñuñez", "Zoë O’Brien–Łukasz", "Wolfeschlegelsteinhausenbergerdorff", "A", "3M", "Straße", "X Æ A-12",
    "Smith & Sons (Est. 1900) / Co: #7; 100% = $1 + *@!", "Li 李", "ﬁne \u200bName\x00", "  spaced   out  ",
]  # fmt: skip


def all_kinds() -> File:
    """Checking and savings, debits and credits, retries, addenda, both SEC codes."""
    web = (
        entry(1),
        entry(2, account_type=AccountType.SAVINGS, recurring=False),
        entry(3, label=RETRY_LABEL),
        entry(4, addenda="Loan L-4"),
        entry(5, label=RETRY_LABEL, addenda="again"),
    )
    ppd = (
        entry(6),
        entry(7, **CREDIT),
        entry(8, account_type=AccountType.SAVINGS, **CREDIT),
        entry(9, label="REFUND", addenda="mixed"),
    )
    return file_of(batches=(Batch(SecCode.WEB, SETTLES, web), Batch(SecCode.PPD, SETTLES, ppd)))


def kinds() -> list[Any]:
    return [
        pytest.param(file_of(entry()), id="one debit"),
        pytest.param(file_of(entry(), sec_code=SecCode.PPD), id="PPD"),
        pytest.param(file_of(*(entry(k) for k in range(1, 1001))), id="1000 debits"),
        pytest.param(file_of(*(entry(k, addenda=f"Loan {k}") for k in range(1, 1001))), id="1000 with addenda"),
        pytest.param(file_of(*(entry(k, routing="322271627") for k in range(1, 401))), id="hash over ten digits"),
        pytest.param(file_of(entry(label=RETRY_LABEL)), id="only a retry"),
        pytest.param(file_of(entry(**CREDIT), sec_code=SecCode.PPD), id="a credit"),
        pytest.param(file_of(entry(1), entry(2, direction=Direction.CREDIT), sec_code=SecCode.PPD), id="mixed"),
        pytest.param(all_kinds(), id="all kinds"),
        pytest.param(file_of(entry(1, amount=1), entry(2, amount=99_999_999_99)), id="smallest and largest"),
        pytest.param(file_of(entry(1, account_number="1"), entry(2, account_number="12345-67890-ABCDE")), id="accounts"),
        pytest.param(file_of(entry(9_999_999)), id="last sequence"),
        pytest.param(file_of(*(entry(k, individual_name=name) for k, name in enumerate(ODD_NAMES, 1))), id="names"),
        pytest.param(file_of(entry(individual_id="Ä" * 40, addenda="~" * 80)), id="odd identification"),
        pytest.param(file_of(entry(), id_modifier="0"), id="modifier"),
    ]  # fmt: skip


@pytest.mark.parametrize("file", kinds())
def test_accepts_what_we_build(file: File, achvalidate: Validator) -> None:
    found, expected = achvalidate(build(file)), totals(file)
    entries: list[Entry] = [one for batch in file.batches for one in batch.entries]
    assert found.records == expected.entries + sum(one.addenda is not None for one in entries)
    assert (found.debits, found.credits) == (expected.debits, expected.credits)


@settings(max_examples=60, deadline=None)
@given(made=batches())
def test_accepts_whatever_we_build_and_the_bank_s_answer_to_it(made: tuple[Batch, ...], achvalidate: Validator) -> None:
    file = file_of(batches=made)
    ours, expected = build(file), totals(file)
    found = achvalidate(ours)
    assert (found.debits, found.credits) == (expected.debits, expected.credits)
    theirs = answer(ours, [Answer(trace, "R02", SETTLES) for trace in traces(ours)], SETTLES)
    assert achvalidate(theirs) == Valid(found_batches(theirs), 2 * expected.entries, expected.debits, expected.credits)
    back = {row.original_trace: (row.amount, row.direction) for row in parse_returns(theirs).returns}
    assert back == {
        trace_number(file.originator.odfi_routing, one.sequence): (one.amount, one.direction)
        for batch in made
        for one in batch.entries
    }


def found_batches(content: bytes) -> int:
    return sum(line.startswith("5") for line in content.decode().splitlines())


def test_accepts_the_bank_s_returns_with_every_code(achvalidate: Validator) -> None:
    ours = build(file_of(*(entry(k) for k in range(1, len(RETURN_CODES) + 1))))
    given = [Answer(trace, code) for trace, code in zip(traces(ours), RETURN_CODES, strict=True)]
    assert achvalidate(answer(ours, given, date(2026, 3, 5))) == Valid(1, 2 * len(given), 297_47 * len(given), 0)


def test_accepts_the_bank_s_notifications_with_every_code(achvalidate: Validator) -> None:
    ours = build(file_of(*(entry(k) for k in range(1, len(CHANGE_CODES) + 1))))
    given = [Answer(trace, code, information="1918171614") for trace, code in zip(traces(ours), CHANGE_CODES, strict=True)]
    assert achvalidate(answer(ours, given, date(2026, 3, 5))) == Valid(1, 2 * len(given), 0, 0)


def test_accepts_the_bank_s_answer_to_a_file_of_all_kinds(achvalidate: Validator) -> None:
    ours = build(all_kinds())
    given = [
        Answer(trace, ("R01", "C01", "R02")[k % 3], date(2026, 3, 4 + k % 2), "17" if k % 3 == 1 else "")
        for k, trace in enumerate(traces(ours))
    ]
    assert achvalidate(answer(ours, given, date(2026, 3, 6))).records == 2 * len(given)


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        (2, 2, "220"),  # the service class of the batch
        (3, 12, "3"),  # a check digit
        (3, 39, "8"),  # the last digit of an amount
        (3, 80, "12"),  # a trace number of another bank
        (5, 5, "000009"),  # the batch's count
        (5, 12, "9"),  # the batch's hash
        (6, 2, "000002"),  # the file's count of batches
        (6, 45, "1"),  # the file's total of credits
    ],
)
def test_rejects_a_corrupted_file(line: int, column: int, text: str, achvalidate: Validator) -> None:
    lines = build(file_of(entry(addenda="x"))).decode().split("\n")
    old = lines[line - 1]
    lines[line - 1] = old[: column - 1] + text + old[column - 1 + len(text) :]
    assert lines[line - 1] != old
    with pytest.raises(NotValid):
        achvalidate("\n".join(lines).encode())


def test_rejects_a_file_cut_short_or_of_records_too_short(achvalidate: Validator) -> None:
    content = build(file_of(entry()))
    for bad in (content[: 95 * 4], content[:94], content.replace(b" \n", b"\n")):
        with pytest.raises(NotValid):
            achvalidate(bad)
