"""Autopay: which states an enrolment may take, what its process waits for.

When it drafts is in domain/cadence.py, how much in domain/draft_amounts.py, the decision in domain/drafting.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.errors import InvalidInput, WrongState

PROCESS_HOUR: Final = 6
"""Local hour at which live drafts begin to go out."""

SPREAD: Final = timedelta(hours=2)
"""Live drafts of a day are spread over this long, so that they do not all start in one second."""


class EnrolmentStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


OPEN: Final = (EnrolmentStatus.ACTIVE, EnrolmentStatus.PAUSED, EnrolmentStatus.SUSPENDED)
"""A loan has at most one autopay in one of these, by constraint; recurring payments of a fixed amount beside it."""


class EnrolmentAction(StrEnum):
    """What people (pause, resume, cancel), the process (complete), or a bank's answer (suspend, and reinstate once the
    account is corrected) do to an enrolment."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


class EnrolmentKind(StrEnum):
    """`autopay`: at most one open a loan. `recurring`: a fixed amount beside it, as many as the borrower wants."""

    AUTOPAY = "autopay"
    RECURRING = "recurring"


class DraftStatus(StrEnum):
    """`not_drafted`: decided, under the loan's lock, that nothing goes out; the draft says why."""

    PENDING = "pending"
    SENT = "sent"
    SETTLED = "settled"
    NOT_DRAFTED = "not_drafted"
    FAILED = "failed"


_TRANSITIONS: Final[dict[EnrolmentAction, tuple[tuple[EnrolmentStatus, ...], EnrolmentStatus]]] = {
    EnrolmentAction.PAUSE: ((EnrolmentStatus.ACTIVE,), EnrolmentStatus.PAUSED),
    EnrolmentAction.RESUME: ((EnrolmentStatus.PAUSED,), EnrolmentStatus.ACTIVE),
    EnrolmentAction.CANCEL: (OPEN, EnrolmentStatus.CANCELLED),
    EnrolmentAction.COMPLETE: (OPEN, EnrolmentStatus.COMPLETED),
    EnrolmentAction.SUSPEND: ((EnrolmentStatus.ACTIVE, EnrolmentStatus.PAUSED), EnrolmentStatus.SUSPENDED),
    EnrolmentAction.REINSTATE: ((EnrolmentStatus.SUSPENDED,), EnrolmentStatus.ACTIVE),
}
_BY_PEOPLE: Final = (EnrolmentAction.PAUSE, EnrolmentAction.RESUME, EnrolmentAction.CANCEL)


def after(status: EnrolmentStatus, action: EnrolmentAction, what: str = "autopay") -> EnrolmentStatus:
    """The status `action` leads to; `what` is its name in a refusal. Raises WrongState, naming the actions this status
    allows."""
    allowed_from, target = _TRANSITIONS[action]
    if status in allowed_from:
        return target
    allowed = [str(other) for other, (sources, _) in _TRANSITIONS.items() if status in sources]
    allowed = [name for name in allowed if name in _BY_PEOPLE]
    can = f"it can be: {', '.join(allowed)}" if allowed else "nothing further can be done with it"
    raise WrongState(
        f"The {what} is {status}, so {action} is refused; {can}.",
        state=str(status),
        allowed=allowed,
        code="autopay_wrong_state",
    )


def process_instant(process_date: date, zone: str, key: UUID, at: time | None = None) -> datetime:
    """When (UTC) a live tenant's draft is prepared: at the time of day `at` in the tenant's zone; without one from 06:00 on,
    spread over two hours by the hash of the enrolment's id, so that it is the same at every replay. Once on each day,
    through every change of daylight saving: a time a day leaves out comes that much later, of one it has twice the first."""
    if at is not None:
        return datetime.combine(process_date, at, ZoneInfo(zone)).astimezone(UTC)
    share = int.from_bytes(hashlib.sha256(key.bytes).digest()[:4], "big") / 2**32
    local = datetime.combine(process_date, time(PROCESS_HOUR), ZoneInfo(zone)) + SPREAD * share
    return local.astimezone(UTC)


SKIPPED: Final = "skipped: "
"""How the reason of a draft begins that people left out."""


def to_skip(named: date | None, upcoming: date | None, skipped: Sequence[date]) -> tuple[date, bool]:
    """The process date of the draft that a wish to skip the next one leaves out, and whether it was left out before.

    Who does not name a date means the next draft by the calendar, and no other while that one is skipped: a second click,
    or a colleague's, leaves out nothing more until its day has passed.

    Arguments: `named`: the process date that the wish names. `upcoming`: of the next draft that is not left out (None: none
        is to come). `skipped`: of those that were left out, whose day has not passed or which are `named`; ascending.
    Raises: InvalidInput at /process_date (code `not_the_next_draft`) for another date than that of the next draft;
        WrongState when no draft is to come.
    """
    if named is not None and named in skipped:
        return named, True
    if named is None and skipped and (upcoming is None or skipped[0] <= upcoming):
        return skipped[0], True
    if upcoming is None:
        raise WrongState("No draft is to come that could be skipped.", state="none to come", code="autopay_wrong_state")
    if named not in (None, upcoming):
        message = f"must be {upcoming}, the process date of the next draft, or be left out"
        raise InvalidInput.at("/process_date", message, code="not_the_next_draft")
    return upcoming, False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an enrolment waits for. `due`: the business date allows its next draft. `process_at` (UTC): in live mode,
    when on that day it is prepared; None in sandbox mode, where the business date alone says."""

    status: EnrolmentStatus
    business_date: date
    next_process_date: date | None
    paused_until: date | None
    process_at: datetime | None
    due: bool
    end_reason: str | None

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.status not in OPEN


@dataclass(frozen=True, slots=True)
class PreparedDraft:
    """The draft of a period: None when the enrolment no longer wants one. `amount` in minor units."""

    id: UUID | None
    status: DraftStatus | None = None
    amount: int = 0
    reason: str | None = None


MAX_RETRY_DAYS: Final = 5
RETRY_DAYS: Final = 2
"""Banking days from the return of a draft to its next attempt where nothing else is said: the borrower's letter comes first.
How often the network allows one is in domain/ach_returns.py."""


def check_process_time(at: time, cutoff: time) -> None:
    """Refuse (InvalidInput) a time of day that cannot be meant: a draft must be prepared before the lender's cutoff."""
    if at >= cutoff:
        raise InvalidInput.at("/process_time", f"must be before the day's cutoff at {cutoff:%H:%M}")


def check_retry_days(days: int) -> None:
    """Refuse (InvalidInput) a retry policy that cannot be."""
    if not 0 <= days <= MAX_RETRY_DAYS:
        raise InvalidInput.at("/retry_days", f"must be from 0 (not tried again) to {MAX_RETRY_DAYS} banking days")
