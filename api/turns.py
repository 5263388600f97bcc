"""Requests that write to one loan take turns here, before they take a connection.

They would wait for each other at the loan's row all the same, but there each holds a connection: a loan that many pay at
once would leave none for anybody else, and those still waiting for one would be given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

Subject = tuple[UUID, str]
"""A tenant, and the loan as the path names it."""


class Turns:
    """One per process; between processes the loan's row decides."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Subject, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, subject: Subject | None) -> AsyncIterator[None]:
        """Inside, nobody else of this process writes to the same loan; in the order of asking. None: no loan, no turn."""
        if subject is None:
            yield
            return
        lock = self._locks.setdefault(subject, asyncio.Lock())  # lives as long as somebody holds it or waits
        async with lock:
            yield
