"""Accounting periods: months of the general ledger, closed in order and reopened from the latest back.

A month is named by its first day. So one date says which are closed: all up to the latest closed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from domain.calendars import FIRST_YEAR, LAST_YEAR, last_of_month
from domain.errors import InvalidInput, WrongState

_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


class PeriodStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class OpenBooks:
    """Where postings go on a business date. `closed_through`: the latest closed month, None when none is."""

    business_date: date
    closed_through: date | None

    def is_closed(self, day: date) -> bool:
        """Whether the period of `day` is closed."""
        return self.closed_through is not None and day <= last_of_month(self.closed_through)

    def posting_date(self, effective_date: date) -> date:
        """The effective date if its period is open, else the business date."""
        return self.business_date if self.is_closed(effective_date) else effective_date


def parse_month(text: str) -> date:
    """The first day of a month written yyyy-mm. Raises InvalidInput at "/month"."""
    found = _MONTH.fullmatch(text)
    if found is None or not (FIRST_YEAR <= int(found[1]) <= LAST_YEAR and 1 <= int(found[2]) <= 12):
        raise InvalidInput.at("/month", "must be a month such as 2026-02")
    return date(int(found[1]), int(found[2]), 1)


def next_month(month: date) -> date:
    """The first day of the month after the one `month` is in."""
    return last_of_month(month) + timedelta(days=1)


def check_close(month: date, first: date, books: OpenBooks) -> None:
    """Refuse to close a month that is closed, that has not ended, or that is not the next to close.

    `first`: the first month the tenant has books for. Raises WrongState naming the month that can be closed.
    """
    if books.is_closed(month):
        raise _closed(month, books)
    following = first if books.closed_through is None else next_month(books.closed_through)
    if last_of_month(month) >= books.business_date:
        raise WrongState(
            f"{month:%Y-%m} has not ended: the business date is {books.business_date}.",
            state=PeriodStatus.OPEN,
            allowed=_if_ended(following, books.business_date),
            code="period_not_ended",
        )
    if month != following:
        raise WrongState(
            f"The next month to close is {following:%Y-%m}: months are closed in order.",
            state=PeriodStatus.OPEN,
            allowed=_if_ended(following, books.business_date),
            code="period_out_of_order",
        )


def check_reopen(month: date, books: OpenBooks) -> None:
    """Refuse to reopen a month that is open, or that a later closed one follows. Raises WrongState."""
    if not books.is_closed(month):
        raise WrongState(
            f"{month:%Y-%m} is open.",
            state=PeriodStatus.OPEN,
            allowed=[] if books.closed_through is None else [f"{books.closed_through:%Y-%m}"],
            code="period_open",
        )
    if month != books.closed_through:
        assert books.closed_through is not None
        raise WrongState(
            f"{books.closed_through:%Y-%m} is closed too: months are reopened from the latest back.",
            state=PeriodStatus.CLOSED,
            allowed=[f"{books.closed_through:%Y-%m}"],
            code="period_out_of_order",
        )


def _closed(month: date, books: OpenBooks) -> WrongState:
    assert books.closed_through is not None
    return WrongState(
        f"{month:%Y-%m} is closed already.",
        state=PeriodStatus.CLOSED,
        allowed=_if_ended(next_month(books.closed_through), books.business_date),
        code="period_closed",
    )


def _if_ended(month: date, business_date: date) -> list[str]:
    return [f"{month:%Y-%m}"] if last_of_month(month) < business_date else []
