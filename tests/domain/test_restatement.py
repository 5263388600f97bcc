"""Archived days that a correction restates: which a preview looks at, and how they are summed up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from domain.day_by_day import day_by_day
from domain.restatement import ALL_UP_TO, RestatedDay, days_to_compare, differing, restatement
from domain.status_archive import status_of
from tests.domain.loans import EXAMPLE, history

FIRST = date(2020, 9, 9)
DAYS = [FIRST + timedelta(days=n) for n in range(10_958)]


def test_a_preview_looks_at_all_days_of_a_year_and_at_a_choice_of_more() -> None:
    assert days_to_compare([]) == []
    assert days_to_compare(DAYS[:ALL_UP_TO]) == DAYS[:ALL_UP_TO]
    chosen = days_to_compare(DAYS)
    assert (chosen[:100], chosen[-100:]) == (DAYS[:100], DAYS[-100:])
    assert all((day + timedelta(days=1)).day == 1 for day in chosen[100:-100])
    assert 500 < len(chosen) < 560
    assert chosen == sorted(set(chosen))


def test_the_days_that_differ_are_summed_up_with_the_latest_ends_of_months_between() -> None:
    days = DAYS[:480]
    archived = [status_of(EXAMPLE, one) for one in day_by_day(EXAMPLE, history(), days)]
    now = [replace(was, principal_balance=was.principal_balance + 1) for was in archived]
    now[5] = replace(now[5], days_past_due=3)
    pairs = zip(archived, now, strict=True)
    found = restatement(500, 480, [RestatedDay(was, is_, differing(was, is_)) for was, is_ in pairs])
    assert (found.archived, found.compared, found.days) == (500, 480, 480)
    assert (found.first, found.last) == (days[0], days[-1])
    assert found.figures == {"days_past_due": 1, "principal_balance": 480}
    keys = [day.as_of for day in found.key_days]
    assert (keys[0], keys[-1], len(keys)) == (days[0], days[-1], 12)
    assert keys[1:-1] == [day for day in days[1:-1] if (day + timedelta(days=1)).day == 1][-10:]


def test_nothing_differs() -> None:
    found = restatement(3, 3, [])
    assert (found.days, found.first, found.last, found.figures, found.key_days) == (0, None, None, {}, ())
