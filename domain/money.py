"""Money: an integer number of minor units; decimal strings only at the edge.

Inside, an amount is a plain `int` of minor units; `parse_amount` and
`format_amount` are the only ways in and out.
"""

from __future__ import annotations

import re
from fractions import Fraction

from domain.errors import InvalidInput

DECIMALS = 2
"""Decimal places of an amount: every loan is in US dollars (program.currency)."""

MAX_MINOR = 10**15 - 1
"""Largest amount accepted anywhere: 9,999,999,999,999.99. NUMERIC(19, 2) holds sums of these."""

_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,8})?", re.ASCII)
_RATE = re.compile(r"\d{1,4}(\.\d{1,8})?", re.ASCII)


def parse_amount(text: str, pointer: str = "") -> int:
    """A decimal string ("500.00") as minor units (50000).

    Raises InvalidInput (naming `pointer`) for anything but a plain decimal with at most two places, or one
    beyond MAX_MINOR. Exponents, NaN, signs other than a leading minus, and blanks are refused.
    """
    if len(text) > 32 or not _AMOUNT.fullmatch(text):
        raise InvalidInput.at(pointer, 'must be a decimal string such as "500.00"', code="invalid_amount")
    whole, _, fraction = text.partition(".")
    if len(fraction) > DECIMALS:
        raise InvalidInput.at(pointer, f"must have at most {DECIMALS} decimal places", code="invalid_amount")
    minor = int(whole.lstrip("-") + fraction.ljust(DECIMALS, "0"))
    if minor > MAX_MINOR:
        raise InvalidInput.at(pointer, f"must be at most {format_amount(MAX_MINOR)}", code="invalid_amount")
    return -minor if text.startswith("-") else minor


def format_amount(minor: int) -> str:
    """Minor units (50000) as a decimal string ("500.00")."""
    if minor < 0:
        return "-" + format_amount(-minor)
    whole, cents = divmod(minor, 100)
    return f"{whole}.{cents:02d}"


def parse_rate(text: str, pointer: str = "") -> Fraction:
    """A yearly rate as a decimal string of one ("0.085" = 8.5 %) as an exact Fraction.

    Raises InvalidInput for anything but a non-negative decimal with at most 8 places.
    """
    if len(text) > 16 or not _RATE.fullmatch(text):
        raise InvalidInput.at(pointer, 'must be a decimal string such as "0.085" (8.5 % a year)', code="invalid_rate")
    return Fraction(text)


def format_rate(rate: Fraction) -> str:
    """An exact rate with at most 8 decimals as a decimal string ("0.085")."""
    scaled = rate * 10**8
    if scaled.denominator != 1:
        raise ValueError(f"{rate} has more than 8 decimals")
    whole, fraction = divmod(scaled.numerator, 10**8)
    return f"{whole}.{fraction:08d}".rstrip("0").rstrip(".") or "0"
