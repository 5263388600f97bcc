"""What follows from each return code, and until when a bank may use it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ach_returns import (
    MAX_RETRIES,
    RETRY_DAYS,
    RETURN_CODES,
    SUSPENDING,
    Action,
    Late,
    TimeFrame,
    after_return,
    deadline,
    lateness,
    return_code,
)
from domain.nacha import Direction

FIRST = date(2026, 3, 3)  # a Tuesday
HOLIDAYS = frozenset({date(2026, 5, 25), date(2026, 7, 3)})


def days(*offsets: int) -> list[date]:
    return [FIRST + timedelta(days=offset) for offset in offsets]


def test_every_code_of_domestic_entries_is_known() -> None:
    assert list(RETURN_CODES) == [f"R{k:02d}" for k in [*range(1, 40), *range(50, 54)]]


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        (Action.RETRY, "R01 R09"),
        (Action.STOP_ITEM, "R06 R08 R31"),
        (Action.CORRECT_INSTRUMENT, "R02 R03 R04 R12 R13 R16 R17 R20 R28 R34"),
        (Action.NEW_AUTHORIZATION, "R05 R07 R10 R11 R29"),
        (Action.DECEASED, "R14 R15"),
        (
            Action.REVIEW,
            "R18 R19 R21 R22 R23 R24 R25 R26 R27 R30 R32 R33 R35 R36 R37 R38 R39 R50 R51 R52 R53",
        ),
    ],
)
def test_what_each_code_means(action: Action, codes: str) -> None:
    assert [code for code, known in RETURN_CODES.items() if known.action is action] == codes.split()
    for code in codes.split():
        decision = after_return(code, days(0))
        assert decision.action is action
        assert decision.suspends is (action in SUSPENDING)
        assert decision.reason == f"{code} {RETURN_CODES[code].title}"
        assert (decision.retry_by is not None) is (action is Action.RETRY)


def test_only_these_suspend() -> None:
    assert {Action.CORRECT_INSTRUMENT, Action.NEW_AUTHORIZATION, Action.DECEASED} == SUSPENDING


def test_a_code_nobody_knows_is_for_a_person() -> None:
    for code in ("R80", "R99", "X"):
        assert after_return(code, days(0)).action is Action.REVIEW
        assert return_code(code).title == f"Unknown return reason {code}"


@pytest.mark.parametrize(
    ("code", "attempts", "action", "left"),
    [
        ("R01", [0], Action.RETRY, 2),
        ("R09", [0], Action.RETRY, 2),
        ("R01", [0, 5], Action.RETRY, 1),
        ("R09", [0, 179], Action.RETRY, 1),
        ("R01", [0, 5, 10], Action.STOP_ITEM, 0),
        ("R01", [0, 5, 10, 15], Action.STOP_ITEM, 0),
        ("R02", [0, 5], Action.CORRECT_INSTRUMENT, 0),
        ("R08", [0, 5], Action.STOP_ITEM, 0),
    ],
)
def test_a_debit_is_retried_at_most_twice(code: str, attempts: list[int], action: Action, left: int) -> None:
    decision = after_return(code, days(*attempts))
    assert (decision.action, decision.retries_left) == (action, left)
    assert decision.retry_by == (FIRST + timedelta(days=180) if action is Action.RETRY else None)


@pytest.mark.parametrize(
    ("offset", "action"), [(1, Action.RETRY), (180, Action.RETRY), (181, Action.STOP_ITEM), (400, Action.STOP_ITEM)]
)
def test_no_retry_settles_after_180_days(offset: int, action: Action) -> None:
    assert after_return("R01", days(0, 100), earliest=FIRST + timedelta(days=offset)).action is action


@pytest.mark.parametrize(("limit", "retries"), [(0, 0), (1, 1), (2, 2), (5, 2), (-1, 0)])
def test_a_lender_may_retry_less_often_and_never_more_often(limit: int, retries: int) -> None:
    made = 0
    while after_return("R01", days(*range(made + 1)), max_retries=limit).action is Action.RETRY:
        made += 1
    assert made == retries


def test_a_payout_is_never_sent_again_by_itself() -> None:
    for code in RETURN_CODES:
        assert after_return(code, days(0), direction=Direction.CREDIT).action is not Action.RETRY


def test_what_was_never_sent_cannot_come_back() -> None:
    with pytest.raises(ValueError, match="was attempted"):
        after_return("R01", [])


@given(
    st.sampled_from([*RETURN_CODES, "R80"]),
    st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=6),
    st.none() | st.dates(date(2020, 1, 1), date(2031, 1, 1)),
    st.integers(0, 9),
)
def test_no_draft_is_ever_attempted_a_fourth_time_or_after_180_days(
    code: str, attempts: list[date], earliest: date | None, limit: int
) -> None:
    decision = after_return(code, attempts, earliest=earliest, max_retries=limit)
    if decision.action is Action.RETRY:
        assert code in ("R01", "R09")
        assert len(attempts) + decision.retries_left <= 1 + MAX_RETRIES
        assert decision.retry_by == min(attempts) + timedelta(days=RETRY_DAYS)
        assert earliest is None or earliest <= decision.retry_by
        assert not decision.suspends
    assert decision == after_return(code, attempts[::-1], earliest=earliest, max_retries=limit)


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        (TimeFrame.SIXTY_DAYS, "R05 R07 R10 R11 R33 R37 R38 R51 R52 R53"),
        (TimeFrame.UNBOUND, "R06 R13 R18 R19 R23 R25 R26 R27 R28 R30 R31 R32 R34 R35 R36"),
    ],
)
def test_how_long_a_bank_may_take(frame: TimeFrame, codes: str) -> None:
    assert [code for code, known in RETURN_CODES.items() if known.time_frame is frame] == codes.split()
    others = [known for known in RETURN_CODES.values() if known.time_frame is TimeFrame.TWO_BANKING_DAYS]
    assert len(others) == len(RETURN_CODES) - 25


@pytest.mark.parametrize(
    ("code", "settled", "last"),
    [
        ("R01", date(2026, 3, 3), date(2026, 3, 5)),
        ("R01", date(2026, 3, 5), date(2026, 3, 9)),  # over a weekend
        ("R01", date(2026, 5, 21), date(2026, 5, 26)),  # over a weekend and a holiday
        ("R10", date(2026, 3, 3), date(2026, 5, 4)),  # the 60th day is Saturday 2 May
        ("R07", date(2026, 3, 25), date(2026, 5, 26)),  # the 60th day is Sunday 24 May, Monday a holiday
        ("R10", date(2026, 3, 2), date(2026, 5, 4)),  # the 60th day is Friday 1 May
        ("R06", date(2026, 3, 3), None),
        ("R99", date(2026, 3, 3), None),
    ],
)
def test_the_last_day_for_a_return(code: str, settled: date, last: date | None) -> None:
    assert deadline(code, settled, HOLIDAYS) == last
    if last is not None:
        assert lateness(code, settled, last, HOLIDAYS) is None
        late = lateness(code, settled, last + timedelta(days=1), HOLIDAYS)
        assert late is not None
        assert (late.deadline, late.days) == (last, 1)
    else:
        assert lateness(code, settled, settled + timedelta(days=1000), HOLIDAYS) is None


def test_a_late_return_may_be_dishonored_for_five_banking_days() -> None:
    """It is of Tuesday 19 May; Monday the 25th is a holiday."""
    late = lateness("R01", date(2026, 5, 13), date(2026, 5, 19), HOLIDAYS)
    assert late == Late(deadline=date(2026, 5, 15), days=4, dishonor_by=date(2026, 5, 27))
