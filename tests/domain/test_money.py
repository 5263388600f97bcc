"""Amounts and rates come in and go out as decimal strings, and nothing else gets in."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.money import MAX_MINOR, format_amount, format_rate, parse_amount, parse_rate
from domain.rounding import Rounding, round_minor, round_ratio


@pytest.mark.parametrize(
    ("text", "minor"),
    [("500.00", 50000), ("500", 50000), ("0.5", 50), ("0.01", 1), ("-1.10", -110), ("9999999999999.99", MAX_MINOR)],
)
def test_amount(text: str, minor: int) -> None:
    assert parse_amount(text) == minor


@pytest.mark.parametrize(
    "text",
    ["", " 1.00", "1.00 ", "1.001", "1e2", "1e400", "NaN", "Infinity", "+1", "1,000.00", ".5", "5.", "١.00", "1\n", "--1"]
    + ["10000000000000.00", "9" * 40, "1_000", "0x10"],
)
def test_what_is_not_a_plain_decimal_is_refused_with_its_pointer(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_amount(text, "/amount")
    assert refusal.value.errors[0].pointer == "/amount"


@given(st.integers(-MAX_MINOR, MAX_MINOR))
def test_formatting_and_parsing_are_inverse(minor: int) -> None:
    assert parse_amount(format_amount(minor)) == minor


@given(st.integers(0, 9999 * 10**8))
def test_rates_survive_the_round_trip(scaled: int) -> None:
    rate = Fraction(scaled, 10**8)
    assert parse_rate(format_rate(rate)) == rate


@pytest.mark.parametrize("text", ["-0.1", "8.5%", "1e-2", "0.123456789", "", "NaN"])
def test_a_rate_is_a_plain_non_negative_decimal(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rate(text, "/interest_rate")


@pytest.mark.parametrize(
    ("value", "even", "up"),
    [(Fraction(5, 2), 2, 3), (Fraction(7, 2), 4, 4), (Fraction(-5, 2), -2, -3), (Fraction(-7, 2), -4, -4)]
    + [(Fraction(12, 5), 2, 2), (Fraction(13, 5), 3, 3), (Fraction(-13, 5), -3, -3), (Fraction(3), 3, 3)],
)
def test_ties(value: Fraction, even: int, up: int) -> None:
    assert round_minor(value) == even
    assert round_minor(value, Rounding.HALF_UP) == up


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.sampled_from(Rounding))
def test_rounding_is_never_off_by_more_than_half(numerator: int, denominator: int, mode: Rounding) -> None:
    assert abs(Fraction(numerator, denominator) - round_ratio(numerator, denominator, mode)) <= Fraction(1, 2)
