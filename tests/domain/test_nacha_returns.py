"""The rows of a bank's file: what came back, what is to be changed, and what somebody has to look at."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain.nacha import Direction, SecCode, build
from domain.nacha_returns import ChangedEntry, ReturnedEntry, UnknownEntry, parse_returns
from tests.bank import Answer, answer, traces
from tests.domain.ach_files import ORIGINATOR, entry, file_of

OURS = build(file_of(*(entry(k, amount=100 * k) for k in range(1, 6))))
FIRST, SECOND, THIRD, FOURTH, FIFTH = traces(OURS)
CREATED = date(2026, 3, 5)


def test_a_return_names_the_entry_that_went_out() -> None:
    theirs = answer(OURS, [Answer(SECOND, "R01", date(2026, 3, 4), "NSF")], CREATED, first=77)
    file = parse_returns(theirs)
    assert (file.created_on, file.id_modifier, file.origin) == (CREATED, "A", ORIGINATOR.destination_routing)
    assert file.returns == (
        ReturnedEntry(
            line=3,
            trace_number="021000020000077",
            original_trace="091000010000002",
            code="R01",
            on=date(2026, 3, 4),
            amount=2_00,
            direction=Direction.DEBIT,
            rdfi="02100002",
            information="NSF",
            date_of_death=None,
            company_id=ORIGINATOR.company_id,
            sec_code="WEB",
        ),
    )
    assert not file.changes
    assert not file.unknown


def test_a_return_without_a_day_of_settlement_has_the_day_of_the_file() -> None:
    (row,) = parse_returns(answer(OURS, [Answer(FIRST, "R01")], CREATED)).returns
    assert row.on == CREATED


@pytest.mark.parametrize(
    ("died", "field"), [(date(2026, 2, 1), "260201"), (None, "      "), (None, "000000"), (None, "999999")]
)
def test_a_date_of_death_is_read_where_it_is_one(died: date | None, field: str) -> None:
    theirs = answer(OURS, [Answer(FIRST, "R15", died=date(2020, 1, 1))], CREATED)
    (row,) = parse_returns(theirs.replace(b"799R15" + FIRST.encode() + b"200101", f"799R15{FIRST}{field}".encode())).returns
    assert (row.code, row.date_of_death) == ("R15", died)


def test_a_returned_payout_is_a_credit() -> None:
    ours = build(file_of(entry(1, direction=Direction.CREDIT, label="REFUND"), sec_code=SecCode.PPD))
    (row,) = parse_returns(answer(ours, [Answer(traces(ours)[0], "R23")], CREATED)).returns
    assert (row.code, row.direction, row.amount, row.sec_code) == ("R23", Direction.CREDIT, 297_47, "PPD")


def test_a_notification_of_change_keeps_the_places_of_its_data() -> None:
    theirs = answer(OURS, [Answer(THIRD, "C01", information=" 1918171614")], CREATED)
    file = parse_returns(theirs)
    assert file.changes == (
        ChangedEntry(
            line=3,
            trace_number="021000020000001",
            original_trace=THIRD,
            code="C01",
            on=CREATED,
            rdfi="02100002",
            corrected_data=" 1918171614".ljust(29),
            company_id=ORIGINATOR.company_id,
        ),
    )
    assert "1918171614" not in repr(file)
    assert not file.returns


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("R61", "the entry is a dishonored return, which is between the banks"),
        ("R70", "the entry is a dishonored return, which is between the banks"),
        ("R71", "the entry is a contested dishonored return: the bank holds to its return"),
        ("C61", "the entry is a refused notification of change, which is between the banks"),
        ("C69", "the entry is a refused notification of change, which is between the banks"),
    ],
)
def test_what_banks_settle_between_them_is_for_somebody_to_look_at(code: str, reason: str) -> None:
    file = parse_returns(answer(OURS, [Answer(FOURTH, code, information="x"), Answer(FIRST, "R02")], CREATED))
    (row,) = file.unknown
    assert (row.reason, row.code, row.original_trace, row.trace_number[:8]) == (reason, code, FOURTH, "02100002")
    assert row.amount == (4_00 if code[0] == "R" else 0)
    assert [one.original_trace for one in file.returns] == [FIRST]


def test_codes_that_do_not_exist_are_for_somebody_to_look_at() -> None:
    for code, bad in (("R01", "RX1"), ("R01", "   "), ("C01", "C1 "), ("C01", "Q77")):
        theirs = answer(OURS, [Answer(FIFTH, code, information="1234")], CREATED)
        kind = "799" if code[0] == "R" else "798"
        (row,) = parse_returns(theirs.replace(f"{kind}{code}".encode(), f"{kind}{bad}".encode())).unknown
        assert (row.reason, row.code) == ("the entry has a code that does not exist", bad.strip())


def test_a_code_that_is_newer_than_this_program_is_a_return() -> None:
    theirs = answer(OURS, [Answer(FIFTH, "R99")], CREATED)
    assert [row.code for row in parse_returns(theirs).returns] == ["R99"]


def test_our_own_file_is_read_and_nothing_in_it_is_a_return() -> None:
    file = parse_returns(OURS)
    assert (file.returns, file.changes) == ((), ())
    assert [row.trace_number for row in file.unknown] == [FIRST, SECOND, THIRD, FOURTH, FIFTH]
    expected: dict[str, Any] = {"reason": "the entry is neither a return nor a notification of change", "code": ""}
    row = file.unknown[0]
    assert isinstance(row, UnknownEntry)
    assert {name: getattr(row, name) for name in expected} == expected


def test_a_file_of_no_entries_says_nothing() -> None:
    file = parse_returns(answer(OURS, [], CREATED))
    assert (file.returns, file.changes, file.unknown) == ((), (), ())


def test_answers_to_several_files_of_ours_come_in_one() -> None:
    later = build(file_of(entry(8, routing="322271627"), id_modifier="B"))
    theirs = answer([OURS, later], [Answer(FIRST, "R01"), Answer(traces(later)[0], "R09")], CREATED)
    assert {(row.original_trace, row.rdfi) for row in parse_returns(theirs).returns} == {
        (FIRST, "02100002"),
        ("091000010000008", "32227162"),
    }
