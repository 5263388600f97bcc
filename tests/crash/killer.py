"""Kills processes of a platform, and starts again what is dead, as a supervisor would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import psycopg

from standalone.processes import StackError
from standalone.stack import Stack
from tests.crash.watch import Watch

IN_ORDER: Final = ("postgres", "temporal", "api", "worker")
"""What needs the others is started after them."""
BACKEND: Final = "one connection of postgres"
VICTIMS: Final = (
    ("worker",),
    ("api",),
    ("postgres",),
    ("temporal",),
    (BACKEND,),
    ("temporal", "worker"),
    ("postgres", "api"),
    IN_ORDER,
)
"""What is killed together."""
_START_SECONDS: Final = 60.0
_POINT_SECONDS: Final = 90.0


class WatchedStack(Stack):
    """The whole platform, its API and its worker with a watch on them."""

    api_application: ClassVar[str] = "tests.crash.watched_api:create_app"
    worker_program: ClassVar[Sequence[str]] = ("-m", "tests.crash.watched_worker")

    @property
    def watch(self) -> Watch:
        """Where its processes write what they do."""
        directory = self.home / "watch"
        directory.mkdir(parents=True, exist_ok=True)
        return Watch(directory)


@dataclass(slots=True)
class Killer:
    """Kills and restarts. `killed`: what, how often; `last`: the instant (monotonic) of the last restart."""

    stack: WatchedStack
    killed: Counter[str] = field(default_factory=Counter)
    last: float = 0.0

    async def kill(self, victims: Sequence[str]) -> None:
        """kill -9 of all of them at once, then start them again."""
        for name in victims:
            self.killed[name] += 1
            if name == BACKEND:
                self._kill_backend()
            else:
                await asyncio.to_thread(self.stack.kill, name)
        await self.restart([name for name in IN_ORDER if name in victims])

    async def until_dead_at(self, point: str) -> None:
        """Wait until a process has died at a point that is armed, and start it again.

        Raises AssertionError when nobody comes there.
        """
        deadline = time.monotonic() + _POINT_SECONDS
        while not (dead := self.stack.ended()):
            assert time.monotonic() < deadline, f"nobody came to {point!r}"
            await asyncio.sleep(0.02)
        assert not self.stack.watch.armed(point), f"{dead} ended by itself: {self._last_words(dead)}"
        self.killed[point] += 1
        for name in dead:
            await asyncio.to_thread(self.stack.kill, name)  # it is dead; what it had started is not
        await self.restart(dead)

    async def restart(self, names: Sequence[str]) -> None:
        """Start components again. Only PostgreSQL is waited for: the others find what they need when it is there."""
        for name in names:
            if name == "postgres":
                await self._start_postgres()
            else:
                await asyncio.to_thread(self.stack.start_component, name, wait=False)
        self.last = time.monotonic()

    async def _start_postgres(self) -> None:
        """It refuses to start while a process of the one that was killed still ends."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return await asyncio.to_thread(self.stack.start_component, "postgres")
            except StackError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.to_thread(self.stack.kill, "postgres")
                await asyncio.sleep(0.1)

    def _kill_backend(self) -> None:
        """One server process that serves the application: PostgreSQL then ends all of them, and recovers."""
        url = self.stack.settings.database_owner_url.get_secret_value().replace("+psycopg", "")
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert found is not None
            os.kill(found[0], signal.SIGKILL)
            connection.execute("SELECT 1")

    def _last_words(self, names: Sequence[str]) -> str:
        logs = self.stack.home / "logs"
        files = [path for name in names for path in [logs / f"{name}.log"] if path.exists()]
        return "\n".join(_tail(path) for path in files)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
