"""What a notification of change corrects, and how its 29 characters are divided."""

from __future__ import annotations

from datetime import date

import pytest

from domain.ach_changes import CHANGE_CODES, Correction, change_by, corrected
from domain.errors import InvalidInput
from domain.nacha import AccountType

CHECKING, SAVINGS = AccountType.CHECKING, AccountType.SAVINGS
NAMED = "Mary Ann Smith-Miller"


@pytest.mark.parametrize(
    ("code", "data", "expected"),
    [
        ("C01", "1918171614", Correction(account_number="1918171614")),
        ("C01", "       1918171614", Correction(account_number="1918171614")),
        ("C01", "12345678901234567", Correction(account_number="12345678901234567")),
        ("C02", "021000021", Correction(routing_number="021000021")),
        ("C03", "021000021   1918171614", Correction("021000021", "1918171614")),
        ("C03", "021000021   12345678901234567", Correction("021000021", "12345678901234567")),
        ("C03", "021000021 1918171614", Correction("021000021", "1918171614")),
        ("C04", f"{NAMED} ", Correction(individual_name=NAMED)),
        ("C05", "27", Correction(account_type=CHECKING)),
        ("C05", "22", Correction(account_type=CHECKING)),
        ("C05", "37", Correction(account_type=SAVINGS)),
        ("C05", "33", Correction(account_type=SAVINGS)),
        ("C06", "1918171614          37", Correction(None, "1918171614", SAVINGS)),
        ("C06", "12345678901234567   27", Correction(None, "12345678901234567", CHECKING)),
        ("C06", "1918171614 37", Correction(None, "1918171614", SAVINGS)),
        ("C07", "0210000211918171614       27", Correction("021000021", "1918171614", CHECKING)),
        ("C07", "0210000211234567890123456737", Correction("021000021", "12345678901234567", SAVINGS)),
        ("C07", "0210000211918171614 27", Correction("021000021", "1918171614", CHECKING)),
        ("C07", "021000021 1918171614 27", Correction("021000021", "1918171614", CHECKING)),
        ("C09", "L-100200", Correction(individual_id="L-100200")),
    ],
)
def test_a_correction_is_read(code: str, data: str, expected: Correction) -> None:
    assert corrected(code, data) == expected == corrected(code, data.ljust(29))
    assert "1918171614" not in repr(expected)


@pytest.mark.parametrize(
    ("code", "data", "why"),
    [
        ("C01", "", "must be an account number"),
        ("C01", "0000", "must be an account number"),
        ("C01", "123456789012345678", "must be an account number"),
        ("C01", "1918 171614", "must be an account number"),
        ("C01", "SEE BRANCH", "must be an account number"),
        ("C02", "021000022", "its check digit does not fit"),
        ("C02", "02100002", "must be a routing number"),
        ("C03", "021000021", "2 values were expected, and 1 are there"),
        ("C03", "0210000211918171614", "2 values were expected, and 1 are there"),  # or an account number alone
        ("C03", "021000022   1918171614", "its check digit does not fit"),
        ("C03", "", "2 values were expected, and 0 are there"),
        ("C04", "   ", "the corrected data are blank"),
        ("C05", "47", "neither of a checking nor of a savings account"),
        ("C05", "2", "neither of a checking nor of a savings account"),
        ("C05", "26", "neither of a checking nor of a savings account"),
        ("C06", "1918171614", "2 values were expected, and 1 are there"),
        ("C06", "1918171614          99", "neither of a checking nor of a savings account"),
        ("C06", "1918171614 37 37", "2 values were expected, and 3 are there"),
        ("C07", "021000021", "3 values were expected, and 1 are there"),
        ("C07", "0210000211918171614", "3 values were expected, and 2 are there"),
        ("C07", "0210000221918171614       27", "its check digit does not fit"),
        ("C08", "021000021", "does not say what of the account is to be changed"),
        ("C09", "", "the corrected data are blank"),
        ("C13", "ADDENDA", "does not say what of the account is to be changed"),
        ("C99", "1918171614", "C99, an unknown change code, does not say"),
    ],
)
def test_what_cannot_be_meant_is_for_a_person(code: str, data: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        corrected(code, data)
    assert refused.value.code == "unusable_correction"
    assert why in refused.value.detail
    assert code in refused.value.detail
    assert "1918171614" not in refused.value.detail


def test_every_code_is_read_or_says_that_it_corrects_nothing() -> None:
    assert list(CHANGE_CODES) == ["C01", "C02", "C03", "C04", "C05", "C06", "C07", "C08", "C09", "C13"]


def test_a_change_is_made_within_six_banking_days() -> None:
    holidays = frozenset({date(2026, 5, 25)})
    assert change_by(date(2026, 5, 18), frozenset()) == date(2026, 5, 26)
    assert change_by(date(2026, 5, 18), holidays) == date(2026, 5, 27)
