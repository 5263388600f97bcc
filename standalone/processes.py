"""Child processes: started in a group of their own, stopped together, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = Path(__file__).with_name("launch.py")
_LOG_LIMIT = 10 * 1024 * 1024
_KILL_SECONDS = 5.0

# The kernel's death signal follows the THREAD that started the child. A caller's thread may end long before the
# process does, so every child is started by this one, which lives as long as the interpreter.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class StackError(Exception):
    """A local platform cannot start or go on. The message is one sentence: what happened, and how to mend it."""


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The unprivileged account a program runs as when we are root."""

    uid: int
    gid: int


@dataclass(slots=True)
class Child:
    """A running program and how to end it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals
    stop_seconds: float

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    def stop(self, *, patience: float | None = None) -> None:
        """Asks the program to end, waits, then kills what is left of its group. Harmless when it is gone."""
        if self.exit_code is None:
            self.send(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.stop_seconds if patience is None else patience)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the program and of its group; returns when the program is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(_KILL_SECONDS)

    def death_sentence(self) -> str:
        """One sentence about a program that ended by itself."""
        code = self.exit_code
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
        lines = last_lines(self.log)
        said = f' saying "{lines[-1]}"' if lines else ""
        return f"{self.name} {how}{said}; see {self.log}, mend that, and start again."

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the program's group; harmless when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS forbids signals to zombies
            os.killpg(self.pid, number)


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: SystemUser | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    stop_signal: signal.Signals = signal.SIGTERM,
    stop_seconds: float = 10.0,
) -> Child:
    """Starts `command` (an absolute path and its arguments), its output appended to `log`.

    The program gets `death_signal` when this process dies, however it dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".old.log"))
    identity = [str(user.uid), str(user.gid)] if user else ["-1", "-1"]
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(death_signal)), *identity]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*launcher, *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ if environment is None else environment),
                cwd=directory,
                start_new_session=True,
            )

    return Child(name, _spawner.submit(start).result(), log, stop_signal, stop_seconds)


def run(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: SystemUser | None = None,
    timeout: float = 900.0,
) -> int:
    """Runs a program to its end and returns its exit code; the program is killed when we are interrupted."""
    child = spawn(name, command, log=log, environment=environment, directory=directory, user=user)
    try:
        return child.process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise StackError(f"{name} did not end within {timeout:.0f} s; see {log}, and try again.") from None
    finally:
        child.kill()


def wait_ready(child: Child, ready: Callable[[], bool], *, timeout: float, pause: float = 0.05) -> None:
    """Returns once `ready()` is true.

    Raises: StackError when the program ends first, or is not ready after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if child.exit_code is not None:
            raise StackError(child.death_sentence())
        if time.monotonic() > deadline:
            raise StackError(
                f"{child.name} is not ready after {timeout:.0f} s; see {child.log}, mend what it says, and start again."
            )
        time.sleep(pause)


def last_lines(log: Path, count: int = 1) -> list[str]:
    """The last non-empty lines of a log, oldest first."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
