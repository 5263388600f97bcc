"""The only rounding policies. Everything before a rounding point is exact (int or Fraction)."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction


class Rounding(StrEnum):
    """How a program rounds at its rounding points."""

    HALF_EVEN = "half_even"
    HALF_UP = "half_up"


def round_ratio(numerator: int, denominator: int, mode: Rounding = Rounding.HALF_EVEN) -> int:
    """Round numerator/denominator (denominator > 0) to an integer number of minor units.

    HALF_UP rounds a tie away from zero, HALF_EVEN to the even neighbour.
    """
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator:
        return quotient + 1
    if twice < denominator:
        return quotient
    if mode is Rounding.HALF_EVEN:
        return quotient + (quotient & 1)
    return quotient + 1 if numerator > 0 else quotient


def round_minor(value: Fraction | int, mode: Rounding = Rounding.HALF_EVEN) -> int:
    """Round an exact amount in minor units to whole minor units."""
    if isinstance(value, int):
        return value
    return round_ratio(value.numerator, value.denominator, mode)
