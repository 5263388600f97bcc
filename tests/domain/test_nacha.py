"""The bytes of a NACHA file, and what is refused because the format cannot hold it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.nacha import (
    RETRY_LABEL,
    AccountType,
    Batch,
    Direction,
    File,
    SecCode,
    Totals,
    build,
    entry_errors,
    totals,
    trace_number,
)
from domain.nacha_records import fitted, transliterated
from tests.domain.ach_files import ORIGINATOR, SETTLES, entry, file_of

CREDIT = {"direction": Direction.CREDIT, "label": "REFUND"}


def records(file: File) -> list[str]:
    return build(file).decode("ascii").split("\n")[:-1]


def pointers(file: File) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        build(file)
    assert refused.value.code == "nacha_unrepresentable"
    return [error.pointer for error in refused.value.errors]


def test_a_file_of_one_debit_to_the_character() -> None:
    """Counted by hand from Appendix Three: the hash is the eight digits of the one routing number."""
    assert records(file_of(entry())) == [
        "101 09100001911234567892603021630A094101FIRST BANK             EXAMPLE LENDING                ",
        "5225EXAMPLE LENDING                     1123456789WEBLOAN PYMT       260303   1091000010000001",
        "627021000021000123456789     0000029747L-1            JOHN DOE              R 0091000010000001",
        "822500000100021000020000000297470000000000001123456789                         091000010000001",
        "9000001000001000000010002100002000000029747000000000000                                       ",
        *["9" * 94] * 5,
    ]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 16, 1000])
def test_every_file_fills_blocks_of_ten_records_of_94_characters(count: int) -> None:
    lines = records(file_of(*(entry(k) for k in range(1, count + 1))))
    assert len(lines) % 10 == 0
    assert {len(line) for line in lines} == {94}
    control = lines[3 + count]
    assert (control[0], int(control[7:13])) == ("9", len(lines) // 10)
    assert len(lines) - (4 + count) < 10  # no block of nothing but nines


@pytest.mark.parametrize(
    ("account_type", "direction", "code"),
    [("checking", "credit", "22"), ("checking", "debit", "27"), ("savings", "credit", "32"), ("savings", "debit", "37")],
)
def test_the_transaction_code_says_account_and_direction(account_type: str, direction: str, code: str) -> None:
    one = entry(account_type=AccountType(account_type), direction=Direction(direction))
    assert records(file_of(one, sec_code=SecCode.PPD))[2][1:3] == code


@pytest.mark.parametrize(
    ("directions", "service_class"), [(["debit"] * 2, "225"), (["credit"] * 2, "220"), (["debit", "credit"], "200")]
)
def test_the_service_class_says_what_a_batch_has(directions: list[str], service_class: str) -> None:
    both = [entry(k, direction=Direction(direction)) for k, direction in enumerate(directions, start=1)]
    lines = records(file_of(*both, sec_code=SecCode.PPD))
    assert {lines[1][1:4], lines[4][1:4]} == {service_class}


def test_a_retry_is_a_batch_of_its_own() -> None:
    lines = records(file_of(entry(1), entry(2, label=RETRY_LABEL), entry(3)))
    assert [(line[0], line[53:63]) for line in lines if line[0] == "5"] == [("5", "LOAN PYMT "), ("5", "RETRY PYMT")]
    assert [line[79:94] for line in lines if line[0] == "6"] == [trace_number("091000019", k) for k in (1, 3, 2)]


def test_addenda_are_counted_and_name_their_entry() -> None:
    lines = records(file_of(entry(7, addenda="Loan L-7, instalment 3")))
    assert lines[2][78] == "1"
    assert lines[3] == "705" + "Loan L-7, instalment 3".ljust(80) + "00010000007"
    assert (lines[4][4:10], lines[5][13:21]) == ("000002", "00000002")


def test_a_single_payment_over_the_internet_says_so_and_one_in_writing_says_nothing() -> None:
    assert records(file_of(entry(recurring=False)))[2][76:78] == "S "
    assert records(file_of(entry(recurring=False), sec_code=SecCode.PPD))[2][76:78] == "  "


def test_the_same_file_gives_the_same_bytes_whatever_the_order_of_its_entries() -> None:
    some = [entry(k, label=RETRY_LABEL if k % 2 else "LOAN PYMT") for k in range(1, 8)]
    assert build(file_of(*some)) == build(file_of(*reversed(some)))


def test_the_hash_keeps_its_last_ten_digits() -> None:
    lines = records(file_of(*(entry(k, routing="322271627") for k in range(1, 401))))
    assert lines[402][10:20] == f"{32227162 * 400 % 10**10:010d}" == "2890864800"
    assert lines[403][21:31] == "2890864800"


def test_totals() -> None:
    file = file_of(entry(1), entry(2, amount=1), entry(3, amount=5_00, **CREDIT), sec_code=SecCode.PPD)
    assert totals(file) == Totals(entries=3, debits=297_48, credits=5_00)
    control = next(line for line in records(file) if line[0] == "9")
    assert (int(control[31:43]), int(control[43:55])) == (297_48, 5_00)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("José Ñuñez", "JOSE NUNEZ"),
        ("Zoë O’Brien–Łukasz", "ZOE O'BRIEN-LUKASZ"),
        ("Straße\tÆrø", "STRASSE AERO"),
        ("李小龙", ""),
        ("Li 李  Xiaolong", "LI XIAOLONG"),
        ("\u200b\x00", ""),
    ],
)
def test_names_are_transliterated(text: str, shown: str) -> None:
    assert transliterated(text) == shown


def test_names_and_identifications_are_cut_to_their_fields() -> None:
    line = records(file_of(entry(individual_name="Wolfeschlegelsteinhausen von", individual_id="LOAN-2026-000000001")))[2]
    assert (line[39:54], line[54:76]) == ("LOAN-2026-00000", "WOLFESCHLEGELSTEINHAUS")
    assert fitted("AB CD", 3) == "AB"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 100_000_000_00}, "amount"),
        ({"routing": "021000022"}, "routing"),
        ({"routing": "02100002"}, "routing"),
        ({"routing": "02100002X"}, "routing"),
        ({"routing": "000000000"}, "routing"),
        ({"account_number": ""}, "account_number"),
        ({"account_number": "000"}, "account_number"),
        ({"account_number": "123456789012345678"}, "account_number"),
        ({"account_number": "12 34"}, "account_number"),
        ({"account_number": "１２３４"}, "account_number"),
        ({"individual_name": " "}, "individual_name"),
        ({"individual_name": "李小龙"}, "individual_name"),
        ({"individual_name": "000"}, "individual_name"),
        ({"individual_id": ""}, "individual_id"),
        ({"label": ""}, "label"),
        ({"label": "RETRY PAYMENT"}, "label"),
        ({"label": "Retry"}, "label"),
        ({"label": "0 0"}, "label"),
        ({"addenda": ""}, "addenda"),
        ({"addenda": "x" * 81}, "addenda"),
        ({"addenda": "line\nbreak"}, "addenda"),
        ({"addenda": "naïve"}, "addenda"),
        ({"direction": Direction.CREDIT}, "direction"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": 10_000_000}, "sequence"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_naming_the_entry(changes: dict[str, Any], pointer: str) -> None:
    bad = replace(entry(9), **changes)
    assert pointers(file_of(entry(1), bad)) == [f"/batches/0/entries/1/{pointer}"]
    (error,) = entry_errors(bad, SecCode.WEB)
    assert error.message.startswith(f"entry {bad.sequence}: its ") or pointer == "direction"
    assert not entry_errors(entry(1), SecCode.WEB)


def test_no_refusal_repeats_an_account_number_or_a_name() -> None:
    bad = entry(account_number="99988877766655544433", individual_name="", amount=0)
    with pytest.raises(InvalidInput) as refused:
        build(file_of(bad))
    assert "999888777" not in f"{refused.value.detail}{refused.value.errors}{bad}"
    assert len(refused.value.errors) == 3


def test_the_largest_amount_fits_and_a_total_beyond_twelve_digits_does_not() -> None:
    assert records(file_of(entry(amount=99_999_999_99)))[2][29:39] == "9" * 10
    most = [entry(k, amount=99_999_999_99) for k in range(1, 102)]
    assert build(file_of(*most[:100]))
    assert pointers(file_of(*most)) == ["/batches"]


def test_a_retry_is_a_debit() -> None:
    retried = entry(direction=Direction.CREDIT, label=RETRY_LABEL)
    assert pointers(file_of(retried, sec_code=SecCode.PPD)) == ["/batches/0/entries/0/label"]


def test_a_trace_number_is_used_once_in_a_file() -> None:
    twice = (Batch(SecCode.WEB, SETTLES, (entry(3),)), Batch(SecCode.PPD, SETTLES, (entry(3),)))
    assert pointers(file_of(batches=twice)) == ["/batches/1/entries/0/sequence"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id_modifier": ""}, "/id_modifier"),
        ({"id_modifier": "a"}, "/id_modifier"),
        ({"id_modifier": "AA"}, "/id_modifier"),
        ({"created_at": datetime(1999, 12, 31, tzinfo=UTC)}, "/created_at"),
        ({"batches": ()}, "/batches"),
        ({"batches": (Batch(SecCode.WEB, SETTLES, ()),)}, "/batches/0/entries"),
        ({"batches": (Batch(SecCode.WEB, date(2100, 1, 1), (entry(),)),)}, "/batches/0/effective_date"),
        ({"originator": replace(ORIGINATOR, destination_routing="091000018")}, "/originator/destination_routing"),
        ({"originator": replace(ORIGINATOR, odfi_routing="09100001")}, "/originator/odfi_routing"),
        ({"originator": replace(ORIGINATOR, origin="12345678901")}, "/originator/origin"),
        ({"originator": replace(ORIGINATOR, company_id="")}, "/originator/company_id"),
        ({"originator": replace(ORIGINATOR, company_name="0")}, "/originator/company_name"),
    ],
)
def test_what_is_wrong_with_the_file_itself_is_refused(changes: dict[str, Any], pointer: str) -> None:
    assert pointers(file_of(entry(), **changes)) == [pointer]
