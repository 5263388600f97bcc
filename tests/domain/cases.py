"""The numeric cases nobody computed with this project's code: read where they lie beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DIRECTORY = Path(__file__).resolve().parents[3] / "shared" / "cases"


def load(name: str) -> dict[str, Any]:
    """The cases file `name`; skips the test (or module) that asks where the files are not there."""
    path = DIRECTORY / name
    if not path.is_file():
        pytest.skip(f"the numeric cases are not beside this repository: no {name}", allow_module_level=True)
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def each(name: str) -> list[Any]:
    """One parameter for each case of the file, its id the case's; one skipped parameter where the file is not there."""
    if not (DIRECTORY / name).is_file():
        reason = f"the numeric cases are not beside this repository: no {name}"
        return [pytest.param({}, id=f"no-{name}", marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(case, id=case["id"]) for case in load(name)["cases"]]
