"""When autopay drafts, how much, and which changes each state allows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.autopay import (
    EnrolmentAction,
    EnrolmentStatus,
    after,
    check_process_time,
    check_retry_days,
    process_instant,
)
from domain.errors import InvalidInput, WrongState

KEY = UUID("01900000-0000-7000-8000-000000000001")


@pytest.mark.parametrize("action", EnrolmentAction)
@pytest.mark.parametrize("status", EnrolmentStatus)
def test_every_transition_is_either_listed_or_refused(status: EnrolmentStatus, action: EnrolmentAction) -> None:
    s = EnrolmentStatus
    allowed = {
        (s.ACTIVE, "pause"): s.PAUSED,
        (s.PAUSED, "resume"): s.ACTIVE,
        **{(one, "cancel"): s.CANCELLED for one in (s.ACTIVE, s.PAUSED, s.SUSPENDED)},
        **{(one, "complete"): s.COMPLETED for one in (s.ACTIVE, s.PAUSED, s.SUSPENDED)},
        **{(one, "suspend"): s.SUSPENDED for one in (s.ACTIVE, s.PAUSED)},
        (s.SUSPENDED, "reinstate"): s.ACTIVE,
    }
    if (status, action) in allowed:
        assert after(status, action) is allowed[status, action]
        return
    with pytest.raises(WrongState) as refused:
        after(status, action)
    assert refused.value.state == status
    assert set(refused.value.allowed) == {name for one, name in allowed if one is status} & {"pause", "resume", "cancel"}


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles", "Pacific/Auckland", "America/Phoenix"])
@pytest.mark.parametrize("day", [date(2021, 3, 14), date(2021, 11, 7), date(2021, 9, 26), date(2021, 6, 1)])
def test_a_live_draft_goes_out_in_the_morning_of_its_day_through_daylight_saving(zone: str, day: date) -> None:
    instant = process_instant(day, zone, KEY)
    local = instant.astimezone(ZoneInfo(zone))
    assert (local.date(), local.hour in (6, 7)) == (day, True)
    assert instant == process_instant(day, zone, KEY)
    assert instant.tzinfo is UTC


def test_live_drafts_are_spread() -> None:
    instants = {process_instant(date(2021, 6, 1), "America/New_York", UUID(int=n)) for n in range(100)}
    assert len(instants) == 100
    assert max(instants) - min(instants) > datetime(2021, 6, 1, 7, 30) - datetime(2021, 6, 1, 6)  # noqa: DTZ001


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles"])
@pytest.mark.parametrize("at", [None, time(0), time(1, 30), time(2, 30), time(3), time(15, 59)])
def test_through_two_years_each_day_has_one_instant_of_its_own_and_they_increase(zone: str, at: time | None) -> None:
    """Also where daylight saving leaves the hour out (it comes an hour later) or has it twice (the first counts)."""
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(2 * 365)]
    instants = [process_instant(day, zone, KEY, at) for day in days]
    assert instants == sorted(set(instants))
    local = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    assert [one.date() for one in local] == days
    apart = {later - earlier for earlier, later in pairwise(instants)}
    assert apart <= {timedelta(hours=hours) for hours in (23, 24, 25)}
    if at is not None:
        moved = [one for one in local if one.time() != at]
        assert [one.time() for one in moved] == ([time(3, 30)] * 2 if at == time(2, 30) else [])


@pytest.mark.parametrize("at", [time(15), time(15, 1), time(23, 59)])
def test_a_time_after_the_lenders_cutoff_is_refused(at: time) -> None:
    with pytest.raises(InvalidInput, match="before the day's cutoff at 15:00"):
        check_process_time(at, time(15))


@pytest.mark.parametrize("at", [time(0), time(14, 59)])
def test_a_time_before_the_cutoff_passes(at: time) -> None:
    check_process_time(at, time(15))


@pytest.mark.parametrize("days", [-1, 6])
def test_a_retry_policy_that_cannot_be_is_refused(days: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_retry_days(days)
    assert refused.value.errors[0].pointer == "/retry_days"
