"""The local platform: every component started, watched and stopped together.

    with Stack(home) as stack:
        stack.settings          # as the API and the worker see them
        stack.kill("worker")    # kill -9, for tests of what happens then
        stack.start_component("worker")

What a setting names already (PERDIEM_DATABASE_URL, PERDIEM_TEMPORAL_ADDRESS, PERDIEM_S3_ENDPOINT) is checked and
used, not started.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TextIO

from pydantic import SecretStr

from infra.settings import Settings, load_settings
from standalone import runtime, s3, temporal
from standalone.binaries import find_temporal
from standalone.credentials import Credentials, load_credentials
from standalone.ports import HOST, Ports, require_free
from standalone.postgres import ROLES, Postgres
from standalone.postgres import check_external as check_external_database
from standalone.prepare import prepare_database, prepare_storage, prepare_temporal
from standalone.probe import succeeds
from standalone.processes import Child, StackError, spawn, wait_ready
from standalone.progress import Progress

REPOSITORY = Path(__file__).resolve().parent.parent

_API_READY_SECONDS = 60.0
_WORKER_READY_SECONDS = 60.0
_WATCH_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _Component:
    """How one component is started, and how to wait until it serves."""

    start: Callable[[], Child]
    wait_ready: Callable[[Child], None]


class Stack:
    """The components of one PERDIEM_HOME. Not for two threads at once."""

    api_application: ClassVar[str] = "api.app:create_app"
    worker_program: ClassVar[Sequence[str]] = (str(REPOSITORY / "worker.py"),)
    """What is run; tests run the same with a watch on it."""

    def __init__(
        self,
        home: Path | None = None,
        *,
        settings: Settings | None = None,
        with_api: bool = True,
        with_worker: bool = True,
        durable: bool = True,
        preferred_ports: Mapping[str, int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """home: default the setting's. durable=False: PostgreSQL without fsync, for throw-away data."""
        given = settings or load_settings()
        self.home = (home or given.home).expanduser().resolve()
        self.settings = given.model_copy(update={"home": self.home})
        self.progress = progress or Progress()
        self._with_api, self._with_worker = with_api, with_worker
        self._durable = durable
        self._preferred_ports = preferred_ports
        self._children: dict[str, Child] = {}  # in the order of their start
        self._components: dict[str, _Component] = {}
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a program that uses this platform."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PERDIEM_")} | (
            self.settings.as_environment()
        )

    def start(self) -> None:
        """Starts everything and returns when it serves; stops everything again when something fails.

        Raises: StackError (one sentence: what, and how to mend it), SettingsError.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the components in the reverse order of their start. Harmless when repeated."""
        for name in reversed(list(self._children)):
            self._children[name].stop()
        self._children.clear()
        if self._lock:
            runtime.remove(self.home)
            self._lock.close()  # frees the lock
            self._lock = None

    def pid(self, name: str) -> int | None:
        """The process id of a component that we started."""
        return self._children[name].pid if name in self._children else None

    def abandon(self) -> None:
        """kill -9 of everything, without waiting; `stop` then returns at once. For a second Ctrl-C."""
        for child in self._children.values():
            child.send(signal.SIGKILL)

    def kill(self, name: str) -> None:
        """kill -9 of one component and of its own children."""
        self._children.pop(name).kill()

    def stop_component(self, name: str) -> None:
        """Stops one component in its own clean way."""
        self._children.pop(name).stop()

    def start_component(self, name: str, *, wait: bool = True) -> None:
        """Starts one component again after `kill` or `stop_component`, on the same port, and waits until it serves
        (`wait` False: does not)."""
        self._launch(name)
        if wait:
            self._components[name].wait_ready(self._children[name])

    def ended(self) -> list[str]:
        """The components that ended by themselves."""
        return [name for name, child in self._children.items() if child.exit_code is not None]

    def check(self) -> None:
        """Raises: StackError when a component ended by itself."""
        for name in self.ended():
            raise StackError(self._children[name].death_sentence())

    def wait(self, stop: threading.Event | None = None) -> None:
        """Watches the components until `stop` is set. Raises: StackError when one ends by itself."""
        stop = stop or threading.Event()
        while not stop.wait(_WATCH_SECONDS):
            self.check()

    def _start(self) -> None:
        self._take_home()
        own = load_credentials(self.home, data_exists=(self.home / "postgres" / "data").exists())
        self._update(secret_key=self.settings.secret_key if _has(self.settings.secret_key) else SecretStr(own.secret_key))
        ports = Ports(self.home, self._preferred_ports)
        self._plan_temporal(ports)
        self._plan_s3(ports, own)
        self._plan_postgres(own)
        self._plan_api(ports)
        # The three servers start side by side; what needs them follows.
        servers = [name for name in ("temporal", "s3", "postgres") if name in self._components]
        self._start_together(servers)
        with self.progress.step("Bringing the database's schema up to date"):
            prepare_database(self.settings)
        prepare_storage(self.settings)
        if "temporal" not in self._components:  # ours is started with them
            prepare_temporal(self.settings)
        if self._with_worker:
            self._components["worker"] = _Component(self._start_worker, self._wait_for_worker)
        self._start_together([name for name in ("api", "worker") if name in self._components])
        runtime.write(self.home, self.settings, {name: child.pid for name, child in self._children.items()})

    def _start_together(self, names: Sequence[str]) -> None:
        for name in names:
            self._launch(name)
        with self.progress.step(f"Waiting for {', '.join(names)}"):
            for name in names:
                self._components[name].wait_ready(self._children[name])

    def _launch(self, name: str) -> None:
        if name in self._children:
            raise StackError(f"The component {name} runs already: kill or stop it first.")
        self._children[name] = self._components[name].start()

    def _take_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            lock = (self.home / "lock").open("a+")
        except OSError as error:
            raise StackError(
                f"{self.home} cannot be used ({error.strerror}): set PERDIEM_HOME to a directory of yours."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise StackError(
                f"Perdiem runs already on {self.home} (process {owner}): "
                "stop it with Ctrl-C there, or set PERDIEM_HOME to another directory."
            ) from None
        lock.truncate(0)  # what a killed run left there: the kernel freed its lock, only its number stayed
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _update(self, **values: object) -> None:
        self.settings = self.settings.model_copy(update=values)

    def _plan_postgres(self, own: Credentials) -> None:
        if _has(self.settings.database_url):
            check_external_database(self.settings)
            return
        server = Postgres(self.home, own, self.progress, durable=self._durable)
        self._update(**{field: SecretStr(server.url(role)) for role, field in ROLES.items()})
        self._components["postgres"] = _Component(server.start, server.wait_ready)

    def _plan_temporal(self, ports: Ports) -> None:
        if self.settings.temporal_address:
            temporal.check_external(self.settings.temporal_address)
            return
        binary = find_temporal(self.progress).path
        port, ui_port = ports.choose("temporal"), ports.choose("temporal_ui")
        address, namespace = f"{HOST}:{port}", self.settings.temporal_namespace
        self._update(temporal_address=address, temporal_ui_url=f"http://{HOST}:{ui_port}")
        self._components["temporal"] = _Component(
            lambda: temporal.start(binary, self.home, port=port, ui_port=ui_port, namespace=namespace),
            lambda child: temporal.wait_until_ready(child, binary, address=address, namespace=namespace),
        )

    def _plan_s3(self, ports: Ports, own: Credentials) -> None:
        if self.settings.s3_endpoint:
            s3.check_external(self.settings.s3_endpoint)
            return
        port = ports.choose("s3")
        endpoint = f"http://{HOST}:{port}"
        self._update(s3_endpoint=endpoint, s3_access_key=own.s3_access_key, s3_secret_key=SecretStr(own.s3_secret_key))
        region = self.settings.s3_region
        self._components["s3"] = _Component(
            lambda: s3.start(self.home, own, port=port, region=region, progress=self.progress),
            lambda child: s3.wait_until_ready(child, endpoint),
        )

    def _plan_api(self, ports: Ports) -> None:
        if not self._with_api:
            return
        host = self.settings.api_host
        if "api_port" in self.settings.model_fields_set:
            require_free(self.settings.api_port, host, "PERDIEM_API_PORT")
        else:
            self._update(api_port=ports.choose("api"))
        local = f"http://{HOST if host in ('0.0.0.0', '::') else host}:{self.settings.api_port}"
        self._update(api_url=self.settings.api_url or local)
        self._components["api"] = _Component(
            self._start_api,
            lambda child: wait_ready(child, lambda: succeeds(f"{local}/readyz"), timeout=_API_READY_SECONDS, pause=0.1),
        )

    def _start_api(self) -> Child:
        settings = self.settings
        options = ["--factory", "--host", settings.api_host, "--port", str(settings.api_port), "--no-server-header"]
        options += ["--log-level", settings.log_level.lower(), "--no-access-log", "--timeout-graceful-shutdown", "5"]
        return self._spawn_ours("API", ["-m", "uvicorn", self.api_application, *options])

    def _start_worker(self) -> Child:
        return self._spawn_ours("worker", list(self.worker_program), stop_seconds=20.0)

    def _wait_for_worker(self, child: Child) -> None:
        settings = self.settings
        binary = find_temporal(self.progress).path

        def polls() -> bool:
            return temporal.has_poller(
                binary,
                address=settings.temporal_address,
                namespace=settings.temporal_namespace,
                task_queue=settings.task_queue,
                pid=child.pid,
            )

        wait_ready(child, polls, timeout=_WORKER_READY_SECONDS, pause=0.2)

    def _spawn_ours(self, name: str, arguments: list[str], *, stop_seconds: float = 10.0) -> Child:
        return spawn(
            name,
            [sys.executable, *arguments],
            log=self.home / "logs" / f"{name.lower()}.log",
            environment=self.environment | {"PYTHONUNBUFFERED": "1"},
            directory=REPOSITORY,
            stop_seconds=stop_seconds,
        )


def _has(secret: SecretStr) -> bool:
    return bool(secret.get_secret_value())
