"""The generated secrets of a local platform, in PERDIEM_HOME/secrets.json, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from standalone.processes import StackError


@dataclass(frozen=True, slots=True)
class Credentials:
    """One random value for each thing that asks for a password."""

    secret_key: str
    postgres_admin: str
    perdiem_owner: str
    perdiem_app: str
    perdiem_dispatch: str
    s3_access_key: str
    s3_secret_key: str


def load_credentials(home: Path, *, data_exists: bool) -> Credentials:
    """The credentials of `home`, generated at its first start.

    Raises: StackError when the file is damaged, or is gone while there is data that was written with it.
    """
    file = home / "secrets.json"
    try:
        stored = json.loads(file.read_text())
        return Credentials(**{field.name: str(stored[field.name]) for field in fields(Credentials)})
    except FileNotFoundError:
        if data_exists:
            raise StackError(
                f"{file} is gone, and the data in {home} cannot be read without it: restore that file, "
                f"or delete {home} (make clean) to start anew."
            ) from None
    except (ValueError, KeyError, TypeError):
        raise StackError(
            f"{file} is damaged: restore it, or delete {home} (make clean) to start anew without its data."
        ) from None
    created = Credentials(**{field.name: secrets.token_urlsafe(32) for field in fields(Credentials)})
    write_private(file, json.dumps(asdict(created), indent=2) + "\n")
    return created


def write_private(file: Path, text: str) -> None:
    """Writes a file of mode 0600, whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
    temporary.replace(file)
