"""Day counts: {convention, start, end, days, fraction, fraction_exact, days_bond_basis}."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from cli.cases.compare import Checked, exactly, first_difference, is_near
from domain.daycount import days, year_fraction
from domain.program import DayCount

TOLERANCE = Decimal("1e-12")
"""Of `fraction`, which is printed from a double."""


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """Days and part of a year of one period by one convention."""
    return first_difference(_checked(case))


def _checked(case: dict[str, Any]) -> Iterator[Checked]:
    convention = DayCount(case["convention"])
    start, end = date.fromisoformat(case["start"]), date.fromisoformat(case["end"])
    yield "days", days(convention, start, end), case["days"]
    part = year_fraction(convention, start, end)
    if "fraction_exact" in case:
        yield "fraction_exact", part, exactly(case["fraction_exact"])
    if not is_near(part, case["fraction"], TOLERANCE):
        yield "fraction", str(part), case["fraction"]
    if "days_bond_basis" in case:
        yield "days_bond_basis", days(DayCount.THIRTY_360_BOND, start, end), case["days_bond_basis"]
