"""The Temporal dev server, its state in a file under PERDIEM_HOME."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from infra.temporal import SEARCH_ATTRIBUTES
from standalone.ports import HOST
from standalone.processes import Child, StackError, spawn, wait_ready

_READY_SECONDS = 60.0
_CALL_SECONDS = 5.0


def start(binary: Path, home: Path, *, port: int, ui_port: int, namespace: str) -> Child:
    """Starts the server on 127.0.0.1:`port`, its UI on `ui_port`; does not wait."""
    (home / "temporal").mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [binary, "server", "start-dev", "--ip", HOST, "--port", str(port)]
    command += ["--ui-port", str(ui_port), "--db-filename", home / "temporal" / "temporal.db"]
    command += ["--namespace", namespace, "--log-level", "error"]
    for name in SEARCH_ATTRIBUTES:
        command += ["--search-attribute", f"{name}=Keyword"]
    return spawn("Temporal", command, log=home / "logs" / "temporal.log")


def wait_until_ready(child: Child, binary: Path, *, address: str, namespace: str) -> None:
    """Returns once the namespace is there with its search attributes, which comes after "serving".

    Raises: StackError when the server ends or does not answer.
    """
    command = ["operator", "search-attribute", "list", "--namespace", namespace]

    def ready() -> bool:
        listed = _call(binary, address, command)
        return isinstance(listed, dict) and set(SEARCH_ATTRIBUTES) <= set(listed.get("customAttributes") or {})

    wait_ready(child, ready, timeout=_READY_SECONDS, pause=0.1)


def has_poller(binary: Path, *, address: str, namespace: str, task_queue: str, pid: int) -> bool:
    """Whether the worker with this process id polls the task queue (the SDK's identity is `pid@host`)."""
    described = _call(binary, address, ["task-queue", "describe", "--task-queue", task_queue, "--namespace", namespace])
    pollers = described.get("pollers") or [] if isinstance(described, dict) else []
    return any(str(poller.get("identity", "")).startswith(f"{pid}@") for poller in pollers)


def check_external(address: str) -> None:
    """Raises: StackError when nothing answers at PERDIEM_TEMPORAL_ADDRESS."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CALL_SECONDS).close()
    except ValueError:
        raise StackError(f'PERDIEM_TEMPORAL_ADDRESS must look like host:7233, not "{address}".') from None
    except OSError:
        raise StackError(
            f"No Temporal answers at {address}: start it, or unset PERDIEM_TEMPORAL_ADDRESS to have one started."
        ) from None


def _call(binary: Path, address: str, command: list[str]) -> object:
    """The JSON answer of one call of the command line, None when the server does not answer."""
    full = [str(binary), *command, "--address", address, "--output", "json", "--command-timeout", f"{_CALL_SECONDS:.0f}s"]
    try:
        done = subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CALL_SECONDS + 5, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None
