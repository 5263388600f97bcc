"""`perdiem doctor`: what is here, which version, and how to mend what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import typer
from rich.table import Table
from rich.text import Text

from cli.output import console
from infra.settings import Settings
from standalone import binaries, runtime, temporal
from standalone.postgres import programs_directory
from standalone.probe import answers, succeeds
from standalone.processes import StackError

_LEAST_DISK_GB = 2
_SHOWN_LIBRARIES = ("fastapi", "sqlalchemy", "psycopg", "temporalio", "boto3")


@dataclass(frozen=True, slots=True)
class Finding:
    """One component: what was found, and when that is not enough, how to mend it."""

    component: str
    found: str
    fine: bool = True
    required: bool = True
    mend: str = ""


def doctor() -> None:
    """Say what the platform needs, what is here, and how to mend what is missing."""
    settings = runtime.connected_settings()
    running = runtime.read(settings.home)
    findings = list(_findings(settings, running))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(_mark(finding), finding.component, "; ".join(filter(None, (finding.found, finding.mend))))
    console.print(table)
    if any(finding.required and not finding.fine for finding in findings):
        raise typer.Exit(1)


def _findings(settings: Settings, running: runtime.Runtime | None) -> Iterator[Finding]:
    yield _python()
    yield _libraries()
    yield _postgres(settings)
    go = _version("go", "version")
    yield _program("Temporal", binaries.locate_temporal(), go, settings.temporal_address)
    yield _program("S3", binaries.locate_versitygw(), go, settings.s3_endpoint)
    yield _test_server()
    yield _api(settings, running)
    yield _worker(settings, running)
    yield _go(go)
    yield _java()
    yield _disk("Disk of the data", settings.home)
    yield _disk("Disk of the cache", binaries.cache_dir())


def _mark(finding: Finding) -> Text:
    if finding.fine:
        return Text("ok", "green")
    return Text("missing", "red") if finding.required else Text("absent", "yellow")


def _python() -> Finding:
    fine = sys.version_info >= (3, 11)
    return Finding("Python", sys.version.split()[0], fine, mend="" if fine else "install Python 3.11 or newer")


def _libraries() -> Finding:
    missing = []
    for requirement in importlib.metadata.requires("perdiem") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("Libraries", f"without {', '.join(missing)}", False, mend="run `make setup`")
    return Finding("Libraries", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _SHOWN_LIBRARIES))


def _postgres(settings: Settings) -> Finding:
    url = settings.database_url.get_secret_value()
    if url:
        try:
            with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=5) as connection:
                row = connection.execute("SHOW server_version").fetchone()
        except psycopg.OperationalError:
            return Finding("PostgreSQL", "does not answer", False, mend="start it, or correct PERDIEM_DATABASE_URL")
        return Finding("PostgreSQL", f"running, {row[0] if row else '?'}")
    try:
        return Finding("PostgreSQL", f"embedded, {_output([str(programs_directory() / 'postgres'), '--version'])}")
    except StackError as error:
        return Finding("PostgreSQL", "not found", False, mend=str(error))


def _program(name: str, found: binaries.Found | None, go: str, address: str) -> Finding:
    where = ""
    if found:
        # A program that `go install` built does not know its version; its name in the cache does.
        version = f", {_output([str(found.path), '--version'])}" if found.source == "on PATH" else ""
        where = f"{found.path} ({found.source}{version})"
    if address:
        if not (_temporal_answers(address) if name == "Temporal" else answers(address)):
            return Finding(name, f"no answer at {address}", False, mend="start it (perdiem up), or correct the setting")
        return Finding(name, f"running at {address}" + (f", {where}" if where else ""))
    if found:
        return Finding(name, where)
    if go:
        return Finding(name, "not built yet", mend="`perdiem up` builds it, once")
    has_stand_in = name == "S3"  # moto
    return Finding(name, "not found", False, not has_stand_in, "install Go 1.24 or newer, or put the program on PATH")


def _temporal_answers(address: str) -> bool:
    try:
        temporal.check_external(address)
    except StackError:
        return False
    return True


def _test_server() -> Finding:
    found = binaries.locate_test_server()
    if found:
        return Finding("Temporal test server", f"{found.path} ({found.source})", required=False)
    return Finding(
        "Temporal test server", "not fetched yet", False, False, "needed by the tests only: `make test` fetches it"
    )


def _api(settings: Settings, running: runtime.Runtime | None) -> Finding:
    if importlib.util.find_spec("api.app") is None:
        return Finding("API", "api/app.py is missing", False, mend="restore it from the repository")
    if running is None and not settings.api_url:
        return Finding("API", "not running", mend="`perdiem up` starts it")
    if succeeds(f"{settings.public_url}/readyz"):
        return Finding("API", f"running at {settings.public_url}")
    return Finding("API", f"no answer at {settings.public_url}", False, mend=f"see {settings.home / 'logs' / 'api.log'}")


def _worker(settings: Settings, running: runtime.Runtime | None) -> Finding:
    if importlib.util.find_spec("worker") is None:
        return Finding("Worker", "worker.py is missing", False, mend="restore it from the repository")
    found = binaries.locate_temporal()
    if running is None or "worker" not in running.children or found is None:
        return Finding("Worker", "not running", mend="`perdiem up` starts it")
    polls = temporal.has_poller(
        found.path,
        address=settings.temporal_address,
        namespace=settings.temporal_namespace,
        task_queue=settings.task_queue,
        pid=running.children["worker"],
    )
    if polls:
        return Finding("Worker", f"running (process {running.children['worker']}), polls {settings.task_queue}")
    return Finding("Worker", "does not poll", False, mend=f"see {settings.home / 'logs' / 'worker.log'}")


def _go(version: str) -> Finding:
    mend = "" if version else "where Temporal or the S3 gateway is missing: install Go 1.24 or newer"
    return Finding("Go", version or "not on PATH", bool(version), False, mend)


def _java() -> Finding:
    java, maven = _version("java", "-version"), _version("mvn", "-v")
    both = bool(java and maven)
    mend = "" if both else "where the test server cannot be downloaded: install a JDK and Maven"
    return Finding("Java, Maven", f"{java or 'no Java'}, {maven or 'no Maven'}", both, False, mend)


def _disk(name: str, directory: Path) -> Finding:
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 1e9
    fine = free >= _LEAST_DISK_GB
    return Finding(name, f"{directory}, {free:.0f} GB free", fine, mend="" if fine else f"make room: {_LEAST_DISK_GB} GB")


def _version(program: str, option: str) -> str:
    """The version line of a program on PATH, empty when it is not there."""
    path = shutil.which(program)
    return _output([path, option]) if path else ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "of unknown version"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return re.sub(r"\x1b\[[0-9;]*m", "", lines[0]) if lines else "of unknown version"
