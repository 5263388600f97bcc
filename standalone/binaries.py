"""The programs that are not Python packages: found, or built once and kept under $XDG_CACHE_HOME/perdiem.

`python -m standalone.binaries` makes all of them ready (what `make test` does first).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from standalone.processes import StackError, last_lines, run
from standalone.progress import Progress

TEMPORAL_VERSION = "1.5.1"  # the newest that `go install` can build (later ones use replace directives)
VERSITYGW_VERSION = "1.8.0"
TEST_SERVER_VERSION = "1.38.0"

_SDK_DOWNLOAD = """
import asyncio, os, sys
from temporalio.testing import WorkflowEnvironment

async def main():
    options = dict(argument.split("=", 1) for argument in sys.argv[2:])
    environment = await getattr(WorkflowEnvironment, sys.argv[1])(**options)
    await environment.shutdown()

asyncio.run(main())
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A program and where it came from ("on PATH", "cached", "built", "downloaded")."""

    path: Path
    source: str


def cache_dir() -> Path:
    """$XDG_CACHE_HOME/perdiem, by default ~/.cache/perdiem."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "perdiem"


def locate_temporal() -> Found | None:
    """The Temporal command line with its dev server, without building anything."""
    on_path = shutil.which("temporal")
    if on_path:
        return Found(Path(on_path), "on PATH")
    return cached(f"temporal-{TEMPORAL_VERSION}")


def locate_versitygw() -> Found | None:
    """The S3 gateway, without building anything."""
    on_path = shutil.which("versitygw")
    if on_path:
        return Found(Path(on_path), "on PATH")
    return cached(f"versitygw-{VERSITYGW_VERSION}")


def locate_test_server() -> Found | None:
    """Temporal's time-skipping test server, without building anything."""
    found = cached(f"temporal-test-server-{TEST_SERVER_VERSION}")
    if found and found.path.is_dir():  # the Maven form: jars and a launcher; useless without Java
        return Found(found.path / "temporal-test-server", found.source) if shutil.which("java") else None
    return found


def find_temporal(progress: Progress | None = None) -> Found:
    """The Temporal command line: PATH, cache, the SDK's download, then `go install` (two minutes, once).

    Raises: StackError when it is not here and cannot be fetched.
    """

    def build(scratch: Path) -> Path:
        downloaded = _sdk_download("start_local", scratch, f"dev_server_download_version=v{TEMPORAL_VERSION}")
        if downloaded:
            return downloaded
        package = f"github.com/temporalio/cli/cmd/temporal@v{TEMPORAL_VERSION}"
        return _go_install("temporal", package, scratch, progress or Progress(), "about 2 minutes, once")

    return ensure("temporal", f"temporal-{TEMPORAL_VERSION}", locate_temporal, build, progress)


def find_versitygw(progress: Progress | None = None) -> Found:
    """The S3 gateway: PATH, cache, then `go install` (one minute, once).

    Raises: StackError when it is not here and cannot be built.
    """

    def build(scratch: Path) -> Path:
        package = f"github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW_VERSION}"
        return _go_install("versitygw", package, scratch, progress or Progress(), "about 1 minute, once")

    return ensure("versitygw", f"versitygw-{VERSITYGW_VERSION}", locate_versitygw, build, progress)


def find_test_server(progress: Progress | None = None) -> Path:
    """The program to pass as `WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)`:
    cache, the SDK's download, then Maven's artifact with a launcher (Java needed).

    Raises: StackError when it is not here and cannot be fetched.
    """

    def build(scratch: Path) -> Path:
        downloaded = _sdk_download("start_time_skipping", scratch)
        return downloaded or _maven_test_server(scratch, progress or Progress())

    name = f"temporal-test-server-{TEST_SERVER_VERSION}"
    return ensure("temporal-test-server", name, locate_test_server, build, progress).path


def cached(name: str) -> Found | None:
    """The program kept under that name, without building anything."""
    path = cache_dir() / "bin" / name
    return Found(path, "cached") if path.exists() else None


