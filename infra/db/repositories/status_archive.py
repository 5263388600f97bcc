"""The status archive: rows are added by closes of business and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from operator import attrgetter
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.engine import RowMapping

from domain.status_archive import Status
from infra.db.bulk import insert_new, insert_rows
from infra.db.models.archive import loan_corrections, status_archive, status_restatements
from infra.db.models.servicing import loan_events
from infra.db.uow import UnitOfWork

FIGURES: Final = tuple(field.name for field in fields(Status))
_COLUMNS: Final = ("tenant_id", "loan_id", "archived_at", *FIGURES)
_figures = attrgetter(*FIGURES)


async def add(uow: UnitOfWork, statuses: Mapping[UUID, Status]) -> int:
    """Add the rows of loans that have none of that day yet, in one COPY; returns how many were added."""
    if not statuses:
        return 0
    rows = ((uow.tenant_id, loan_id, uow.recorded_at, *_figures(status)) for loan_id, status in statuses.items())
    return len(await insert_new(uow, status_archive, _COLUMNS, rows, returning="loan_id"))


async def archived(uow: UnitOfWork, loan_id: UUID, as_of: date) -> RowMapping | None:
    """The row of a loan and day, or None."""
    statement = select(status_archive).where(status_archive.c.loan_id == loan_id, status_archive.c.as_of == as_of)
    return await uow.one_or_none(statement)


async def archived_days(uow: UnitOfWork, loan_id: UUID, since: date, through: date, limit: int) -> Sequence[RowMapping]:
    """The first `limit` rows of a loan from the day `since` to `through`, both included, in the order of the days."""
    column = status_archive.c
    statement = select(status_archive).where(column.loan_id == loan_id, column.as_of.between(since, through))
    return await uow.all(statement.order_by(column.as_of).limit(limit))


async def archived_on(uow: UnitOfWork, loan_id: UUID, days: Sequence[date]) -> Sequence[RowMapping]:
    """The rows of a loan and some days, in the order of the days."""
    column = status_archive.c
    statement = select(status_archive).where(column.loan_id == loan_id, column.as_of.in_(days))
    return await uow.all(statement.order_by(column.as_of))


async def days_archived(uow: UnitOfWork, loan_id: UUID, since: date, through: date) -> list[date]:
    """The days of a loan from `since` to `through` that have a row, in their order."""
    column = status_archive.c
    statement = select(column.as_of).where(column.loan_id == loan_id, column.as_of.between(since, through))
    return [row["as_of"] for row in await uow.all(statement.order_by(column.as_of))]


async def correction(uow: UnitOfWork, correction_id: UUID, *, lock: bool = False) -> RowMapping:
    """One correction of a loan's history. Raises NotFound."""
    found = select(loan_corrections).where(loan_corrections.c.id == correction_id)
    return await uow.one(found.with_for_update() if lock else found, "correction")


async def set_restated(uow: UnitOfWork, correction_id: UUID, through: date | None, *, finished: bool) -> None:
    """Its archived days were compared through a day (None: there were none); `finished`: that was the last."""
    table = loan_corrections
    at = uow.recorded_at if finished else None
    await uow.execute(update(table).where(table.c.id == correction_id).values(restated_through=through, finished_at=at))


async def add_restatements(
    uow: UnitOfWork, correction_id: UUID, loan_id: UUID, differs: Mapping[date, Sequence[str]]
) -> None:
    """Record the archived days which a correction restates, with the figures (their names) that are others then."""
    owner = {
        "tenant_id": uow.tenant_id,
        "correction_id": correction_id,
        "loan_id": loan_id,
        "restated_at": uow.recorded_at,
    }
    rows = [{**owner, "as_of": on, "differs": list(names)} for on, names in differs.items()]
    await insert_rows(uow, status_restatements, rows)


async def last_activity(uow: UnitOfWork, loan_ids: Sequence[UUID], on: date) -> dict[UUID, date]:
    """By loan, the last business date up to `on` on which a person recorded something for it."""
    column = loan_events.c
    statement = (
        select(column.loan_id, func.max(column.recorded_business_date).label("last"))
        .where(column.loan_id.in_(loan_ids), column.recorded_by.is_not(None), column.recorded_business_date <= on)
        .group_by(column.loan_id)
    )
    return {row["loan_id"]: row["last"] for row in await uow.all(statement)}


async def days_of_activity(uow: UnitOfWork, loan_id: UUID, events_through: int) -> list[date]:
    """The business dates, in their order, on which a person recorded something for a loan, up to the event of a number."""
    column = loan_events.c
    people = (column.recorded_by.is_not(None), column.sequence <= events_through)
    found = select(column.recorded_business_date.label("day")).where(column.loan_id == loan_id, *people).distinct()
    return [row["day"] for row in await uow.all(found.order_by("day"))]
