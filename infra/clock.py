"""The only place that reads a clock. Money never moves by it: business dates do that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Returns the current instant, in UTC."""


def utc_now() -> datetime:
    """The current instant, in UTC."""
    return datetime.now(UTC)


def date_in_zone(zone: str, clock: Clock = utc_now) -> date:
    """The calendar date right now in an IANA zone such as "America/New_York" (a live tenant's first business date)."""
    return clock().astimezone(ZoneInfo(zone)).date()
