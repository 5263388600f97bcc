"""The S3 gateway: versitygw on files under PERDIEM_HOME, or moto as the last resort."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

from standalone.binaries import find_versitygw
from standalone.credentials import Credentials
from standalone.ports import HOST
from standalone.probe import answers
from standalone.processes import Child, StackError, spawn, wait_ready
from standalone.progress import Progress

_HEALTH = "/perdiem-health"
_READY_SECONDS = 30.0


def start(home: Path, credentials: Credentials, *, port: int, region: str, progress: Progress) -> Child:
    """Starts the gateway on 127.0.0.1:`port`; does not wait."""
    log = home / "logs" / "s3.log"
    try:
        binary = find_versitygw(progress).path
    except StackError as error:
        progress.warn(
            f"{error} Until then moto stands in for S3: it keeps documents and tapes in memory only, loses them at the "
            "end, and checks no signature."
        )
        return spawn("S3 gateway", [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)], log=log)
    objects = home / "s3" / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [binary, "--port", f"{HOST}:{port}", "--region", region, "--health", _HEALTH, "--quiet"]
    # A browser uploads with a presigned URL, which is the whole permission: no cookie, so any origin may.
    command += ["--cors-allow-origin", "*", "posix", *_metadata_options(home / "s3"), objects]
    environment = os.environ | {
        "ROOT_ACCESS_KEY": credentials.s3_access_key,
        "ROOT_SECRET_KEY": credentials.s3_secret_key,
    }
    return spawn("S3 gateway", command, log=log, environment=environment)


def wait_until_ready(child: Child, endpoint: str) -> None:
    """Returns once the gateway answers HTTP. Raises: StackError when it ends or does not answer."""
    wait_ready(child, lambda: answers(endpoint + _HEALTH), timeout=_READY_SECONDS)


def check_external(endpoint: str) -> None:
    """Raises: StackError when nothing answers at PERDIEM_S3_ENDPOINT."""
    if not answers(endpoint):
        raise StackError(f"No S3 answers at {endpoint}: start it, or unset PERDIEM_S3_ENDPOINT to have one started.")


def _metadata_options(directory: Path) -> list[str | Path]:
    """Where objects' metadata goes: extended attributes, or files beside where the file system has none."""
    with tempfile.NamedTemporaryFile(dir=directory) as probe:
        try:
            os.setxattr(probe.name, "user.perdiem", b"1")
        except AttributeError:  # macOS: versitygw knows its own way
            return []
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
            sidecar = directory / "metadata"
            sidecar.mkdir(exist_ok=True)
            return ["--sidecar", sidecar]
    return []
