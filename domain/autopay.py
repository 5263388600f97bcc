"""Autopay: which states an enrolment may take, when it drafts, and how much.

A draft belongs to a due date. It goes out on that date or, where that is no banking day, on the next one (never
earlier), and counts as paid on the due date, so that a holiday of ours is never a late payment of the borrower's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.calendars import next_banking_day
from domain.errors import InvalidInput, WrongState
from domain.loan import LoanState

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
"""A loan has at most one enrolment in one of these, by constraint."""


class EnrolmentAction(StrEnum):
    """What people (pause, resume, cancel), the process (complete), or a bank's answer (suspend, and reinstate once the
    account is corrected) do to an enrolment."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


class AmountType(StrEnum):
    """`next_due`: what brings the loan current through the due date. `static`: a fixed amount."""

    NEXT_DUE = "next_due"
    STATIC = "static"


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


def after(status: EnrolmentStatus, action: EnrolmentAction) -> EnrolmentStatus:
    """The status `action` leads to. Raises WrongState, naming the actions this status allows."""
    allowed_from, target = _TRANSITIONS[action]
    if status in allowed_from:
        return target
    allowed = [str(other) for other, (sources, _) in _TRANSITIONS.items() if status in sources]
    allowed = [name for name in allowed if name in _BY_PEOPLE]
    can = f"it can be: {', '.join(allowed)}" if allowed else "nothing further can be done with it"
    raise WrongState(
        f"The autopay is {status}, so {action} is refused; {can}.",
        state=str(status),
        allowed=allowed,
        code="autopay_wrong_state",
    )


def check_terms(amount_type: AmountType, amount: int | None, start: date, end: date | None, business_date: date) -> None:
    """Refuse (InvalidInput, with the field) terms of an enrolment that cannot be meant. `amount` in minor units."""
    if amount_type is AmountType.STATIC and (amount is None or amount <= 0):
        raise InvalidInput.at("/amount", "a static autopay needs an amount above 0.00")
    if amount_type is AmountType.NEXT_DUE and amount is not None:
        raise InvalidInput.at("/amount", "must be left out when the amount follows what is due (next_due)")
    if start < business_date:
        raise InvalidInput.at("/start_date", f"must not be before the business date {business_date}")
    if end is not None and end < start:
        raise InvalidInput.at("/end_date", f"must not be before the start date {start}")


def next_process_date(due_dates: Iterable[date], not_before: date, holidays: frozenset[date]) -> date | None:
    """The first date, not before the given one, on which a draft for one of these due dates goes out."""
    dates = (next_banking_day(due, holidays) for due in sorted(due_dates))
    return next((day for day in dates if day >= not_before), None)


def due_date_of(process_date: date, due_dates: Iterable[date], holidays: frozenset[date]) -> date:
    """The due date a process date stands for: the latest whose draft has gone out by then. A process date without one
    (the schedule has changed since) stands for itself."""
    passed = [due for due in due_dates if due <= process_date and next_banking_day(due, holidays) <= process_date]
    latest = max(passed, default=process_date)
    return latest if next_banking_day(latest, holidays) == process_date else process_date


def process_instant(process_date: date, zone: str, key: UUID) -> datetime:
    """When (UTC) a live tenant's draft goes out: from 06:00 in the tenant's zone, spread over two hours by the hash of
    the enrolment's id, so that it is the same at every replay and through every change of daylight saving."""
    share = int.from_bytes(hashlib.sha256(key.bytes).digest()[:4], "big") / 2**32
    local = datetime.combine(process_date, time(PROCESS_HOUR), ZoneInfo(zone)) + SPREAD * share
    return local.astimezone(UTC)


def owed_through(state: LoanState, due_date: date) -> int:
    """What brings a loan current through `due_date` (not after the state), in minor units: what is unpaid of the
    instalments due until then, and the fees the waterfall takes on the way. 0 when those instalments are paid: fees
    alone are not drafted."""
    unpaid = {row.due_date: row.payment - row.principal_paid - row.interest_paid for row in state.instalments}
    if not any(amount for due, amount in unpaid.items() if due <= due_date):
        return 0
    later = (due for due in unpaid if due > due_date and (due < state.as_of or due == state.next_due_date))
    return state.next_due_amount - sum(unpaid[due] for due in later)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an enrolment waits for. `due`: the business date allows its next draft. `process_at` (UTC): in live mode,
    when on that day it goes out; None in sandbox mode, where the business date alone says."""

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


@dataclass(frozen=True, slots=True)
class Decision:
    """How much to draft, in minor units; 0 with the reason why nothing is."""

    amount: int
    reason: str | None = None


def decide(amount_type: AmountType, static_amount: int | None, *, owed: int, payoff: int, in_transit: int) -> Decision:
    """How much a draft takes. All amounts in minor units.

    `owed`: what brings the loan current through the due date. `payoff`: what pays it off today. `in_transit`: money
    promised and not yet applied to the loan. Never more than the payoff less what is in transit.
    """
    wanted = owed - in_transit if amount_type is AmountType.NEXT_DUE else static_amount or 0
    amount = min(wanted, payoff - in_transit)
    if amount > 0:
        return Decision(amount)
    if in_transit and owed:
        return Decision(0, "what is due is already in transit")
    return Decision(0, "nothing is due")
