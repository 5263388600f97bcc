"""Reads of corrections of loans' histories."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from infra.db.models.archive import loan_corrections, status_restatements


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
