"""Settings of every process of Perdiem: the command line, the API, the worker.

A setting is read from the environment (`PERDIEM_` + its name in capitals) and nowhere else. Local
development fills the environment from the running stack (standalone/stack.py), a deployment from
docker-compose.yml; neither has a second way of naming things.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ENV_PREFIX = "PERDIEM_"
_DRIVER = "postgresql+psycopg"


class SettingsError(Exception):
    """The environment does not describe a usable configuration; the message is one clear sentence."""


class BusinessMode(StrEnum):
    """How a new tenant's business date moves: by schedule (live) or by an API call (sandbox)."""

    LIVE = "live"
    SANDBOX = "sandbox"


def _default_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "perdiem"


def _database_url(value: SecretStr) -> SecretStr:
    """Accepts `postgresql+psycopg://user:password@host:port/db`, or `...@/db?host=/socket/dir&port=...`."""
    text = value.get_secret_value()
    if not text:
        return value
    if not text.startswith(f"{_DRIVER}://"):
        raise ValueError(f"must start with {_DRIVER}://")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the error would repeat the password
        url = None
    if url is None or not url.username or not url.database:
        raise ValueError(f"must look like {_DRIVER}://user:password@host:5432/database")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]


class Settings(BaseSettings):
    """One frozen value per process. Secrets are `SecretStr`, so that a printed Settings shows none."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(default_factory=_default_home, description="all state of a local platform")

    database_url: DatabaseUrl = SecretStr("")  # role perdiem_app: row-level security applies
    database_owner_url: DatabaseUrl = SecretStr("")  # role perdiem_owner: migrations only
    database_dispatch_url: DatabaseUrl = SecretStr(
        ""
    )  # role perdiem_dispatch: workflow intents of every tenant, nothing else
    database_pool_size: int = Field(default=10, ge=1, le=200)

    temporal_address: str = ""  # host:port
    temporal_namespace: str = "default"
    temporal_ui_url: str = ""
    task_queue: str = "perdiem"

    s3_endpoint: str = ""
    s3_public_endpoint: str = ""  # as a browser reaches it, where that differs: presigned URLs name this one
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "perdiem"
    s3_region: str = "us-east-1"

    secret_key: SecretStr = SecretStr("")  # master secret: every other key is derived from it

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=1, le=65535)
    api_url: str = ""  # as a browser reaches the API; default http://api_host:api_port

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    smtp_url: SecretStr | None = None  # smtp://user:password@host:port; absent: mail is kept, not sent
    business_mode: BusinessMode = BusinessMode.SANDBOX
    webhook_insecure: bool = False  # tests and demonstrations: webhooks over http, and to one's own network

    @property
    def public_url(self) -> str:
        """The address of the API without a trailing slash."""
        return (self.api_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    def as_environment(self) -> dict[str, str]:
        """These settings as environment variables, secrets in the clear: for a child process, or a private file."""
        values = {f"{ENV_PREFIX}{name.upper()}": _text(getattr(self, name)) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value}

    def require(self, *names: str) -> None:
        """Refuses to go on without the named settings.

        Raises: SettingsError naming each environment variable that is missing.
        """
        missing = [f"{ENV_PREFIX}{name.upper()}" for name in names if not _text(getattr(self, name))]
        if missing:
            raise SettingsError(
                f"{', '.join(missing)} must be set (a local platform sets them by itself: run `perdiem up`)."
            )

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """Returns `length` key bytes for one purpose ("access-token", "field-encryption", ...), by HKDF-SHA256 of
        `secret_key`. Keys of two purposes tell nothing about each other.

        Raises: SettingsError when `secret_key` is absent or shorter than 32 characters.
        """
        self.require("secret_key")
        secret = self.secret_key.get_secret_value().encode()
        if len(secret) < 32:
            raise SettingsError(f"{ENV_PREFIX}SECRET_KEY must have at least 32 characters, it has {len(secret)}.")
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"perdiem/{purpose}".encode()).derive(secret)


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


def load_settings(defaults: Mapping[str, str] | None = None) -> Settings:
    """Reads the environment; `defaults` (environment variables by name) stand in for what it does not set.

    Raises: SettingsError with the variable and what is wrong, never its value.
    """
    given = {
        name: (defaults or {})[variable]
        for name in Settings.model_fields
        if (variable := f"{ENV_PREFIX}{name.upper()}") in (defaults or {}) and not os.environ.get(variable)
    }
    try:
        return Settings(**given)  # type: ignore[arg-type]  # text, which pydantic converts and checks
    except ValidationError as error:
        problems = []
        for item in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in item["loc"])
            problems.append(f"{ENV_PREFIX}{name.upper()}: {item['msg'].removeprefix('Value error, ')}")
        raise SettingsError("; ".join(problems) + ".") from None
