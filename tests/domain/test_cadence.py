"""When an autopay drafts: every cadence, month ends, holidays, the distance between apply and process date."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cadence import (
    Cadence,
    DateAnchor,
    DraftFrequency,
    Occurrence,
    Scheduling,
    check_cadence,
    occurrence_on,
    occurrences,
    upcoming,
)
from domain.calendars import due_dates, ends_month, is_banking_day
from domain.errors import InvalidInput
from domain.program import Frequency
from infra.calendar import bank_holidays

F = DraftFrequency
HOLIDAYS = bank_holidays()
DUES = due_dates(Frequency.MONTHLY, date(2020, 10, 10), 36)
SERIES = [f for f in F if f not in (F.DUE_DATES, F.CUSTOM)]


def dates(frequency: DraftFrequency, start: date, count: int, **others: Any) -> list[date]:
    """The apply dates of a cadence."""
    return [one.apply_date for one in islice(occurrences(Cadence(frequency, start, **others), DUES, HOLIDAYS), count)]


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


@pytest.mark.parametrize(
    ("frequency", "start", "others", "expected"),
    [
        (F.WEEKLY, "2024-02-23", {}, ["2024-02-23", "2024-03-01", "2024-03-08"]),
        (F.BIWEEKLY, "2023-12-22", {}, ["2023-12-22", "2024-01-05", "2024-01-19"]),
        (F.SEMIMONTHLY, "2024-01-01", {}, ["2024-01-01", "2024-01-16", "2024-02-01", "2024-02-16"]),
        (F.SEMIMONTHLY, "2024-01-16", {}, ["2024-01-16", "2024-02-01", "2024-02-16"]),
        (F.SEMIMONTHLY, "2023-01-31", {}, ["2023-01-31", "2023-02-15", "2023-02-28", "2023-03-15", "2023-03-31"]),
        (F.SEMIMONTHLY, "2023-01-29", {}, ["2023-01-29", "2023-02-14", "2023-02-28", "2023-03-14", "2023-03-29"]),
        (F.MONTHLY, "2023-01-31", {}, ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]),
        (F.MONTHLY, "2023-04-30", {}, ["2023-04-30", "2023-05-30", "2023-06-30"]),
        (F.MONTHLY, "2023-04-30", {"last_day_of_month": True}, ["2023-04-30", "2023-05-31", "2023-06-30"]),
        (F.MONTHLY, "2024-02-29", {"last_day_of_month": True}, ["2024-02-29", "2024-03-31", "2024-04-30"]),
        (F.QUARTERLY, "2023-11-30", {}, ["2023-11-30", "2024-02-29", "2024-05-30"]),
        (F.SEMIANNUAL, "2023-08-31", {}, ["2023-08-31", "2024-02-29", "2024-08-31"]),
        (F.ANNUAL, "2024-02-29", {}, ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        (F.SINGLE, "2024-02-29", {}, ["2024-02-29"]),
        (F.CUSTOM, "2024-01-01", {"dates": tuple(days("2024-01-05", "2024-03-04"))}, ["2024-01-05", "2024-03-04"]),
        (F.MONTHLY, "2023-01-31", {"periods": 2}, ["2023-01-31", "2023-02-28"]),
        (F.DUE_DATES, "2020-11-01", {"periods": 2}, ["2020-11-10", "2020-12-10"]),
    ],
)
def test_dates_of_each_cadence(frequency: DraftFrequency, start: str, others: dict[str, Any], expected: list[str]) -> None:
    assert dates(frequency, date.fromisoformat(start), len(expected), **others) == days(*expected)


def test_a_cadence_with_an_end_of_its_own_ends() -> None:
    assert len(dates(F.SINGLE, date(2024, 1, 1), 9)) == 1
    assert len(dates(F.MONTHLY, date(2024, 1, 1), 99, periods=12)) == 12
    assert len(dates(F.DUE_DATES, date(2020, 9, 9), 99)) == 36


@given(
    frequency=st.sampled_from(SERIES),
    start=st.dates(date(2019, 1, 1), date(2032, 12, 31)),
    anchor=st.sampled_from(DateAnchor),
    scheduling=st.sampled_from(Scheduling),
    distance=st.integers(0, 15),
)
def test_every_cadence_is_strictly_increasing_and_drafts_on_banking_days_never_before_its_date(
    frequency: DraftFrequency, start: date, anchor: DateAnchor, scheduling: Scheduling, distance: int
) -> None:
    cadence = Cadence(frequency, start, anchor=anchor, scheduling=scheduling, days_after=distance)
    plain = dates(frequency, start, 60)
    found = list(islice(occurrences(cadence, [], HOLIDAYS), 60))

    assert len(found) == len(plain)  # none skipped, none doubled, by whatever holiday lies between
    assert all(a.process_date < b.process_date and a.apply_date < b.apply_date for a, b in pairwise(found))
    assert all(is_banking_day(one.process_date, HOLIDAYS) for one in found)
    assert all(one.apply_date <= one.process_date for one in found)
    recurring = [one.apply_date for one in found] if anchor is DateAnchor.APPLY_DATE else None
    assert recurring in (None, plain)
    if anchor is DateAnchor.PROCESS_DATE:
        assert all(
            timedelta(0) <= one.process_date - day <= timedelta(days=5) for one, day in zip(found, plain, strict=True)
        )
    for one in found:
        assert occurrence_on(cadence, [], one.process_date, HOLIDAYS) == one
        assert upcoming(cadence, [], one.process_date, HOLIDAYS) == one


@given(st.sampled_from([F.MONTHLY, F.QUARTERLY, F.SEMIANNUAL, F.ANNUAL]), st.dates(date(2019, 1, 1), date(2032, 12, 1)))
def test_the_last_day_of_the_month_stays_the_last_day(frequency: DraftFrequency, month: date) -> None:
    start = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    assert all(ends_month(day) for day in dates(frequency, start, 40, last_day_of_month=True))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        # Saturday the 10th; Monday the 12th is Columbus Day
        ({}, Occurrence(date(2020, 10, 13), date(2020, 10, 10))),
        ({"days_after": 2}, Occurrence(date(2020, 10, 13), date(2020, 10, 10))),
        ({"days_after": 5}, Occurrence(date(2020, 10, 15), date(2020, 10, 10))),
        ({"scheduling": Scheduling.BUSINESS_DAY, "days_after": 2}, Occurrence(date(2020, 10, 15), date(2020, 10, 10))),
        ({"anchor": DateAnchor.PROCESS_DATE, "days_after": 3}, Occurrence(date(2020, 10, 13), date(2020, 10, 7))),
        (
            {"anchor": DateAnchor.PROCESS_DATE, "scheduling": Scheduling.BUSINESS_DAY, "days_after": 2},
            Occurrence(date(2020, 10, 13), date(2020, 10, 8)),
        ),
    ],
)
def test_one_date_recurs_the_other_keeps_its_distance_and_a_holiday_moves_only_the_process_date(
    others: dict[str, Any], expected: Occurrence
) -> None:
    cadence = Cadence(F.MONTHLY, date(2020, 10, 10), **others)
    assert next(occurrences(cadence, [], HOLIDAYS)) == expected


def test_due_dates_are_followed_as_they_stand() -> None:
    cadence = Cadence(F.DUE_DATES, date(2020, 10, 12))
    found = list(occurrences(cadence, DUES, HOLIDAYS))
    assert [one.apply_date for one in found] == DUES  # the 10th goes out on the 13th, after the start
    assert found[0].process_date == date(2020, 10, 13)
    settled = {DUES[0], DUES[1]}
    assert upcoming(cadence, DUES, date(2020, 10, 1), HOLIDAYS, settled) == Occurrence(DUES[2], DUES[2])
    assert upcoming(cadence, DUES, date(2030, 1, 1), HOLIDAYS) is None


def test_two_due_dates_of_one_banking_day_are_one_draft_for_the_later() -> None:
    dues = days("2020-10-10", "2020-10-12", "2020-11-10")
    found = list(occurrences(Cadence(F.DUE_DATES, date(2020, 10, 1)), dues, HOLIDAYS))
    assert found[0] == Occurrence(date(2020, 10, 13), date(2020, 10, 12))
    assert len(found) == 2


def test_a_process_date_the_schedule_no_longer_has_stands_for_itself() -> None:
    day = date(2020, 11, 20)
    assert occurrence_on(Cadence(F.DUE_DATES, date(2020, 10, 1)), DUES, day, HOLIDAYS) == Occurrence(day, day)
    assert occurrence_on(Cadence(F.DUE_DATES, date(2020, 10, 1)), [], day, HOLIDAYS) == Occurrence(day, day)


TODAY = date(2024, 1, 2)
PLAIN = Cadence(F.MONTHLY, TODAY)


@pytest.mark.parametrize(
    ("others", "pointer"),
    [
        ({"start": date(2024, 1, 1)}, "/start_date"),
        ({"end": date(2024, 1, 1)}, "/end_date"),
        ({"end": date(2024, 5, 1), "periods": 3}, "/number_of_periods"),
        ({"periods": 0}, "/number_of_periods"),
        ({"periods": 1201}, "/number_of_periods"),
        ({"days_after": -1}, "/process_days_after"),
        ({"days_after": 16}, "/process_days_after"),
        ({"frequency": F.DUE_DATES, "anchor": DateAnchor.PROCESS_DATE}, "/date_anchor"),
        ({"last_day_of_month": True}, "/start_date"),
        ({"frequency": F.WEEKLY, "last_day_of_month": True}, "/last_day_of_month"),
        ({"frequency": F.DUE_DATES, "last_day_of_month": True}, "/last_day_of_month"),
        ({"dates": (date(2024, 2, 2),)}, "/dates"),
        ({"frequency": F.CUSTOM}, "/dates"),
        ({"frequency": F.CUSTOM, "dates": (date(2024, 1, 1),)}, "/dates/0"),
        ({"frequency": F.CUSTOM, "dates": (date(2024, 2, 2), date(2024, 2, 2))}, "/dates/1"),
        ({"frequency": F.CUSTOM, "dates": (date(2024, 3, 2), date(2024, 3, 3))}, "/dates/1"),  # both on Monday the 4th
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_field(others: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_cadence(replace(PLAIN, **others), TODAY, HOLIDAYS)
    assert refused.value.errors[0].pointer == pointer


@pytest.mark.parametrize(
    "cadence",
    [
        PLAIN,
        Cadence(F.SEMIMONTHLY, date(2024, 1, 15), last_day_of_month=True),
        Cadence(F.ANNUAL, date(2024, 2, 29), last_day_of_month=True, periods=3),
        Cadence(F.CUSTOM, TODAY, dates=(date(2024, 3, 1), date(2024, 3, 4))),
        Cadence(F.DUE_DATES, TODAY, end=date(2025, 1, 1), days_after=15, scheduling=Scheduling.BUSINESS_DAY),
    ],
)
def test_what_can_be_meant_passes(cadence: Cadence) -> None:
    check_cadence(cadence, TODAY, HOLIDAYS)
