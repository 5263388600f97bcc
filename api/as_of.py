"""Time travel: `?effective_as_of=` (when things counted) and `?known_as_of=` (what was known), the same on every route."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Depends, Query

from api.schemas.base import Date
from domain.calendars import FIRST_YEAR, LAST_YEAR
from domain.errors import InvalidInput
from domain.history import Known

_KNOWN = "recorded on business dates up to a date (2026-02-15), or until an instant (2026-02-15T12:00:00Z); default: all"
EffectiveAsOf = Annotated[Date | None, Query(description="the close of this day; default: the business date")]


def _known_as_of(known_as_of: Annotated[str | None, Query(max_length=40, description=_KNOWN)] = None) -> Known:
    """Raises InvalidInput at /known_as_of for what is neither a date nor an instant with its zone."""
    if known_as_of is None:
        return None
    try:
        known: Known = date.fromisoformat(known_as_of) if len(known_as_of) == 10 else _instant(known_as_of)
    except (ValueError, OverflowError):
        known = None
    if known is None or not FIRST_YEAR <= known.year <= LAST_YEAR:
        raise InvalidInput.at("/known_as_of", "must be a date such as 2026-02-15 or an instant such as 2026-02-15T12:00:00Z")
    return known


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return found.astimezone(UTC)


KnownAsOf = Annotated[Known, Depends(_known_as_of)]
