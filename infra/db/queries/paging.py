"""Keyset paging: a page starts after an id, never at an offset."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select


def newest_first(statement: Select[Any], column: ColumnElement[UUID], after: UUID | None, limit: int) -> Select[Any]:
    """`limit` + 1 rows, newest first (ids are UUIDv7), that come after the row `after`; the extra one tells that there
    is a next page."""
    if after is not None:
        statement = statement.where(column < after)
    return statement.order_by(column.desc()).limit(limit + 1)
