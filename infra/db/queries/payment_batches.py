"""Reads of files of payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.queries.paging import newest_first


def batch(batch_id: UUID) -> Select[Any]:
    """One batch."""
    return select(payment_batches).where(payment_batches.c.id == batch_id)


def batch_list(after: UUID | None, limit: int) -> Select[Any]:
    """Batches, the newest first."""
    return newest_first(select(payment_batches), payment_batches.c.id, after, limit)


def sums(batch_id: UUID) -> Select[Any]:
    """The rows of a batch and their amounts, by outcome and code."""
    table = payment_batch_rows
    by = (table.c.outcome, table.c.code)
    total = func.coalesce(func.sum(table.c.amount), 0, type_=table.c.amount.type)
    return select(*by, func.count().label("rows"), total.label("total")).where(table.c.batch_id == batch_id).group_by(*by)


def rows(batch_id: UUID, outcome: str | None, after: UUID | None, limit: int) -> Select[Any]:
    """`limit` + 1 rows of a batch in the order of the file, after the row `after`."""
    table = payment_batch_rows
    statement = select(table).where(table.c.batch_id == batch_id)
    if outcome is not None:
        statement = statement.where(table.c.outcome == outcome)
    if after is not None:
        line = select(table.c.line).where(table.c.id == after, table.c.batch_id == batch_id).scalar_subquery()
        statement = statement.where(table.c.line > line)
    return statement.order_by(table.c.line).limit(limit + 1)


def rejected(batch_id: UUID) -> Select[Any]:
    """The rejected rows of a batch, in the order of the file."""
    table = payment_batch_rows
    wanted = select(table.c.line, table.c.cells, table.c.reason)
    return wanted.where(table.c.batch_id == batch_id, table.c.outcome == "rejected").order_by(table.c.line)
