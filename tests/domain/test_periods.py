"""Months are closed in order once they have ended, and reopened from the latest back."""

from __future__ import annotations

from datetime import date

import pytest

from domain.errors import InvalidInput, WrongState
from domain.periods import OpenBooks, check_close, check_reopen, next_month, parse_month

SEPTEMBER, OCTOBER, NOVEMBER = (date(2020, month, 1) for month in (9, 10, 11))


def books(business_date: date = date(2020, 11, 4), closed_through: date | None = None) -> OpenBooks:
    return OpenBooks(business_date, closed_through)


@pytest.mark.parametrize(
    ("closed_through", "effective", "posted"),
    [
        (None, date(2019, 1, 1), date(2019, 1, 1)),
        (SEPTEMBER, date(2020, 9, 30), date(2020, 11, 4)),
        (SEPTEMBER, date(2020, 10, 1), date(2020, 10, 1)),
        (SEPTEMBER, date(2020, 11, 4), date(2020, 11, 4)),
        (OCTOBER, date(2019, 12, 31), date(2020, 11, 4)),
    ],
)
def test_the_posting_date_is_the_effective_date_unless_its_period_is_closed(
    closed_through: date | None, effective: date, posted: date
) -> None:
    assert books(closed_through=closed_through).posting_date(effective) == posted


@pytest.mark.parametrize(
    ("month", "business_date", "closed_through", "code", "allowed"),
    [
        (OCTOBER, date(2020, 10, 31), SEPTEMBER, "period_not_ended", ()),
        (NOVEMBER, date(2020, 11, 4), SEPTEMBER, "period_not_ended", ("2020-10",)),
        (SEPTEMBER, date(2020, 11, 4), SEPTEMBER, "period_closed", ("2020-10",)),
        (SEPTEMBER, date(2020, 10, 4), SEPTEMBER, "period_closed", ()),
        (OCTOBER, date(2020, 11, 4), None, "period_out_of_order", ("2020-09",)),
        (date(2020, 8, 1), date(2020, 11, 4), None, "period_out_of_order", ("2020-09",)),
    ],
)
def test_a_month_that_cannot_be_closed(
    month: date, business_date: date, closed_through: date | None, code: str, allowed: tuple[str, ...]
) -> None:
    with pytest.raises(WrongState) as refused:
        check_close(month, SEPTEMBER, books(business_date, closed_through))
    assert (refused.value.code, refused.value.allowed) == (code, allowed)


@pytest.mark.parametrize(
    ("month", "closed_through", "business_date"),
    [(SEPTEMBER, None, date(2020, 10, 1)), (OCTOBER, SEPTEMBER, date(2020, 11, 1)), (OCTOBER, SEPTEMBER, date(2021, 3, 1))],
)
def test_the_next_month_that_has_ended_can_be_closed(month: date, closed_through: date | None, business_date: date) -> None:
    check_close(month, SEPTEMBER, books(business_date, closed_through))


@pytest.mark.parametrize(
    ("month", "closed_through", "code", "allowed"),
    [
        (SEPTEMBER, None, "period_open", ()),
        (NOVEMBER, OCTOBER, "period_open", ("2020-10",)),
        (SEPTEMBER, OCTOBER, "period_out_of_order", ("2020-10",)),
    ],
)
def test_only_the_latest_closed_month_is_reopened(
    month: date, closed_through: date | None, code: str, allowed: tuple[str, ...]
) -> None:
    check_reopen(OCTOBER, books(closed_through=OCTOBER))
    with pytest.raises(WrongState) as refused:
        check_reopen(month, books(closed_through=closed_through))
    assert (refused.value.code, refused.value.allowed) == (code, allowed)


@pytest.mark.parametrize(
    "text", ["2020-13", "2020-00", "2020-1", "2020", "20-01", "1899-12", "2201-01", "２０２０-01", " 2020-01"]
)
def test_a_month_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="month such as"):
        parse_month(text)


def test_months_are_named_by_their_first_day() -> None:
    assert parse_month("2020-02") == date(2020, 2, 1)
    assert next_month(date(2020, 12, 1)) == date(2021, 1, 1)
