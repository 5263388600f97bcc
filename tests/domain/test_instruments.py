"""Payment instruments: what is accepted, what may be drafted, and how a verification goes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

import pytest

from domain.errors import InvalidInput, WrongState
from domain.instruments import (
    Instrument,
    InstrumentType,
    Verification,
    VerificationMethod,
    VerificationStatus,
    ach_refusal,
    check_change,
    check_instrument,
    check_pays,
    has_expired,
    verify,
)

TODAY = date(2026, 2, 15)
NUMBER = "000123456789"
REFERENCE: dict[str, Any] = {
    "instrument_type": "bank_account",
    "account_holder_name": "John Doe",
    "bank_name": "Chase",
    "routing_number": "021000021",
    "account_number_last_four": "6789",
    "account_type": "checking",
}
"""The body of the public reference."""
CARD: dict[str, Any] = {
    "instrument_type": "card",
    "account_holder_name": "John Doe",
    "account_number_last_four": "4242",
    "card_brand": "visa",
    "card_expiry_month": 2,
    "card_expiry_year": 2026,
    "processor_token": "tok_1Nabcdef",
}


def pointers(refused: pytest.ExceptionInfo[InvalidInput]) -> set[str]:
    return {error.pointer for error in refused.value.errors}


def test_the_reference_is_accepted_as_it_stands() -> None:
    instrument, secrets = check_instrument(REFERENCE, TODAY)
    assert {name: value for name, value in asdict(instrument).items() if value is not None} == REFERENCE
    assert (secrets.account_number, secrets.processor_token) == (None, None)


@pytest.mark.parametrize("number", ["1234", "12345678901234567", NUMBER])
def test_the_last_four_follow_from_the_number(number: str) -> None:
    data = {**REFERENCE, "account_number_last_four": None, "account_number": number}
    instrument, secrets = check_instrument(data, TODAY)
    assert (instrument.account_number_last_four, secrets.account_number) == (number[-4:], number)
    assert number not in repr(secrets)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"instrument_type": "cash"}, "/instrument_type"),
        ({"account_holder_name": " "}, "/account_holder_name"),
        ({"routing_number": "021000022"}, "/routing_number"),
        ({"routing_number": "000000000"}, "/routing_number"),
        ({"routing_number": None}, "/routing_number"),
        ({"account_type": "brokerage"}, "/account_type"),
        ({"account_type": None}, "/account_type"),
        ({"account_number_last_four": None}, "/account_number_last_four"),
        ({"account_number_last_four": "123456789"}, "/account_number_last_four"),
        ({"account_number_last_four": "٣٣٣٣"}, "/account_number_last_four"),
        ({"account_number": "123"}, "/account_number"),
        ({"account_number": "123456789012345678"}, "/account_number"),
        ({"account_number": "0000000000"}, "/account_number"),
        ({"account_number": "12-3456789"}, "/account_number"),
        ({"account_number": "٣٣٣٣٣٣"}, "/account_number"),
        ({"account_number": "000123456780"}, "/account_number"),
        ({"processor_token": "short"}, "/processor_token"),
        ({"processor_token": "has a blank"}, "/processor_token"),
        ({"processor_token": "4242424242424242"}, "/processor_token"),
        ({"processor_token": "4242-4242-4242-4242"}, "/processor_token"),
        ({"card_brand": "visa"}, "/card_brand"),
        ({"card_expiry_month": 12, "card_expiry_year": 2030}, "/card_expiry_month"),
    ],
)
def test_a_wrong_bank_account_is_refused_at_its_pointer(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_instrument({**REFERENCE, **change}, TODAY)
    assert pointer in pointers(refused)
    secret = change.get("account_number") or change.get("processor_token")
    assert secret is None or secret not in str(refused.value.detail) + str(refused.value.errors)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"routing_number": "021000021"}, "/routing_number"),
        ({"account_type": "checking"}, "/account_type"),
        ({"account_number": "4242424242424242"}, "/account_number"),
        ({"account_number_last_four": None}, "/account_number_last_four"),
        ({"card_brand": "none"}, "/card_brand"),
        ({"card_expiry_month": 13}, "/card_expiry_month"),
        ({"card_expiry_month": 0}, "/card_expiry_month"),
        ({"card_expiry_month": None}, "/card_expiry_month"),
        ({"card_expiry_year": None}, "/card_expiry_year"),
        ({"card_expiry_year": 26}, "/card_expiry_year"),
        ({"card_expiry_year": 2047}, "/card_expiry_year"),
        ({"card_expiry_month": 1}, "/card_expiry_year"),
    ],
)
def test_a_wrong_card_is_refused_at_its_pointer(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_instrument({**CARD, **change}, TODAY)
    assert pointers(refused) == {pointer}


@pytest.mark.parametrize(
    ("day", "expired"), [(date(2026, 2, 28), False), (date(2026, 3, 1), True), (date(2028, 2, 29), True)]
)
def test_a_card_is_good_through_the_last_day_of_its_month(day: date, expired: bool) -> None:
    assert has_expired(2, 2026, day) is expired
    if expired:
        with pytest.raises(InvalidInput) as refused:
            check_instrument(CARD, day)
        assert [error.code for error in refused.value.errors] == ["card_expired"]
    else:
        assert check_instrument(CARD, day)[0].card_expiry_year == 2026


def held(data: dict[str, Any] = REFERENCE) -> Instrument:
    return check_instrument(data, TODAY)[0]


class TestChange:
    def test_a_number_that_is_added_must_end_as_is_known(self) -> None:
        assert check_change(held(), False, {"account_number": NUMBER}, TODAY)[1].account_number == NUMBER
        with pytest.raises(InvalidInput) as refused:
            check_change(held(), False, {"account_number": "000123450000"}, TODAY)
        assert (pointers(refused), refused.value.errors[0].code) == ({"/account_number"}, "last_four_differ")

    def test_a_number_that_replaces_another_brings_its_own_last_four(self) -> None:
        changed, secrets = check_change(held(), True, {"account_number": "000123450000"}, TODAY)
        assert (changed.account_number_last_four, secrets.account_number) == ("0000", "000123450000")

    def test_the_last_four_of_a_number_that_is_kept_stay(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            check_change(held(), True, {"account_number_last_four": "0000"}, TODAY)
        assert pointers(refused) == {"/account_number_last_four"}
        changed, _ = check_change(held(), False, {"account_number_last_four": "0000"}, TODAY)
        assert changed.account_number_last_four == "0000"

    def test_an_expired_card_is_changed_otherwise_but_not_given_a_past_expiry(self) -> None:
        later = date(2026, 6, 1)
        assert check_change(held(CARD), False, {"account_holder_name": "J Doe"}, later)[0].account_holder_name == "J Doe"
        assert check_change(held(CARD), False, {"card_expiry_year": 2027}, later)[0].card_expiry_year == 2027
        with pytest.raises(InvalidInput) as refused:
            check_change(held(CARD), False, {"card_expiry_month": 5}, later)
        assert pointers(refused) == {"/card_expiry_year"}

    def test_what_is_needed_cannot_be_cleared(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            check_change(held(), False, {"routing_number": None, "account_holder_name": None, "bank_name": None}, TODAY)
        assert pointers(refused) == {"/routing_number", "/account_holder_name"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, None),
        ({"has_number": False, "has_token": True}, None),
        ({"has_number": False}, "only the last four digits"),
        ({"instrument_type": "card", "has_token": True}, "a card cannot be drafted"),
        ({"removed": True}, "was removed"),
        ({"verification": "failed"}, "verification of the account has failed"),
        ({"verification": "pending"}, None),
        ({"verification": "verified"}, None),
    ],
)
def test_what_may_be_drafted_over_ach(values: dict[str, Any], said: str | None) -> None:
    good = {"instrument_type": "bank_account", "removed": False, "has_number": True, "has_token": False}
    refusal = ach_refusal(**{**good, "verification": "unverified", **values})
    assert (refusal is None) if said is None else (refusal is not None and said in refusal)


UNVERIFIED, PENDING = VerificationStatus.UNVERIFIED, VerificationStatus.PENDING
VERIFIED, FAILED = VerificationStatus.VERIFIED, VerificationStatus.FAILED
PRENOTE, DEPOSIT = VerificationMethod.PRENOTE, VerificationMethod.MICRO_DEPOSIT
INSTANT, MANUAL = VerificationMethod.INSTANT, VerificationMethod.MANUAL


def moved(
    now: Verification,
    target: VerificationStatus,
    method: VerificationMethod | None = None,
    *,
    is_bank_account: bool = True,
    reachable: bool = True,
) -> Verification:
    return verify(now, target, method, TODAY, is_bank_account=is_bank_account, reachable=reachable)


@pytest.mark.parametrize(
    ("before", "target", "method", "after"),
    [
        (Verification(), PENDING, PRENOTE, PRENOTE),
        (Verification(), VERIFIED, INSTANT, INSTANT),
        (Verification(), FAILED, MANUAL, MANUAL),
        (Verification(PENDING, DEPOSIT), VERIFIED, None, DEPOSIT),
        (Verification(PENDING, DEPOSIT), FAILED, DEPOSIT, DEPOSIT),
        (Verification(PENDING, DEPOSIT), VERIFIED, MANUAL, MANUAL),
        (Verification(PENDING, DEPOSIT), UNVERIFIED, None, None),
        (Verification(VERIFIED, PRENOTE), FAILED, None, PRENOTE),
        (Verification(VERIFIED, MANUAL), UNVERIFIED, None, None),
        (Verification(FAILED, PRENOTE), PENDING, DEPOSIT, DEPOSIT),
        (Verification(FAILED, PRENOTE), VERIFIED, MANUAL, MANUAL),
    ],
)
def test_a_verification_goes_on(
    before: Verification,
    target: VerificationStatus,
    method: VerificationMethod | None,
    after: VerificationMethod | None,
) -> None:
    assert moved(before, target, method) == Verification(target, after, TODAY)


@pytest.mark.parametrize(
    ("before", "target", "method", "allowed"),
    [
        (Verification(), UNVERIFIED, None, ["pending", "verified", "failed"]),
        (Verification(PENDING, PRENOTE), PENDING, PRENOTE, ["verified", "failed", "unverified"]),
        (Verification(VERIFIED, MANUAL), PENDING, PRENOTE, ["failed", "unverified"]),
        (Verification(FAILED, MANUAL), FAILED, MANUAL, ["pending", "verified", "unverified"]),
        (Verification(), VERIFIED, PRENOTE, ["pending", "failed"]),
        (Verification(FAILED, PRENOTE), VERIFIED, PRENOTE, ["pending", "unverified"]),
        (Verification(PENDING, PRENOTE), VERIFIED, DEPOSIT, ["failed", "unverified"]),
    ],
)
def test_a_step_that_cannot_follow_is_refused_with_the_state_and_what_may(
    before: Verification, target: VerificationStatus, method: VerificationMethod | None, allowed: list[str]
) -> None:
    with pytest.raises(WrongState) as refused:
        moved(before, target, method)
    assert (refused.value.state, list(refused.value.allowed)) == (before.status, allowed)
    assert str(before.status) in refused.value.detail


@pytest.mark.parametrize(
    ("before", "target", "method", "others"),
    [
        (Verification(), VERIFIED, None, {}),
        (Verification(FAILED, MANUAL), PENDING, None, {}),
        (Verification(PENDING, MANUAL), UNVERIFIED, MANUAL, {}),
        (Verification(), PENDING, PRENOTE, {"reachable": False}),
        (Verification(), PENDING, DEPOSIT, {"is_bank_account": False}),
    ],
)
def test_a_method_that_is_missing_or_does_not_fit_is_refused(
    before: Verification, target: VerificationStatus, method: VerificationMethod | None, others: dict[str, bool]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        moved(before, target, method, **others)
    assert pointers(refused) == {"/method"}


BANK_ACCOUNT, A_CARD = InstrumentType.BANK_ACCOUNT, InstrumentType.CARD


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        ("ach", {BANK_ACCOUNT}),
        ("wire", {BANK_ACCOUNT}),
        ("check", {BANK_ACCOUNT}),
        ("card", {A_CARD}),
        ("cash", set()),
        ("other", {BANK_ACCOUNT, A_CARD}),
        (None, {BANK_ACCOUNT, A_CARD}),
    ],
)
def test_a_method_pays_by_the_instruments_that_it_can_come_from(method: Any, kinds: set[InstrumentType]) -> None:
    """None: a preview that does not say by which method."""
    for kind in InstrumentType:
        if kind in kinds:
            check_pays(method, kind, removed=False)
            continue
        with pytest.raises(InvalidInput) as refused:
            check_pays(method, kind, removed=False)
        assert (pointers(refused), refused.value.code) == ({"/payment_instrument_id"}, "not_of_this_method")
        assert all(other in refused.value.detail for other in kinds), "what would be allowed"
        assert "leave it out" in refused.value.detail


def test_a_removed_or_unknown_instrument_pays_nothing() -> None:
    for kind, removed, code in ((A_CARD, True, "instrument_removed"), (None, False, "unknown_instrument")):
        with pytest.raises(InvalidInput) as refused:
            check_pays("card", kind, removed=removed)
        assert (pointers(refused), refused.value.code) == ({"/payment_instrument_id"}, code)
