"""PERDIEM_HOME/runtime.json: how other commands reach the platform that runs there. Mode 0600: it holds passwords."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings, load_settings
from standalone.credentials import write_private


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running local platform."""

    pid: int
    environment: dict[str, str]
    children: dict[str, int]  # process id by component


def write(home: Path, settings: Settings, children: Mapping[str, int]) -> None:
    """Called by the process that runs the platform, once everything serves."""
    content = {"pid": os.getpid(), "children": dict(children), "environment": settings.as_environment()}
    write_private(home / "runtime.json", json.dumps(content, indent=2) + "\n")


def remove(home: Path) -> None:
    (home / "runtime.json").unlink(missing_ok=True)


def read(home: Path) -> Runtime | None:
    """The platform that runs on this home, None when none does (a file left by a killed one does not count)."""
    try:
        content = json.loads((home / "runtime.json").read_text())
        found = Runtime(
            pid=int(content["pid"]),
            environment={str(name): str(value) for name, value in content["environment"].items()},
            children={str(name): int(pid) for name, pid in content["children"].items()},
        )
        os.kill(found.pid, 0)
    except PermissionError:  # another user's process has that number now
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found


def connected_settings() -> Settings:
    """The settings of this process, completed by those of the platform that runs on its home. What the
    environment says wins."""
    settings = load_settings()
    running = read(settings.home)
    return load_settings(defaults=running.environment) if running else settings