def ensure(
    name: str,
    cached_name: str,
    locate: Callable[[], Found | None],
    build: Callable[[Path], Path],
    progress: Progress | None,
) -> Found:
    """The program that `locate` finds; if it finds none, what `build` makes in the directory given to it, kept as
    `cached_name` from then on.

    Raises: StackError when it cannot be built.
    """
    found = locate()
    if found:
        return found
    target = cache_dir() / "bin" / cached_name
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_builder(name, progress or Progress()):
        found = locate()  # another start may have built it while we waited
        if found:
            return found
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-", ignore_cleanup_errors=True) as scratch:
            built = build(Path(scratch))
            if target.is_dir():
                shutil.rmtree(target)
            built.rename(target)  # a half-built program is never seen under its name
    found = locate()
    if not found:
        raise StackError(f"{target} was built but cannot be used here: is Java on PATH?")
    return Found(found.path, "built")


@contextmanager
def _one_builder(name: str, progress: Progress) -> Iterator[None]:
    """Two starts at the same time build once: the second waits. The kernel frees the lock of a dead builder."""
    with (cache_dir() / "bin" / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"Another process is building {name}: waiting for it"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sdk_download(method: str, scratch: Path, *options: str) -> Path | None:
    """Lets the Temporal SDK fetch its own program; None when it cannot (no internet). In a process of its own:
    the SDK's core must not be loaded into one that only supervises."""
    command = [sys.executable, "-c", _SDK_DOWNLOAD, method, f"download_dest_dir={scratch}", *options]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return None
    candidates = [path for path in scratch.glob("temporal-*") if path.is_file() and os.access(path, os.X_OK)]
    return candidates[0] if done.returncode == 0 and candidates else None


def _go_install(name: str, package: str, scratch: Path, progress: Progress, how_long: str) -> Path:
    go = shutil.which("go")
    if not go:
        raise StackError(
            f"{name} is neither on PATH nor in {cache_dir() / 'bin'}, and there is no Go to build it: "
            f"install Go 1.24 or newer, or put {name} on PATH."
        )
    log = cache_dir() / "logs" / f"build-{name}.log"
    environment = os.environ | {"GOBIN": str(scratch), "CGO_ENABLED": "0"}
    with progress.step(f"Building {name} with go install ({how_long})"):
        code = run(f"go install {name}", [go, "install", package], log=log, environment=environment, directory=scratch)
    built = scratch / name
    if code != 0 or not built.exists():
        raise StackError(_build_failed(f"go install {package}", log))
    return built


def _maven_test_server(scratch: Path, progress: Progress) -> Path:
    maven, java = shutil.which("mvn"), shutil.which("java")
    if not maven or not java:
        raise StackError(
            "Temporal's time-skipping test server could not be downloaded, and without Java and Maven it cannot be "
            "fetched another way: install a JDK 11 or newer and Maven, then run this again."
        )
    home = scratch / "server"
    (home / "lib").mkdir(parents=True)
    (scratch / "pom.xml").write_text(_POM)
    log = cache_dir() / "logs" / "build-temporal-test-server.log"
    command = [maven, "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={home / 'lib'}"]
    with progress.step("Fetching Temporal's test server with Maven (38 MB, once)"):
        code = run("mvn", command, log=log, directory=scratch)
    if code != 0 or not list((home / "lib").glob("temporal-test-server-*.jar")):
        raise StackError(_build_failed("mvn dependency:copy-dependencies", log))
    launcher = home / "temporal-test-server"
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)
    return home


def _build_failed(what: str, log: Path) -> str:
    lines = [
        line for line in last_lines(log, 20) if not re.match(r"^(\[ERROR\]\s*$|\[ERROR\] (->|Re-run|To see|For more))", line)
    ]
    said = lines[-1] if lines else "no output"
    return f'{what} failed saying "{said}"; see {log}, mend that (is there a way to the network?), and run this again.'


_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>perdiem</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>{TEST_SERVER_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

_LAUNCHER = """#!/bin/sh
exec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"
"""


def main() -> int:
    """Makes every program ready, saying what is done."""
    progress = Progress()
    try:
        progress.say(f"temporal: {find_temporal(progress).path}")
        progress.say(f"versitygw: {find_versitygw(progress).path}")
        progress.say(f"temporal test server: {find_test_server(progress)}")
    except StackError as error:
        progress.say(f"Error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
