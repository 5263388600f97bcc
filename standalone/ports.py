"""Ports of a local platform: free ones, and the same ones at the next start."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from standalone.processes import StackError

HOST = "127.0.0.1"

# What people expect to find where; used by `perdiem up`, not by tests (two runs side by side would race for them).
WELL_KNOWN = {"api": 8000, "temporal": 7233, "temporal_ui": 8233, "s3": 9000}

# Below the range from which the kernel takes the ports of outgoing connections (32768 upwards): a port chosen
# here is not taken by a client connection before the server binds it.
_LOWEST, _HIGHEST = 20000, 32000


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Ports:
    """The ports of one PERDIEM_HOME, remembered in ports.json."""

    def __init__(self, home: Path, preferred: Mapping[str, int] | None = None) -> None:
        self._file = home / "ports.json"
        self._preferred = dict(preferred or {})
        self._chosen: dict[str, int] = {}

    def choose(self, name: str) -> int:
        """The port used last time if it is free, else the preferred one, else any free one.

        A component asks once per start, and keeps its port when it is started again alone.
        """
        if name not in self._chosen:
            self._chosen[name] = self._pick(name)
            self._file.write_text(json.dumps(self._remembered() | self._chosen, indent=2) + "\n")
        return self._chosen[name]

    def _pick(self, name: str) -> int:
        taken = set(self._chosen.values())
        for port in (self._remembered().get(name), self._preferred.get(name)):
            if port is not None and port not in taken and is_free(port):
                return port
        for _ in range(1000):
            port = random.randrange(_LOWEST, _HIGHEST)
            if port not in taken and is_free(port):
                return port
        raise StackError(f"No port between {_LOWEST} and {_HIGHEST} is free: stop some servers and start again.")

    def _remembered(self) -> dict[str, int]:
        try:
            stored = json.loads(self._file.read_text())
            return {str(name): int(port) for name, port in stored.items()}
        except (OSError, ValueError, AttributeError, TypeError):  # absent or damaged: ports are chosen anew
            return {}


def require_free(port: int, host: str, setting: str) -> None:
    """Raises: StackError when the port that a setting names is in use."""
    if not is_free(port, host):
        raise StackError(
            f"Port {port} on {host} is in use: stop the program that listens there, or set {setting} to another port."
        )
