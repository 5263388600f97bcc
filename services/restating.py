"""Archived days that a correction of a loan's history restates: foreseen by previews, recorded by a process.

Whoever corrects a history writes a row of `loan_corrections` in the same transaction; page by page, each a transaction that
writes its checkpoint with what it found, its archived days are then compared with the history as it stood with the
correction's own events. So it does not matter when that is done, how often it is interrupted, or what is recorded meanwhile.

While days are compared no lock is held; what was found is recorded under the locks of the loan, then of the correction.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.day_by_day import day_by_day
from domain.events import Event
from domain.history import surviving
from domain.restatement import (
    CorrectionKind,
    RestatedDay,
    Restatement,
    days_to_compare,
    differing,
    restatement,
)
from domain.status_archive import Status, status_of
from domain.terms import LoanTerms
from infra.db.models.archive import loan_corrections
from infra.db.repositories import status_archive as repository
from infra.db.repositories.loans import hold_loan
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.replaying import Amendment, LockedLoan, amended, load_loan, today
from services.status_archive import status_from

WORKFLOW_TYPE: Final = "RestatementWorkflow"
DAYS_PER_PAGE: Final = 60
"""Archived days that are compared in one transaction."""


def workflow_id(correction_id: UUID) -> str:
    """The id of the workflow that restates the days of a correction which no other process follows up."""
    return f"restatement/{correction_id}"


async def begin(
    uow: UnitOfWork,
    loan: LockedLoan,
    kind: CorrectionKind,
    amendments: Sequence[Amendment],
    *,
    payment_id: UUID | None = None,
    followed_up_as: UUID | None = None,
) -> UUID:
    """Note that a locked loan's history was corrected by `amendments`, which it has by now. Returns the correction's id.

    `followed_up_as`: the id it gets, where another process has `restate_page` among its steps; else one of its own starts
    after commit.
    """
    correction_id = followed_up_as or new_id()
    await uow.add(
        loan_corrections,
        id=correction_id,
        loan_id=loan.id,
        payment_id=payment_id,
        kind=str(kind),
        since=_since(amendments),
        applied_on=await today(uow, loan),
        events_through=loan.last_number,
        requested_by=uow.actor.id,
        created_at=uow.recorded_at,
    )
    if followed_up_as is None:
        await _start(uow, correction_id, loan.id)
    return correction_id


async def foreseen(uow: UnitOfWork, loan: LockedLoan, amendments: Sequence[Amendment]) -> Restatement:
    """What of the archive would be otherwise with `amendments`. Writes nothing."""
    as_of = await today(uow, loan)
    events = surviving([*loan.records, *amended(uow, loan, amendments, as_of)])
    activity = await repository.days_of_activity(uow, loan.id, loan.last_number)
    if uow.actor.id is not None:
        activity = [*activity, as_of]
    days = await repository.days_archived(uow, loan.id, _since(amendments), as_of)
    compared = days_to_compare(days)
    rows = await repository.archived_on(uow, loan.id, compared)
    found = await asyncio.to_thread(lambda: list(_restated(loan.terms, events, rows, activity)))
    return restatement(len(days), len(compared), found)


async def restate_page(uow: UnitOfWork, correction_id: UUID, limit: int = DAYS_PER_PAGE) -> bool:
    """Find, among the next `limit` archived days from the correction's first day on, those that are otherwise with it, and
    record them. Returns whether no day is left; again then does nothing. Raises NotFound."""
    row = await repository.correction(uow, correction_id)
    if row["finished_at"] is not None:
        return True
    loan = await load_loan(uow, row["loan_id"])  # nothing recorded later changes the answer
    done, through, last_event = row["restated_through"], row["applied_on"], row["events_through"]
    since = row["since"] if done is None else done + timedelta(days=1)
    rows = await repository.archived_days(uow, loan.id, since, through, limit)
    events = surviving([record for record in loan.records if record.number <= last_event])
    activity = await repository.days_of_activity(uow, loan.id, last_event)
    differs = {day.as_of: day.differs for day in _restated(loan.terms, events, rows, activity)}
    last = rows[-1]["as_of"] if rows else None
    finished = last is None or last >= through
    await hold_loan(uow, loan.id)  # what is recorded refers to it; before the row, in the order of everybody's locks
    now = await repository.correction(uow, correction_id, lock=True)
    if (now["restated_through"], now["finished_at"]) != (done, None):
        return False  # another worker has recorded this page meanwhile
    await repository.add_restatements(uow, correction_id, loan.id, differs)
    await repository.set_restated(uow, correction_id, last or done, finished=finished)
    return finished


def _restated(
    terms: LoanTerms, events: Sequence[Event], rows: Sequence[RowMapping], activity: Sequence[date]
) -> Iterator[RestatedDay]:
    """The archived rows, in the order of their days, that say something else than the events do. `activity`: business
    dates, in their order, on which a person recorded something."""
    archived: Mapping[date, Status] = {row["as_of"]: status_from(row) for row in rows}
    for found in day_by_day(terms, events, archived):
        on = found.state.as_of
        before = bisect_right(activity, on)
        now = status_of(terms, found, activity[before - 1] if before else None)
        differs = differing(archived[on], now)
        if differs:
            yield RestatedDay(archived[on], now, differs)


def _since(amendments: Sequence[Amendment]) -> date:
    """The first day that can be otherwise: replaying is causal."""
    superseded = [item.supersedes.effective_date for item in amendments if item.supersedes is not None]
    return min([*superseded, *(item.effective_date for item in amendments)])


async def _start(uow: UnitOfWork, correction_id: UUID, loan_id: UUID) -> None:
    await uow.intend(
        "start",
        WORKFLOW_TYPE,
        workflow_id(correction_id),
        {"tenant_id": str(uow.tenant_id), "correction_id": str(correction_id)},
        search_attributes={
            "TenantId": str(uow.tenant_id),
            "LoanId": str(loan_id),
            "WorkflowKind": "restatement",
            "BusinessDate": (await uow.business_date()).isoformat(),
            "Stage": "restating",
        },
    )
