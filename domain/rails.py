"""How drafts go to a bank: a cutoff takes what is prepared, and hands it to the tenant's rail in one piece.

A cutoff belongs to a date. A live tenant's comes at an hour of that date in its zone; a sandbox's when its date is moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

CUTOFF_TIME: Final = time(16)
"""Local time of a live tenant's cutoff. Autopay prepares its drafts in the morning (domain.autopay.process_instant)."""


class CutoffStatus(StrEnum):
    """open: it waits for its hour. collecting: it takes what is prepared; what comes later goes in the next one.
    collected: nothing is added any more. acknowledged: the rail has it."""

    OPEN = "open"
    COLLECTING = "collecting"
    COLLECTED = "collected"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class CutoffPlan:
    """What a cutoff waits for: its hour (UTC; None in a sandbox, where it has come), and `acting` autopays which have yet to
    prepare what is due on the business date."""

    status: CutoffStatus
    at: datetime | None
    acting: int


@dataclass(frozen=True, slots=True)
class CutoffProgress:
    """How far a cutoff has come: drafts sent, drafts that did not go out after all, and whether all were looked at."""

    sent: int
    kept_back: int
    collected: bool


def cutoff_instant(on: date, zone: str) -> datetime:
    """When (UTC) a live tenant's cutoff of a date is, in its zone; an hour that daylight saving leaves out is the next."""
    return datetime.combine(on, CUTOFF_TIME, ZoneInfo(zone)).astimezone(UTC)
