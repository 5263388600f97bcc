"""Questions that are asked once for all who ask them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shared(Generic[K, V]):
    """Answers by key. Whoever asks gets an answer that began to be looked up after they asked, never an older one: so many
    who ask while one answer is under way share the next one."""

    def __init__(self, look_up: Callable[[K], Awaitable[V]]) -> None:
        self._look_up = look_up
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def of(self, key: K) -> V:
        """The answer to `key`; raises what looking it up raises. Whoever stops waiting does not stop the others."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._answer(key, self._under_way.get(key)))
        return await asyncio.shield(task)

    async def _answer(self, key: K, before: asyncio.Task[V] | None) -> V:
        try:
            if before is not None:
                await asyncio.wait([before])
        finally:
            mine = self._next.pop(key)  # who asks from now on is answered by the next
        self._under_way[key] = mine
        try:
            return await self._look_up(key)
        finally:
            del self._under_way[key]
