"""A replay that goes on from where it is says what a replay from the beginning says (any history: tests/properties)."""

from __future__ import annotations

from datetime import date

import pytest

from domain.errors import InvalidInput
from domain.events import Disbursed, Event, PaymentReceived, PaymentSettled
from domain.going_on import GoingOn
from domain.replay import replay
from tests.domain.loans import EXAMPLE

BEGUN = Event(1, date(2020, 9, 9), Disbursed(EXAMPLE.principal))
DUE = date(2020, 10, 9)
PAID = [BEGUN, Event(2, DUE, PaymentReceived(297_47, "a")), Event(3, DUE, PaymentSettled("a"))]


def test_it_is_seen_on_one_day_after_the_other() -> None:
    going = GoingOn(EXAMPLE, PAID)
    for day in (date(2020, 9, 9), date(2020, 10, 8), DUE, DUE, date(2021, 3, 1)):
        assert going.can_see(day)
        assert going.at(day) == replay(EXAMPLE, PAID, day)
    assert not going.can_see(DUE)


def test_another_payment_of_a_day_comes_before_what_was_settled_on_it() -> None:
    """The settlement is taken back and happens again, so that the order is that of a replay."""
    more = [*PAID, Event(4, DUE, PaymentReceived(50_00, "b")), Event(5, DUE, PaymentSettled("b"))]
    going = GoingOn(EXAMPLE, PAID)
    going.at(DUE)
    assert going.follow(more)
    seen = going.at(DUE)
    assert seen == replay(EXAMPLE, more, DUE)
    assert [entry.key for entry in seen.entries][-4:] == ["payment:a", "payment:b", "settled:a", "settled:b"]


def test_what_was_seen_before_stays_as_it_was_seen() -> None:
    going = GoingOn(EXAMPLE, PAID)
    before = going.at(DUE)
    assert going.follow([*PAID, Event(4, DUE, PaymentReceived(50_00, "b"))])
    going.at(DUE)
    assert before == replay(EXAMPLE, PAID, DUE)


def test_it_does_not_follow_into_the_past() -> None:
    going = GoingOn(EXAMPLE, PAID)
    before = going.at(DUE)
    assert not going.follow([*PAID, Event(4, date(2020, 10, 1), PaymentReceived(50_00, "b"))])
    assert not going.follow(PAID[:1])
    assert going.at(DUE) == before


def test_it_refuses_what_a_replay_refuses() -> None:
    again = [*PAID, Event(4, DUE, PaymentSettled("a"))]
    going = GoingOn(EXAMPLE, PAID)
    going.at(DUE)
    assert going.follow(again)
    for see in (lambda: going.at(DUE), lambda: replay(EXAMPLE, again, DUE)):
        with pytest.raises(InvalidInput, match="a is settled already"):
            see()
