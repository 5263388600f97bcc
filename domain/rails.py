"""How drafts go to a bank: a cutoff takes what is prepared, and hands it to the lender's rail in one piece.

A cutoff belongs to a date. A live lender's comes at an hour of that date in its zone; a sandbox's when its date is moved on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.calendars import add_banking_days
from domain.errors import FieldError, InvalidInput
from domain.nacha import Originator, SecCode, originator_errors

CUTOFF_TIME: Final = time(16)
EARLIEST: Final = time(8, 30)
LATEST: Final = time(23, 30)
"""Local times of a live lender's cutoff. Autopay prepares its drafts from six to eight (domain.autopay.process_instant)."""

SETTLEMENT_DAYS: Final = 2
"""Banking days from the day a NACHA file goes out to that on which its drafts count as settled: they are effective on the
first, and a bank without the money has until the opening of the second after that to say so."""


class RailKind(StrEnum):
    """`sandbox`: a bank in a table, with scripted outcomes. `nacha`: a file for the lender's bank."""

    SANDBOX = "sandbox"
    NACHA = "nacha"


class CutoffStatus(StrEnum):
    """open: it waits for its hour. collecting: it takes what is prepared; what comes later goes in the next one.
    collected: nothing is added any more. acknowledged: the rail has it."""

    OPEN = "open"
    COLLECTING = "collecting"
    COLLECTED = "collected"
    ACKNOWLEDGED = "acknowledged"


class EntryStatus(StrEnum):
    IN_TRANSIT = "in_transit"
    SETTLED = "settled"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class RailSettings:
    """How a lender's drafts go out. `originator` is the lender as its bank knows it; a NACHA file needs it."""

    rail: RailKind = RailKind.SANDBOX
    cutoff_time: time = CUTOFF_TIME
    sec_code: SecCode = SecCode.WEB
    originator: Originator | None = None


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


def cutoff_workflow_id(tenant_id: UUID, on: date, number: int) -> str:
    """The id of a cutoff's workflow: one for each cutoff of a date, whoever starts it."""
    return f"rail-cutoff/{tenant_id}/{on}/{number}"


def cutoff_instant(on: date, zone: str, at: time = CUTOFF_TIME) -> datetime:
    """When (UTC) a live lender's cutoff of a date is, in its zone."""
    return datetime.combine(on, at, ZoneInfo(zone)).astimezone(UTC)


def check_settings(settings: RailSettings) -> None:
    """Refuse (InvalidInput, with a pointer per wrong field) settings by which no file could be made."""
    errors: list[FieldError] = []
    if not EARLIEST <= settings.cutoff_time <= LATEST:
        errors.append(FieldError("/cutoff_time", f"must be from {EARLIEST:%H:%M} to {LATEST:%H:%M}"))
    if settings.originator is not None:
        errors += originator_errors(settings.originator)
    elif settings.rail is RailKind.NACHA:
        errors.append(FieldError("/originator", "is needed for the rail nacha"))
    if errors:
        shown = "; ".join(f"{error.pointer[1:]}: {error.message}" for error in errors)
        raise InvalidInput(f"These settings are not acceptable: {shown}.", code="invalid_rail_settings", errors=errors)


NAMED_LATE: Final = 5
"""So many of the loans whose autopays a cutoff would come before are named."""


@dataclass(frozen=True, slots=True)
class LateAutopays:
    """The autopays that a cutoff would come before: how many, the `latest` of their process times (local), and the numbers
    of the loans of the latest of them."""

    count: int
    latest: time
    loan_numbers: tuple[str, ...]


def check_cutoff_comes_after(late: LateAutopays | None) -> None:
    """Refuse (InvalidInput at /cutoff_time) a cutoff that comes before drafts are prepared which were in time until now:
    they would go out a day late, and nobody would have said so."""
    if late is None:
        return
    many = f"{late.count} autopays prepare their" if late.count > 1 else "1 autopay prepares its"
    more = late.count - len(late.loan_numbers)
    loans = ", ".join(late.loan_numbers) + (f" and {more} more" if more else "")
    message = (
        f"must be after {late.latest:%H:%M}, or {many} drafts too late to go out on the day: first give an earlier "
        f"process_time to those of the loans {loans}"
    )
    raise InvalidInput.at("/cutoff_time", message, code="before_process_times")


def originator_json(originator: Originator | None) -> dict[str, Any] | None:
    """The JSON form of an originator."""
    return None if originator is None else asdict(originator)


def originator_of(data: Mapping[str, Any] | None) -> Originator | None:
    """The originator of a JSON form."""
    return None if data is None else Originator(**data)


def effective_date(handed_over_on: date, holidays: frozenset[date]) -> date:
    """The day a NACHA file's entries are meant to settle on: the next banking day."""
    return add_banking_days(handed_over_on, 1, holidays)


def settles_on(handed_over_on: date, holidays: frozenset[date]) -> date:
    """The day on which a NACHA file's entries count as settled, if they do not come back before."""
    return add_banking_days(handed_over_on, SETTLEMENT_DAYS, holidays)
