"""A loan seen on many days in one pass is, on each of them, what a replay to that day says."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from domain.day_by_day import day_by_day
from domain.events import ChargedOff, EventBody, PaymentReceived, PaymentSettled, UnappliedApplied
from domain.program import ExtraMoney, InterestMethod
from domain.replay import replay
from domain.status_archive import status_of
from tests.domain.loans import EXAMPLE, history, under

PAYMENTS: list[tuple[date, EventBody]] = [
    (date(2020, 9, 20), PaymentReceived(40_00, "a")),
    (date(2020, 9, 20), PaymentSettled("a")),
    (date(2020, 10, 9), PaymentReceived(297_47, "b")),
    (date(2020, 10, 30), PaymentReceived(700_00, "c")),
    (date(2020, 10, 31), UnappliedApplied("u", 10_00)),
    (date(2021, 3, 1), PaymentReceived(50_00, "d")),
    (date(2021, 6, 1), ChargedOff("no hope")),
    (date(2021, 6, 20), PaymentReceived(80_00, "e")),
]


@pytest.mark.parametrize("method", InterestMethod)
@pytest.mark.parametrize("step", [1, 9, 40])
def test_each_day_is_its_own_replay(method: InterestMethod, step: int) -> None:
    """Late fees, non-accrual, unapplied funds, a charge-off and a recovery among them, from before the loan began."""
    terms = under(interest_method=method, extra_money=ExtraMoney.UNAPPLIED, non_accrual_days=90)
    events = history(*PAYMENTS, terms=terms)
    days = [date(2020, 9, 5) + timedelta(days=n) for n in range(0, 300, step)]
    found = [(status_of(terms, one), one.accruals) for one in day_by_day(terms, events, days) if one.state.opened_on]
    alone = [replay(terms, events, on) for on in days]
    assert found == [(status_of(terms, one), one.accruals) for one in alone if one.state.opened_on]


def test_no_days_are_none() -> None:
    assert list(day_by_day(EXAMPLE, history(), [])) == []
