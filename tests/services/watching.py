"""What is sent to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from infra.db import pipeline


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, but for BEGIN, COMMIT and ROLLBACK."""
    seen: list[str] = []
    execute, exchange = psycopg.AsyncCursor.execute, pipeline.exchange

    async def see(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(str(query))
        return await execute(cursor, query, *arguments, **options)

    async def see_all(driver: Any, statements: Any, **options: Any) -> Any:
        seen.extend(sql for sql, _ in statements)
        return await exchange(driver, statements, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.AsyncCursor, "execute", see)
        patched.setattr(pipeline, "exchange", see_all)
        yield seen
