"""Reads of reversals of payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from infra.db.models.archive import status_restatements
from infra.db.models.processes import payment_reversals


def latest_of(payment_id: UUID) -> Select[Any]:
    """The newest reversal of a payment: the open one where there is one."""
    table = payment_reversals
    return select(table).where(table.c.payment_id == payment_id).order_by(table.c.id.desc()).limit(1)


def restated(reversal_id: UUID) -> Select[Any, Any, Any]:
    """How many archived days a reversal restates, the first and the last of them."""
    column = status_restatements.c
    days = (func.count().label("days"), func.min(column.as_of).label("first"), func.max(column.as_of).label("last"))
    return select(*days).where(column.reversal_id == reversal_id)


def restated_figures(reversal_id: UUID) -> Select[Any]:
    """The names of the figures that are others on one of those days, in alphabetical order."""
    column = status_restatements.c
    name = func.jsonb_array_elements_text(column.differs).label("name")
    return select(name).where(column.reversal_id == reversal_id).distinct().order_by("name")
