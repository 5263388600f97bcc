"""A PERDIEM_HOME of its own for a test, and the `perdiem` command run on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.settings import ENV_PREFIX
from standalone import runtime
from standalone.binaries import locate_temporal
from standalone.ports import WELL_KNOWN, Ports

START_SECONDS = 60.0
RUNNING = "Ctrl-C stops it"
SERVERS_ONLY = ("--no-api", "--no-worker")


@dataclass(slots=True)
class Home:
    """One PERDIEM_HOME and the commands run on it."""

    path: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **settings: str) -> dict[str, str]:
        """What a command on this home sees; `settings` by their names in infra/settings.py."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        environment |= {"PERDIEM_HOME": str(self.path), "COLUMNS": "300"}
        return environment | {ENV_PREFIX + name.upper(): value for name, value in settings.items()}

    def perdiem(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts a command; `said` reads its output."""
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment(**settings),
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def up(self, *options: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts the servers and returns once the platform runs."""
        process = self.perdiem("up", *(options or SERVERS_ONLY), **settings)
        wait_until(lambda: process.poll() is not None or RUNNING in self.said(), START_SECONDS)
        assert process.poll() is None, self.said()
        return process

    def refused(self, *arguments: str, **settings: str) -> str:
        """Runs a command that must fail, and returns its one sentence."""
        process = self.perdiem(*arguments, **settings)
        code = process.wait(START_SECONDS)
        assert code == 1, f"exit code {code}: {self.said()}"
        return the_sentence(self.said())

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a short command beside the platform, `typed` on its standard input."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=typed,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=START_SECONDS,
            check=False,
        )

    @property
    def output(self) -> Path:
        return self.path.with_name(f"{self.path.name}.output-{len(self.started)}")

    def said(self) -> str:
        return self.path.with_name(f"{self.path.name}.output-{len(self.started) - 1}").read_text()

    def processes(self) -> dict[int, str]:
        """Every living process that belongs to this home: it is in its command line, directory or environment."""
        found = {}
        needle = str(self.path).encode()
        for directory in Path("/proc").iterdir():
            if not directory.name.isdigit() or int(directory.name) == os.getpid():
                continue
            try:
                command = (directory / "cmdline").read_bytes()
                seen = command + (directory / "environ").read_bytes() + os.fsencode(os.readlink(directory / "cwd"))
            except OSError:
                continue
            if command and needle in seen:
                found[int(directory.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def assert_no_process_left(self, within: float = 10.0) -> None:
        wait_until(lambda: not self.processes(), within)
        assert self.processes() == {}


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def the_sentence(output: str) -> str:
    """The one line that starts with Error, and never a traceback."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, output
    return lines[0]


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> int:
    process.send_signal(number)
    return process.wait(30)


def url(home: Home, role: str = "database_owner_url") -> str:
    running = runtime.read(home.path)
    assert running is not None
    return running.environment[f"PERDIEM_{role.upper()}"].replace("+psycopg", "", 1)


def temporal(home: Home, *arguments: str) -> str:
    running, program = runtime.read(home.path), locate_temporal()
    assert running is not None
    assert program is not None
    command = [str(program.path), *arguments, "--address", running.environment["PERDIEM_TEMPORAL_ADDRESS"]]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """Not pytest's own: each pytest that starts closes /tmp/pytest-of-root to other users, and PostgreSQL, which does not
    run as root, is one."""
    with tempfile.TemporaryDirectory(prefix="perdiem-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@contextlib.contextmanager
def temporary_home() -> Iterator[Home]:
    """A home that is not there yet but for its ports: unusual ones, or two tests would race for the well-known."""
    with temporary_directory() as directory:
        home = Home(directory / "home")
        home.path.mkdir()
        ports = Ports(home.path)
        for name in WELL_KNOWN:
            ports.choose(name)
        yield home
        for process in home.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for pid in home.processes():  # only after a failed test
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
