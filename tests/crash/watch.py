"""A watch on a process that does real work: it writes down each call, and ends the process where a test says so.

What it writes goes to one file, a line of JSON an entry, in one write each, so that a kill -9 loses none. A point to die at
is a file in `points`, named after it: whoever comes there takes the file away and is gone, so that it happens once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from infra.db.uow import UnitOfWork
from infra.rails import Batch
from infra.rails.nacha import NachaRail
from infra.rails.sandbox import SandboxRail
from services.intents import Delivery

ACKNOWLEDGED: Final = "drafts acknowledged by the sandbox's bank"
STORED: Final = "drafts stored as a file for the bank"
DELIVERED: Final = "intent delivered"
DELIVERY: Final = "delivery of an intent"
DIED: Final = 137


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log: in which process, in which call (of what, with which key), what happened."""

    process: int
    what: str
    key: str
    event: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Where a test and the processes that it watches meet."""

    directory: Path

    def entries(self) -> list[Entry]:
        """The log so far."""
        if not self._log.exists():
            return []
        return [Entry(**json.loads(line)) for line in self._log.read_text().splitlines()]

    def arm(self, point: str) -> None:
        """The next that comes to this point dies there."""
        self._points.mkdir(parents=True, exist_ok=True)
        self._file(point).touch()

    def armed(self, point: str) -> bool:
        """Whether nobody has come to the point yet."""
        return self._file(point).exists()

    def write(self, what: str, key: str, event: str) -> None:
        """Append to the log."""
        line = json.dumps(asdict(Entry(os.getpid(), what, key, event))) + "\n"
        file = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def come_to(self, point: str) -> None:
        """Die here, if a test has said so."""
        try:
            self._file(point).unlink()
        except FileNotFoundError:
            return
        self.write(point, "", "died")
        os._exit(DIED)

    @property
    def _log(self) -> Path:
        return self.directory / "calls.jsonl"

    @property
    def _points(self) -> Path:
        return self.directory / "points"

    def _file(self, point: str) -> Path:
        return self._points / re.sub(r"[^a-z0-9]+", "-", point.lower())


def before_commit(what: str) -> str:
    """The point at which all is done but the commit."""
    return f"before the commit of {what}"


def after_commit(what: str) -> str:
    """The point at which it is committed, and nobody knows yet."""
    return f"after the commit of {what}"


_CALL: ContextVar[tuple[str, str] | None] = ContextVar("call", default=None)


@contextmanager
def call(watch: Watch, what: str, key: str) -> Iterator[None]:
    """Everything inside is one call of `what`; who calls again calls with the same key."""
    token = _CALL.set((what, key))
    watch.write(what, key, "begin")
    try:
        yield
    finally:
        _CALL.reset(token)


def install(watch: Watch) -> None:
    """Watch this process: its commits, what the rail acknowledges, the intents it delivers."""
    commit, deliver = UnitOfWork.commit, Delivery._one

    async def watched_commit(self: UnitOfWork) -> None:
        current = _CALL.get()
        if current is not None:
            watch.come_to(before_commit(current[0]))
        await commit(self)
        if current is not None:
            watch.write(*current, "commit")
            watch.come_to(after_commit(current[0]))

    async def watched_delivery(self: Delivery, row: Any) -> Any:
        watch.write(DELIVERY, str(row["id"]), "begin")
        outcome = await deliver(self, row)
        if outcome.status == "delivered":
            watch.come_to(DELIVERED)
        return outcome

    UnitOfWork.commit = watched_commit  # type: ignore[method-assign]
    Delivery._one = watched_delivery  # type: ignore[method-assign]
    SandboxRail.hand_over = _acknowledging(watch, SandboxRail.hand_over, ACKNOWLEDGED)  # type: ignore[method-assign]
    NachaRail.hand_over = _acknowledging(watch, NachaRail.hand_over, STORED)  # type: ignore[method-assign]


def _acknowledging(watch: Watch, hand_over: Callable[..., Awaitable[Any]], point: str) -> Callable[..., Awaitable[Any]]:
    """What a rail's `hand_over` returns is its acknowledgement; then comes the point."""

    async def watched(rail: Any, batch: Batch) -> Any:
        acknowledgement = await hand_over(rail, batch)
        watch.come_to(point)
        return acknowledgement

    return watched


def watch_of_home() -> Watch:
    """The watch of the platform this process belongs to."""
    directory = Path(os.environ["PERDIEM_HOME"]) / "watch"
    directory.mkdir(exist_ok=True)
    return Watch(directory)
