"""A real S3 gateway for tests that store something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from infra.settings import Settings
from standalone import s3
from standalone.credentials import load_credentials
from standalone.ports import HOST, Ports
from standalone.progress import Progress


@contextmanager
def gateway(home: Path) -> Iterator[Settings]:
    """Settings of a gateway that runs for as long as the context, its objects under `home`."""
    own = load_credentials(home, data_exists=False)
    port = Ports(home).choose("s3")
    endpoint = f"http://{HOST}:{port}"
    child = s3.start(home, own, port=port, region="us-east-1", progress=Progress())
    try:
        s3.wait_until_ready(child, endpoint)
        yield Settings(s3_endpoint=endpoint, s3_access_key=own.s3_access_key, s3_secret_key=SecretStr(own.s3_secret_key))
    finally:
        child.stop()
