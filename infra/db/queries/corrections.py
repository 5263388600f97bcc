"""Reads of corrections of loans' histories."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from infra.db.models.archive import loan_corrections, status_restatements
from infra.db.queries.paging import newest_first


def correction(correction_id: UUID) -> Select[Any]:
    """One correction."""
    return select(loan_corrections).where(loan_corrections.c.id == correction_id)


def restated(correction_id: UUID) -> Select[Any, Any, Any]:
    """How many archived days a correction restates, the first and the last of them."""
    column = status_restatements.c
    days = (func.count().label("days"), func.min(column.as_of).label("first"), func.max(column.as_of).label("last"))
    return select(*days).where(column.correction_id == correction_id)


def restated_figures(correction_id: UUID) -> Select[Any]:
    """The names of the figures that are others on one of those days, in alphabetical order."""
    column = status_restatements.c
    name = func.jsonb_array_elements_text(column.differs).label("name")
    return select(name).where(column.correction_id == correction_id).distinct().order_by("name")


def corrections_of_loan(loan_id: UUID, after: UUID | None, limit: int) -> Select[Any]:
    """A loan's corrections, the newest first, each with how many archived days it restates, the first and the last."""
    table, day = loan_corrections, status_restatements.c
    of_it = (day.tenant_id == table.c.tenant_id, day.correction_id == table.c.id)
    days = [
        select(what).where(*of_it).scalar_subquery().label(name)
        for what, name in ((func.count(), "days"), (func.min(day.as_of), "first"), (func.max(day.as_of), "last"))
    ]
    return newest_first(select(table, *days).where(table.c.loan_id == loan_id), table.c.id, after, limit)
