"""What the person at the terminal sees while something takes longer than two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

QUIET_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0


class Progress:
    """Says what is being done: a spinner with the elapsed time on a terminal, plain lines in a log."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.console.print(f"Warning: {text}", style="yellow", markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Shows `text` while the block runs; nothing at all when the block takes less than two seconds."""
        started = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(text, started, done), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()

    def _tick(self, text: str, started: float, done: threading.Event) -> None:
        if done.wait(QUIET_SECONDS):
            return
        if self.console.is_terminal:
            with self.console.status(text) as status:
                while not done.wait(1.0):
                    status.update(f"{text} ({time.monotonic() - started:.0f} s)")
            return
        self.say(f"{text} ...")
        while not done.wait(HEARTBEAT_SECONDS):
            self.say(f"{text} ... {time.monotonic() - started:.0f} s")
