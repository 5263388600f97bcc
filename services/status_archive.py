"""The status of a loan on a day: as archived at that day's close, or as it is known to have been now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.errors import InvalidInput
from domain.history import Known, surviving
from domain.loan import LoanStatus
from domain.replay import Replay, replay
from domain.status_archive import Status, status_of
from infra.db.repositories import status_archive as repository
from infra.db.uow import UnitOfWork
from services.loans import day_of_loan
from services.replaying import LockedLoan, load_loan


class Basis(StrEnum):
    """`archived`: what was known at the close of the day. `restated`: what is known now of that day."""

    ARCHIVED = "archived"
    RESTATED = "restated"


@dataclass(frozen=True, slots=True)
class StatusOn:
    """A status with where it is from. `archived_at` (UTC): when a close of business wrote it; None when it is replayed.

    `differs`: the fields in which the other basis says something else, because of what was recorded after that day.
    """

    loan_id: UUID
    basis: Basis
    archived_at: datetime | None
    status: Status
    differs: tuple[str, ...]


async def status_on(
    uow: UnitOfWork, loan_id: UUID, on: date | None = None, basis: Basis = Basis.ARCHIVED, known_as_of: Known = None
) -> StatusOn:
    """The status of a loan at the close of a date (default: the business date, as it stands).

    A day without a row, being open or from before the first close, is replayed from what was known on that day; so the
    answer is the same as if there were one. `known_as_of` (default: now) is what a restated status is made from.

    Raises NotFound; InvalidInput at /date for a day after the business date or before the loan began, and at /known_as_of
    with the basis `archived`.
    """
    if basis is Basis.ARCHIVED and known_as_of is not None:
        raise InvalidInput.at("/known_as_of", "an archived status says what was known at its close: leave it out")
    loan = await load_loan(uow, loan_id)
    row = None if on is None else await repository.archived(uow, loan_id, on)
    on = await day_of_loan(uow, loan, on)
    activity = (await repository.last_activity(uow, [loan_id], on)).get(loan_id)
    restated = _status(loan, on, known_as_of, activity)
    archived = _status(loan, on, on, activity) if row is None else _of_row(row)
    shown = archived if basis is Basis.ARCHIVED else restated
    differs = _differing(archived, restated)
    archived_at = row["archived_at"] if row is not None and basis is Basis.ARCHIVED else None
    return StatusOn(loan_id, basis, archived_at, shown, differs)


async def archive(uow: UnitOfWork, loans: Sequence[LockedLoan], replays: Mapping[UUID, Replay], on: date) -> int:
    """Write the rows of a day for locked loans, each once; returns how many were new.

    `replays`: those of `loans` that were just brought to `on`. The others were there before. One that is further already
    (a close that is behind) is archived as it was known on that day; one that had not begun by then is left out.
    """
    activity = await repository.last_activity(uow, [loan.id for loan in loans], on)
    statuses: dict[UUID, Status] = {}
    for loan in loans:
        known = on if loan.processed_through is not None and loan.processed_through > on else None
        result = replays.get(loan.id) or loan.replay(on, known)
        if result.state.opened_on is not None:
            statuses[loan.id] = status_of(loan.terms, result, activity.get(loan.id))
    return await repository.add(uow, statuses)


async def restated_days(
    uow: UnitOfWork, loan: LockedLoan, events_through: int, since: date, through: date, limit: int
) -> tuple[dict[date, tuple[str, ...]], date | None]:
    """Compare the next `limit` archived days of a loan, from `since` to `through`, with what its history says of them.

    `events_through`: the number of the last event of the history to go by; later ones change nothing, so that the same
    question always has the same answer. Returns the fields that differ by day, of days where some do, and the last day
    that was compared: None when there was none left.
    """
    events = surviving([record for record in loan.records if record.number <= events_through])
    differs: dict[date, tuple[str, ...]] = {}
    rows = await repository.archived_days(uow, loan.id, since, through, limit)
    for row in rows:
        on = row["as_of"]
        activity = (await repository.last_activity(uow, [loan.id], on)).get(loan.id)
        names = _differing(_of_row(row), status_of(loan.terms, replay(loan.terms, events, on), activity))
        if names:
            differs[on] = names
    return differs, rows[-1]["as_of"] if rows else None


def _of_row(row: RowMapping) -> Status:
    return Status(**{name: row[name] for name in repository.FIGURES} | {"status": LoanStatus(row["status"])})


def _differing(archived: Status, restated: Status) -> tuple[str, ...]:
    return tuple(f.name for f in fields(Status) if getattr(archived, f.name) != getattr(restated, f.name))


def _status(loan: LockedLoan, on: date, known: Known, activity: date | None) -> Status:
    return status_of(loan.terms, loan.replay(on, known), activity)
