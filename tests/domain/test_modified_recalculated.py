"""Modifications of `recalculated` loans whose instalments had interest passed on, moved or borne past their end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from domain.changes import Deferred, DueDateChanged, Extended, RateChanged, ReAged, ReAmortized
from domain.events import Boarded, Disbursed, Event, EventBody, PaymentReceived
from domain.loan import LoanStatus
from domain.payoff import payoff_quote
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    ExtraMoney,
    FirstPeriod,
    Frequency,
    InterestMethod,
    PeriodInterest,
    Program,
)
from domain.replay import begin, close, preview, replay, take
from domain.simulation import Act, simulate
from domain.terms import LoanTerms


def _terms(
    principal: int, rate: Fraction, periods: int, start: date, first: date, balloon: int = 0, **program: object
) -> LoanTerms:
    made = Program(interest_method=InterestMethod.RECALCULATED, **program)  # type: ignore[arg-type]
    return LoanTerms(made, principal, rate, periods, start, first, balloon=balloon)


def _boarded(principal: int, interest: int, oldest: date) -> Boarded:
    return Boarded(LoanStatus.ACTIVE, principal, interest, 0, oldest, None)


def _events(*dated: tuple[date, EventBody]) -> list[Event]:
    return [Event(number, day, body) for number, (day, body) in enumerate(dated, 1)]


SMALL = _terms(10_000, Fraction(1, 1250), 2, date(2023, 1, 1), date(2023, 1, 2))
BY_DAYS = _terms(
    1_827_400,
    Fraction(1907, 10_000),
    5,
    date(2023, 10, 2),
    date(2023, 10, 20),
    period_interest=PeriodInterest.DAY_COUNT,
    extra_money=ExtraMoney.PRINCIPAL_ONLY,
)
LATE = _terms(14_357, Fraction(791, 10_000), 12, date(2023, 12, 29), date(2024, 2, 4), extra_money=ExtraMoney.UNAPPLIED)
BALLOON = _terms(
    1_648_926, Fraction(1503, 10_000), 8, date(2024, 1, 30), date(2024, 1, 31), 5_000, first_period=FirstPeriod.ACTUAL_365
)
OWED_BEFORE = [
    pytest.param(
        BY_DAYS,
        _events(
            (date(2023, 10, 22), _boarded(1_827_399, 403, date(2024, 2, 20))),
            (date(2024, 2, 14), PaymentReceived(1_437, "a")),
            (date(2024, 3, 27), PaymentReceived(628_647, "b")),
            (date(2024, 3, 27), ReAmortized(2)),
        ),
        id="what was past due after the last due date bore nothing until the loan was extended",
    ),
    pytest.param(
        LATE,
        _events(
            (date(2023, 12, 29), Disbursed(14_357)),
            (date(2024, 5, 4), PaymentReceived(226, "a")),
            (date(2024, 10, 4), Deferred(1, False, True)),
            (date(2024, 10, 4), ReAged()),
        ),
        id="principal of several past-due instalments moves as it was owed",
    ),
    pytest.param(
        BALLOON,
        _events((date(2024, 5, 24), _boarded(3_233, 92, date(2024, 1, 31))), (date(2024, 5, 24), Extended(1, False))),
        id="interest due with an earlier instalment than that of its days stays there",
    ),
]


@pytest.mark.parametrize(("terms", "events"), OWED_BEFORE)
def test_a_modification_leaves_the_accrued_interest_as_it_was(terms: LoanTerms, events: list[Event]) -> None:
    day = events[-1].effective_date
    before, after = replay(terms, events[:-1], day).state, replay(terms, events, day).state
    assert (after.accrued_interest, after.principal_balance) == (before.accrued_interest, before.principal_balance)


PAYOFFS = [
    pytest.param(
        SMALL,
        _events(
            (date(2023, 1, 1), Disbursed(10_000)),
            (date(2023, 1, 2), Extended(2, False)),
            (date(2023, 1, 2), DueDateChanged(date(2023, 1, 3))),
            (date(2023, 3, 3), RateChanged(Fraction(0), None, False)),
        ),
        date(2023, 4, 3),
        id="interest that a later instalment was paid is not due with an earlier one too",
    ),
    pytest.param(
        _terms(
            2_097_153,
            Fraction(463, 10_000),
            2,
            date(2023, 7, 15),
            date(2023, 7, 16),
            frequency=Frequency.SEMIMONTHLY,
            period_interest=PeriodInterest.DAY_COUNT,
            extra_money=ExtraMoney.PRINCIPAL_ONLY,
        ),
        _events(
            (date(2023, 7, 28), _boarded(13, 427, date(2023, 8, 1))),
            (date(2023, 8, 7), ReAmortized(6)),
            (date(2023, 8, 7), ReAged()),
            (date(2023, 8, 7), ReAmortized(6)),
            (date(2023, 9, 30), Extended(4, True)),
        ),
        date(2023, 11, 3),
        id="the instalment left open takes what the others had no room for",
    ),
]


@pytest.mark.parametrize(("terms", "events", "day"), PAYOFFS)
def test_the_quoted_payoff_pays_the_loan_off(terms: LoanTerms, events: list[Event], day: date) -> None:
    total = payoff_quote(replay(terms, events, day).state).total
    after = preview(terms, events, total, day, day)
    assert (after.state.status, after.allocation.unapplied) == (LoanStatus.PAID_OFF, 0)


def test_an_instalment_moved_on_its_due_date_is_due_on_the_new_one() -> None:
    events = _events((date(2023, 1, 1), Disbursed(10_000)), (date(2023, 1, 2), DueDateChanged(date(2023, 1, 20))))
    assert replay(SMALL, events, date(2023, 1, 2)).state.instalments[0].due_date == date(2023, 1, 20)


def test_an_instalment_taken_away_again_before_it_was_looked_at_leaves_no_trace() -> None:
    terms = _terms(
        10_000,
        Fraction(2633, 10_000),
        4,
        date(2023, 1, 2),
        date(2023, 1, 12),
        5_000,
        frequency=Frequency.SEMIMONTHLY,
        period_interest=PeriodInterest.DAY_COUNT,
        extra_money=ExtraMoney.ADVANCE_DUE,
    )
    events = _events(
        (date(2023, 1, 2), Disbursed(10_000)),
        (date(2023, 1, 7), PaymentReceived(3_105, "a")),
        (date(2023, 2, 12), PaymentReceived(854, "b")),
        (date(2023, 2, 22), PaymentReceived(1_330, "c")),
        (date(2023, 2, 22), DueDateChanged(date(2023, 3, 30))),
        (date(2023, 3, 12), ReAmortized(10)),
        (date(2023, 3, 12), Extended(4, False)),
        (date(2023, 4, 12), ReAmortized(8)),
    )
    state = replay(terms, events, date(2023, 4, 12)).state
    assert sum(row.principal for row in state.instalments) == 10_000


def test_what_is_past_due_bears_the_same_however_seldom_the_loan_is_looked_at() -> None:
    """What the last open instalment takes of the difference is past due with it from its due date on."""
    terms = _terms(1_000_000, Fraction(449, 10_000), 12, date(2020, 9, 9), date(2020, 10, 9))
    change = RateChanged(Fraction(9, 100), None, keep_payment=True)
    events = _events((date(2020, 9, 9), Disbursed(1_000_000)), (date(2020, 9, 9), PaymentReceived(176_150, "a")))
    shown = simulate(terms, events, date(2020, 9, 9), [Act(change, date(2020, 11, 1))], date(2022, 9, 9))
    events.append(Event(3, date(2020, 11, 1), change))
    for day in shown.days:
        assert replay(terms, events, day.on).state.accrued_interest == day.state.accrued_interest


def test_a_rate_that_changes_on_a_day_the_loan_was_looked_at_still_changes() -> None:
    terms = _terms(
        10_699, Fraction(17, 500), 12, date(2024, 1, 13), date(2024, 1, 17), period_interest=PeriodInterest.DAY_COUNT
    )
    change = RateChanged(Fraction(0), date(2024, 1, 18), False)
    events = _events((date(2024, 1, 13), Disbursed(10_699)), (date(2024, 1, 17), change))
    fold = begin(terms, events)
    for event in events:
        take(fold, event)
    fold.pass_to(date(2024, 1, 18))
    end = date(2024, 2, 26)
    assert close(fold, end).state == replay(terms, events, end).state


def test_an_instalment_that_asks_for_nothing_was_paid_on_no_day() -> None:
    terms = _terms(
        10_242,
        Fraction(13, 500),
        10,
        date(2024, 1, 26),
        date(2024, 1, 28),
        frequency=Frequency.SEMIMONTHLY,
        extra_money=ExtraMoney.PRINCIPAL_ONLY,
    )
    day = date(2024, 5, 13)
    events = _events((date(2024, 5, 1), _boarded(3_766, 232, date(2024, 4, 13))), (day, PaymentReceived(2_733, "a")))
    fold = begin(terms, events)
    take(fold, events[0])
    fold.pass_to(date(2024, 5, 8))
    take(fold, events[1])
    last = close(fold, day).state.instalments[-1]
    assert (last.payment, last.paid_on) == (0, None)


def test_all_interest_is_in_some_instalment_where_the_last_was_paid_more_principal_than_it_has() -> None:
    """Paid ahead, then nothing more: what was borne is the same whenever the loan is looked at, to the cent."""
    terms = _terms(
        2_534_930,
        Fraction(331, 2000),
        6,
        date(2023, 9, 30),
        date(2023, 10, 15),
        5_000,
        frequency=Frequency.BIWEEKLY,
        extra_money=ExtraMoney.ADVANCE_DUE,
        advance_order=AdvanceOrder.LAST,
        allocation_scope=AllocationScope.INSTALMENT,
        first_period=FirstPeriod.ACTUAL_365,
    )
    terms = replace(terms, interest_only_periods=2)
    paid, end = PaymentReceived(642_611, "a"), date(2024, 11, 4)
    events = _events((date(2023, 9, 30), Disbursed(2_534_930)), (date(2023, 10, 1), paid))
    fold = begin(terms, events)
    for event in events:
        take(fold, event)
    fold.pass_to(date(2023, 12, 18))
    loan = close(fold, end).state
    assert loan == replay(terms, events, end).state
    assert loan.accrued_interest == 13_162 + 5 * 12_045
    assert sum(row.principal for row in loan.instalments) == 2_534_930
