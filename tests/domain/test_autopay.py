"""When autopay drafts, how much, and which changes each state allows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.autopay import (
    AmountType,
    Decision,
    EnrolmentAction,
    EnrolmentStatus,
    after,
    decide,
    due_date_of,
    next_process_date,
    owed_through,
    process_instant,
)
from domain.errors import WrongState
from domain.replay import replay
from tests.domain.loans import EXAMPLE, LEVEL, disbursed, events

HOLIDAYS = frozenset({date(2020, 10, 12), date(2020, 12, 25)})
DUES = [date(2020, 10, 10), date(2020, 11, 10), date(2020, 12, 25)]
KEY = UUID("01900000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("not_before", "expected"),
    [
        (date(2020, 9, 1), date(2020, 10, 13)),  # the 10th is a Saturday, Monday the 12th a holiday
        (date(2020, 10, 13), date(2020, 10, 13)),
        (date(2020, 10, 14), date(2020, 11, 10)),
        (date(2020, 12, 25), date(2020, 12, 28)),
        (date(2020, 12, 29), None),
    ],
)
def test_a_draft_goes_out_on_the_due_date_or_the_next_banking_day(not_before: date, expected: date | None) -> None:
    assert next_process_date(DUES, not_before, HOLIDAYS) == expected


@pytest.mark.parametrize(
    ("process_date", "due"),
    [
        (date(2020, 10, 13), date(2020, 10, 10)),
        (date(2020, 11, 10), date(2020, 11, 10)),
        (date(2020, 11, 20), date(2020, 11, 20)),  # the schedule has changed since: it stands for itself
    ],
)
def test_a_process_date_stands_for_its_due_date(process_date: date, due: date) -> None:
    assert due_date_of(process_date, DUES, HOLIDAYS) == due


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


NOTHING = "nothing is due"


@pytest.mark.parametrize(
    ("amount_type", "static", "owed", "payoff", "in_transit", "expected"),
    [
        (AmountType.NEXT_DUE, None, 29747, 500000, 0, Decision(29747)),
        (AmountType.NEXT_DUE, None, 29747, 20000, 0, Decision(20000)),  # never more than the payoff
        (AmountType.NEXT_DUE, None, 29747, 500000, 10000, Decision(19747)),  # net of what is in transit
        (AmountType.NEXT_DUE, None, 29747, 500000, 29747, Decision(0, "what is due is already in transit")),
        (AmountType.NEXT_DUE, None, 0, 500000, 0, Decision(0, NOTHING)),
        (AmountType.STATIC, 35000, 29747, 500000, 0, Decision(35000)),
        (AmountType.STATIC, 35000, 29747, 30000, 0, Decision(30000)),
        (AmountType.STATIC, 35000, 29747, 30000, 25000, Decision(5000)),
        (AmountType.STATIC, 35000, 0, 0, 0, Decision(0, NOTHING)),
    ],
)
def test_how_much_is_drafted(
    amount_type: AmountType, static: int | None, owed: int, payoff: int, in_transit: int, expected: Decision
) -> None:
    assert decide(amount_type, static, owed=owed, payoff=payoff, in_transit=in_transit) == expected


@given(st.sampled_from(AmountType), *(st.integers(0, 10**6) for _ in range(4)))
def test_never_more_than_the_payoff_less_what_is_in_transit(
    kind: AmountType, static: int, owed: int, payoff: int, in_transit: int
) -> None:
    decision = decide(kind, static, owed=owed, payoff=payoff, in_transit=in_transit)
    assert 0 <= decision.amount <= max(0, payoff - in_transit)
    assert (decision.amount == 0) == (decision.reason is not None)


@pytest.mark.parametrize(
    ("as_of", "due", "payments", "expected"),
    [
        (date(2020, 10, 9), date(2020, 10, 9), [], LEVEL),
        (date(2020, 10, 13), date(2020, 10, 9), [], LEVEL),  # drafted late: not the next instalment too
        (date(2020, 10, 9), date(2020, 10, 9), [(date(2020, 10, 1), LEVEL)], 0),
        (date(2020, 11, 9), date(2020, 11, 9), [], 2 * LEVEL + 3000),  # with what is past due, and its late fee
        (date(2020, 12, 15), date(2020, 11, 9), [], 2 * LEVEL + 2 * 3000),
    ],
)
def test_what_brings_the_loan_current(as_of: date, due: date, payments: list[tuple[date, int]], expected: int) -> None:
    history = events(*payments) if payments else [disbursed()]
    assert owed_through(replay(EXAMPLE, history, as_of).state, due) == expected


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
