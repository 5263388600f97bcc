"""The status of a loan on a day: as archived at that day's close, or as it is known to have been now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.errors import InvalidInput
from domain.history import Known
from domain.loan import LoanStatus
from domain.replay import Replay
from domain.restatement import differing
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
    archived = _status(loan, on, on, activity) if row is None else status_from(row)
    shown = archived if basis is Basis.ARCHIVED else restated
    differs = differing(archived, restated)
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


def status_from(row: RowMapping) -> Status:
    """The figures of an archived row."""
    return Status(**{name: row[name] for name in repository.FIGURES} | {"status": LoanStatus(row["status"])})


def _status(loan: LockedLoan, on: date, known: Known, activity: date | None) -> Status:
    return status_of(loan.terms, loan.replay(on, known), activity)
