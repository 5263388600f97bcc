"""The yearly rate over time: which day bears which rate, and what a stretch of days bears in all."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.rates import Rates, Segment

TWELVE, SIX, NOTHING = Fraction(12, 100), Fraction(6, 100), Fraction(0)
JANUARY, MARCH, APRIL, JUNE = date(2024, 1, 1), date(2024, 3, 10), date(2024, 4, 1), date(2024, 6, 16)


def test_a_rate_holds_until_it_is_changed() -> None:
    rates = Rates(TWELVE).changed(MARCH, SIX)
    assert (rates.on(date(2024, 3, 9)), rates.on(MARCH), rates.on(JUNE)) == (TWELVE, SIX, SIX)
    assert not rates.constant
    assert Rates(TWELVE).constant


def test_a_rate_for_a_while_goes_back_to_what_stood_before() -> None:
    rates = Rates(TWELVE).changed(MARCH, SIX, JUNE)
    assert (rates.on(date(2024, 6, 15)), rates.on(JUNE)) == (SIX, TWELVE)
    assert rates.segments(JANUARY, date(2024, 7, 1)) == [
        Segment(JANUARY, MARCH, TWELVE),
        Segment(MARCH, JUNE, SIX),
        Segment(JUNE, date(2024, 7, 1), TWELVE),
    ]


def test_a_later_change_ends_what_was_agreed_before() -> None:
    rates = Rates(TWELVE).changed(MARCH, SIX, JUNE).changed(APRIL, Fraction(3, 100))
    assert (rates.on(MARCH), rates.on(APRIL), rates.on(JUNE)) == (SIX, Fraction(3, 100), Fraction(3, 100))


def test_stopped_interest_stays_stopped_whatever_the_rate_becomes() -> None:
    rates = Rates(TWELVE).stopped_for(MARCH, JUNE).changed(APRIL, SIX)
    assert (rates.on(MARCH), rates.on(APRIL), rates.on(JUNE)) == (NOTHING, NOTHING, SIX)
    assert Rates(TWELVE).stopped_for(MARCH, MARCH).constant


def test_a_cap_is_the_most_that_is_borne_on_its_days_whatever_is_agreed() -> None:
    rates = Rates(TWELVE).capped_at(SIX, MARCH, JUNE)
    assert [segment.rate for segment in rates.segments(JANUARY, date(2024, 7, 1))] == [TWELVE, SIX, TWELVE]
    assert (rates.changed(APRIL, Fraction(3, 100)).on(APRIL), rates.changed(APRIL, Fraction(1, 5)).on(APRIL)) == (
        Fraction(3, 100),
        SIX,
    )
    assert Rates(Fraction(3, 100)).capped_at(SIX, MARCH).on(JUNE) == Fraction(3, 100)
    assert Rates(TWELVE).capped_at(SIX, MARCH).stopped_for(APRIL, JUNE).on(APRIL) == NOTHING


def test_what_a_stretch_bears_is_the_sum_over_its_days() -> None:
    rates = Rates(TWELVE).changed(MARCH, SIX)
    # 9 nights from 1 to 10 March at 12 %, 22 from 10 March to 1 April at 6 %
    assert rates.weight(date(2024, 3, 1), APRIL) == 9 * TWELVE + 22 * SIX
    assert rates.average(date(2024, 3, 1), APRIL) == (9 * TWELVE + 22 * SIX) / 31
    assert rates.weight(APRIL, APRIL) == rates.weight(APRIL, MARCH) == 0
    assert rates.segments(APRIL, APRIL) == []


days = st.integers(0, 400).map(lambda n: JANUARY + timedelta(days=n))
some_rates = st.integers(0, 3000).map(lambda n: Fraction(n, 10_000))
changes = st.tuples(st.just("change"), days, some_rates, st.none() | st.integers(1, 200))
caps = st.tuples(st.just("cap"), days, some_rates, st.none() | st.integers(1, 200))
stops = st.tuples(st.just("stop"), days, st.none(), st.integers(0, 200))


@given(some_rates, st.lists(changes | caps | stops, max_size=6), days, st.integers(0, 200))
def test_the_segments_are_the_days(
    first: Fraction, made: list[tuple[str, date, Fraction, int]], start: date, n: int
) -> None:
    rates = Rates(first)
    for kind, day, rate, length in made:
        until = None if length is None else day + timedelta(days=length)
        match kind:
            case "change":
                rates = rates.changed(day, rate, until)
            case "cap":
                rates = rates.capped_at(rate, day, until)
            case _:
                rates = rates.stopped_for(day, until or day)
    end = start + timedelta(days=n)
    assert rates.weight(start, end) == sum((rates.on(start + timedelta(days=k)) for k in range(n)), Fraction(0))
    cut = rates.segments(start, end)
    assert [segment.start for segment in cut[1:]] == [segment.end for segment in cut[:-1]]
