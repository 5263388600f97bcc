"""The validator of NACHA files that is independent of ours: it is built once and kept with the other programs.

Tests take the fixture `achvalidate` (tests/conftest.py): `achvalidate(content)` fails the test unless the file is valid.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from standalone.binaries import Found, cache_dir, cached, ensure
from standalone.processes import StackError, last_lines, run

SOURCE = Path(__file__).parents[2] / "shared" / "tools" / "achvalidate"


@dataclass(frozen=True, slots=True)
class Valid:
    """What the validator counted: entries with their addenda, amounts in minor units."""

    batches: int
    records: int
    debits: int
    credits: int


class NotValid(AssertionError):
    """A file that the validator refuses, with its words."""


@dataclass(frozen=True, slots=True)
class Validator:
    program: Path

    def __call__(self, content: bytes) -> Valid:
        """What is in a file. Raises: NotValid."""
        with tempfile.NamedTemporaryFile(suffix=".ach") as file:
            file.write(content)
            file.flush()
            done = subprocess.run([self.program, file.name], capture_output=True, text=True, timeout=60, check=False)
        said = done.stdout.removeprefix(f"{file.name}: ").strip()
        counted = re.fullmatch(r"valid batches=(\d+) entries=(\d+) debit_cents=(\d+) credit_cents=(\d+)", said)
        if done.returncode or not counted:
            raise NotValid(said or done.stderr)
        return Valid(*map(int, counted.groups()))


def why_absent() -> str | None:
    """Why there can be no validator here, or None when there is one or it can be built."""
    if not SOURCE.is_dir():
        return "the sources of achvalidate are not beside the repository"
    if not _locate() and not shutil.which("go"):
        return "no Go to build achvalidate with"
    return None


def find_validator() -> Validator:
    """The validator, built (about 20 s) unless this version of it was before. Raises: StackError."""
    return Validator(ensure("achvalidate", _name(), _locate, _build, None).path)


def _name() -> str:
    sources = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    return f"achvalidate-{hashlib.sha256(sources).hexdigest()[:12]}"


def _locate() -> Found | None:
    return cached(_name())


def _build(scratch: Path) -> Path:
    built, log = scratch / "achvalidate", cache_dir() / "logs" / "build-achvalidate.log"
    command = [shutil.which("go") or "go", "build", "-o", built, "."]
    if run("go build achvalidate", command, log=log, environment=os.environ | {"CGO_ENABLED": "0"}, directory=SOURCE):
        raise StackError(f"achvalidate could not be built: {' '.join(last_lines(log, 3))}")
    return built
