"""Recorded workflow histories: written when PERDIEM_RECORD_HISTORIES is set, replayed in every test run.

Their payloads are encrypted with the secret key of tests/conftest.py, so that key stays what it is.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from temporalio.client import WorkflowHandle, WorkflowHistory

from worker import WORKFLOWS

DIRECTORY = Path(__file__).parent.parent / "histories"
RECORD = "PERDIEM_RECORD_HISTORIES"
KINDS = {workflow.__name__ for workflow in WORKFLOWS}


_MACHINE = {
    r'"identity":"[^"]*"': '"identity":"worker"',
    r'"name":"[^"]*[0-9a-f]{32}"': '"name":"sticky"',
}
"""Where a history names the machine it was recorded on."""


async def keep(name: str, handle: WorkflowHandle[object, object]) -> WorkflowHistory:
    """A workflow's history as it is now; `name` is "WorkflowType.path". Recorded when asked for."""
    history = await handle.fetch_history()
    if os.environ.get(RECORD):
        text = json.dumps(json.loads(history.to_json()), separators=(",", ":"))
        for found, instead in _MACHINE.items():
            text = re.sub(found, instead, text)
        DIRECTORY.mkdir(exist_ok=True)
        (DIRECTORY / f"{name}.json").write_text(text + "\n")
    return history


def recorded() -> list[Path]:
    """The recorded histories."""
    return sorted(DIRECTORY.glob("*.json"))


def load(path: Path) -> WorkflowHistory:
    """One recorded history."""
    return WorkflowHistory.from_json(path.stem, path.read_text())
