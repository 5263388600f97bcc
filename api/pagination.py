"""Cursor pagination over UUIDv7 keys: `?limit=&cursor=`, answered by `items` and `next_cursor`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy.engine import RowMapping

from api.schemas.base import Schema
from domain.errors import InvalidInput

T = TypeVar("T")

MAX_LIMIT, DEFAULT_LIMIT = 200, 50


class Page(Schema, Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for: at most `limit` rows after the row with the id `after` (None: from the start)."""

    limit: int
    after: UUID | None


def encode_cursor(last: UUID) -> str:
    """The cursor that continues after a row."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> UUID:
    """The id a cursor continues after. Raises InvalidInput for anything we did not hand out."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise InvalidInput.at("/cursor", "must be a next_cursor of an earlier page", code="invalid_cursor") from None


def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="rows a page")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")] = None,
) -> PageRequest:
    return PageRequest(limit, decode_cursor(cursor) if cursor else None)


Paging = Annotated[PageRequest, Depends(_paging)]
"""A route's paging parameters."""


def make_page(
    rows: Sequence[RowMapping], paging: PageRequest, build: Callable[[RowMapping], T], *, key: str = "id"
) -> Page[T]:
    """A page from at most `limit` + 1 rows (infra.db.queries.paging.newest_first); `key` names the id they are sorted by."""
    shown = rows[: paging.limit]
    more = len(rows) > paging.limit
    return Page(items=[build(row) for row in shown], next_cursor=encode_cursor(shown[-1][key]) if more else None)
