"""Day counts: the rules that the published cases (test_cases.py) do not reach."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from domain.daycount import days, year_fraction
from domain.errors import InvalidInput
from domain.program import DayCount


@pytest.mark.parametrize(
    ("convention", "start", "end", "expected"),
    [
        # ISDA splits where 1 January begins: 20 days of 2023 and 11 of 2024
        (DayCount.ACT_ACT_ISDA, "2023-12-12", "2024-01-12", Fraction(20, 365) + Fraction(11, 366)),
        # the other split counts 31 December to the new year: 19 and 12
        (DayCount.ACT_ACT_DEC31, "2023-12-12", "2024-01-12", Fraction(19, 365) + Fraction(12, 366)),
        (DayCount.ACT_ACT_DEC31, "2023-12-31", "2024-01-31", Fraction(31, 366)),
        (DayCount.ACT_ACT_DEC31, "2024-06-01", "2024-12-31", Fraction(213, 366)),
        (DayCount.ACT_ACT_ISDA, "2022-07-01", "2025-07-01", Fraction(184, 365) + 2 + Fraction(181, 365)),
        # a leap year's days are 1/366 only in a period that holds its 29 February, its last day included
        (DayCount.ACT_ACT_FEB29, "2024-01-29", "2024-02-28", Fraction(30, 365)),
        (DayCount.ACT_ACT_FEB29, "2024-01-29", "2024-02-29", Fraction(31, 366)),
        (DayCount.ACT_ACT_FEB29, "2024-02-29", "2024-03-29", Fraction(29, 365)),
        # and only such a period is split at the year's end
        (DayCount.ACT_ACT_FEB29, "2024-12-12", "2025-01-12", Fraction(31, 365)),
        (DayCount.ACT_ACT_FEB29, "2023-12-12", "2024-03-12", Fraction(19, 365) + Fraction(72, 366)),
    ],
)
def test_actual_actual_splits_a_period_at_the_end_of_a_year(
    convention: DayCount, start: str, end: str, expected: Fraction
) -> None:
    assert year_fraction(convention, date.fromisoformat(start), date.fromisoformat(end)) == expected


@pytest.mark.parametrize("convention", list(DayCount))
def test_a_period_of_no_days_is_no_part_of_a_year(convention: DayCount) -> None:
    day = date(2024, 2, 29)
    assert days(convention, day, day) == 0
    assert year_fraction(convention, day, day) == 0


@pytest.mark.parametrize("convention", list(DayCount))
def test_a_period_that_ends_before_it_starts_is_refused(convention: DayCount) -> None:
    with pytest.raises(InvalidInput, match=r"cannot end \(2024-01-01\) before it starts \(2024-01-02\)"):
        year_fraction(convention, date(2024, 1, 2), date(2024, 1, 1))
