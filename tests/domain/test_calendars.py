"""Due dates and banking days."""

from __future__ import annotations

from datetime import date

import pytest

from domain.calendars import add_banking_days, add_months, due_dates, next_banking_day, roll, semimonthly_days
from domain.errors import InvalidTerms
from domain.program import DueDateRoll, Frequency

CHRISTMAS_2026 = date(2026, 12, 25)  # a Friday
HOLIDAYS = frozenset({CHRISTMAS_2026, date(2027, 1, 1)})


def days(text: str) -> list[date]:
    return [date.fromisoformat(day) for day in text.split()]


@pytest.mark.parametrize(
    ("frequency", "first_due", "due_days", "expected"),
    [
        # the anchor day survives short months
        (Frequency.MONTHLY, "2023-01-31", (), "2023-01-31 2023-02-28 2023-03-31 2023-04-30 2023-05-31"),
        (Frequency.MONTHLY, "2024-01-30", (), "2024-01-30 2024-02-29 2024-03-30"),
        # a first due date clipped itself: the due day says what it was
        (Frequency.MONTHLY, "2023-02-28", (31,), "2023-02-28 2023-03-31 2023-04-30"),
        (Frequency.MONTHLY, "2023-02-28", (), "2023-02-28 2023-03-28 2023-04-28"),
        (Frequency.QUARTERLY, "2023-11-30", (), "2023-11-30 2024-02-29 2024-05-30"),
        (Frequency.ANNUALLY, "2024-02-29", (), "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        (Frequency.SEMIMONTHLY, "2024-02-29", (15, 31), "2024-02-29 2024-03-15 2024-03-31 2024-04-15"),
        (Frequency.SEMIMONTHLY, "2023-02-01", (1, 16), "2023-02-01 2023-02-16 2023-03-01"),
        (Frequency.SEMIMONTHLY, "2023-02-13", (), "2023-02-13 2023-02-28 2023-03-13 2023-03-28 2023-04-13"),
        (Frequency.WEEKLY, "2023-12-29", (), "2023-12-29 2024-01-05 2024-01-12"),
        (Frequency.BIWEEKLY, "2024-02-20", (), "2024-02-20 2024-03-05 2024-03-19"),
        (Frequency.SINGLE, "2024-02-20", (), "2024-02-20"),
    ],
)
def test_due_dates(frequency: Frequency, first_due: str, due_days: tuple[int, ...], expected: str) -> None:
    dates = days(expected)
    assert due_dates(frequency, date.fromisoformat(first_due), len(dates), due_days=due_days) == dates


@pytest.mark.parametrize(
    ("first_due", "pair"),
    [
        ("2024-05-01", (1, 16)),
        ("2024-05-16", (1, 16)),
        ("2024-05-07", (7, 22)),
        ("2024-05-30", (15, 30)),
        ("2024-05-15", (15, 31)),
        ("2024-04-30", (15, 31)),
        ("2023-02-28", (15, 31)),
    ],
)
def test_a_semimonthly_pair_follows_from_the_first_due_date(first_due: str, pair: tuple[int, int]) -> None:
    assert semimonthly_days(date.fromisoformat(first_due)) == pair


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DueDateRoll.NONE, "2026-09-25 2026-10-25 2026-11-25 2026-12-25 2027-01-25"),
        # 25 October 2026 is a Sunday, Christmas a Friday; the dates after a rolled one keep the 25th
        (DueDateRoll.NEXT, "2026-09-25 2026-10-26 2026-11-25 2026-12-28 2027-01-25"),
        (DueDateRoll.PREVIOUS, "2026-09-25 2026-10-23 2026-11-25 2026-12-24 2027-01-25"),
    ],
)
def test_each_due_date_is_rolled_on_its_own(rule: DueDateRoll, expected: str) -> None:
    computed = due_dates(Frequency.MONTHLY, date(2026, 9, 25), 5, roll_rule=rule, holidays=HOLIDAYS)
    assert computed == days(expected)


def test_a_roll_leaves_a_banking_day_alone() -> None:
    assert all(roll(date(2026, 12, 24), rule, HOLIDAYS) == date(2026, 12, 24) for rule in DueDateRoll)


def test_a_draft_goes_out_on_the_next_banking_day_and_settles_on_banking_days_after_it() -> None:
    assert next_banking_day(date(2026, 12, 24), HOLIDAYS) == date(2026, 12, 24)
    assert next_banking_day(CHRISTMAS_2026, HOLIDAYS) == date(2026, 12, 28)
    assert add_banking_days(CHRISTMAS_2026, 0, HOLIDAYS) == date(2026, 12, 28)
    assert add_banking_days(date(2026, 12, 24), 1, HOLIDAYS) == date(2026, 12, 28)
    assert add_banking_days(date(2026, 12, 31), 2, HOLIDAYS) == date(2027, 1, 5)


@pytest.mark.parametrize(
    ("months", "expected"), [(1, "2024-02-29"), (2, "2024-03-31"), (-2, "2023-11-30"), (12, "2025-01-31")]
)
def test_months_are_added_on_the_anchor_day(months: int, expected: str) -> None:
    assert add_months(date(2024, 1, 31), months) == date.fromisoformat(expected)
    assert add_months(date(2024, 2, 29), months - 1, anchor_day=31) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("frequency", "first_due", "count", "due_days", "reason"),
    [
        (Frequency.MONTHLY, date(2024, 1, 31), 0, (), "at least 1"),
        (Frequency.SINGLE, date(2024, 1, 31), 2, (), "exactly 1"),
        (Frequency.MONTHLY, date(2024, 1, 30), 3, (31,), "does not fall on the due day 31"),
        (Frequency.MONTHLY, date(2024, 1, 1), 3, (1, 16), "does not fall on the due day 1, 16"),
        (Frequency.SEMIMONTHLY, date(2024, 1, 2), 3, (1, 16), "on neither of the semimonthly days 1 and 16"),
        (Frequency.SEMIMONTHLY, date(2024, 1, 16), 3, (16, 1), "two ascending days"),
        (Frequency.SEMIMONTHLY, date(2024, 1, 30), 3, (30, 31), "the first before the 28th"),
        (Frequency.WEEKLY, date(2024, 1, 5), 3, (5,), "no days of the month"),
        (Frequency.ANNUALLY, date(9998, 1, 5), 3, (), "past the year 9999"),
        (Frequency.WEEKLY, date(9999, 12, 25), 3, (), "past the year 9999"),
    ],
)
def test_due_dates_that_cannot_be_are_refused(
    frequency: Frequency, first_due: date, count: int, due_days: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(InvalidTerms, match=reason):
        due_dates(frequency, first_due, count, due_days=due_days)
