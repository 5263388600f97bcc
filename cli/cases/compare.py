"""What the runners of all formats share: reading figures as stated, and naming the first that differs."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.money import format_amount, parse_amount

Checked = tuple[str, Any, Any]
"""A figure's name, as computed, and as stated."""


def first_difference(checked: Iterable[Checked]) -> str | None:
    """The first figure that is not as stated, in words; None where all are. A generator is followed no further."""
    for name, computed, stated in checked:
        if computed != stated:
            return f"{name} is {computed}, stated {stated}"
    return None


def amount_differences(figures: dict[str, int], stated: dict[str, Any]) -> Iterable[Checked]:
    """The figures (minor units) that `stated` has too, as decimal strings with two places."""
    return [(name, format_amount(figures[name]), format_amount(amount(stated[name]))) for name in figures if name in stated]


def amount(text: Any) -> int:
    """A stated amount ("5000", "297.47") in minor units. Raises InvalidInput."""
    return parse_amount(str(text))


def exactly(text: Any) -> Fraction:
    """A stated number with as many digits as it has, exactly ("0.0958904109589", "7/90"). Raises ValueError."""
    return Fraction(str(text))


def is_near(computed: Fraction, stated: Any, tolerance: Decimal) -> bool:
    """Whether a computed number is within `tolerance` of a stated one; no float is involved."""
    return abs(computed - exactly(stated)) <= Fraction(tolerance)
