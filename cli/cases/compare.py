"""What the runners of all formats share: reading figures as stated, and naming the first that differs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from domain.errors import InvalidInput, InvalidTerms
from domain.money import format_amount, parse_amount

Checked = tuple[str, Any, Any]
"""A figure's name, as computed, and as stated."""

MOST_PERIODS: Final = 5200
"""A century of weeks: more is a typing error, and would take minutes."""


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


def periods(stated: Mapping[str, Any], name: str) -> int:
    """The stated number of instalments. Raises InvalidTerms unless it is a whole number from 1 to MOST_PERIODS."""
    count = stated[name]
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_PERIODS:
        raise InvalidTerms(f"{name} must be a whole number from 1 to {MOST_PERIODS}, not {count!r}")
    return count


REMARKS: Final = frozenset({"note", "notes", "comment", "description", "source"})
"""What may stand among figures without being one."""


def check_figures(where: str, stated: Any, known: Container[str]) -> None:
    """What is stated and not compared must not pass for right.

    Raises InvalidInput unless `stated` is an object with a figure or more, all of them `known`.
    """
    names = [name for name in stated if name not in REMARKS] if isinstance(stated, dict) else []
    if not names:
        raise InvalidInput(f"{where} states no figure")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"{where} has a figure of no known meaning: {', '.join(unknown)}")


def exactly(text: Any) -> Fraction:
    """A stated number with as many digits as it has, exactly ("0.0958904109589", "7/90"). Raises ValueError."""
    return Fraction(str(text))


def is_near(computed: Fraction, stated: Any, tolerance: Decimal) -> bool:
    """Whether a computed number is within `tolerance` of a stated one; no float is involved."""
    return abs(computed - exactly(stated)) <= Fraction(tolerance)
