"""docker-compose.yml says the same things as the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import ENV_PREFIX, Settings

FILE = Path(__file__).parents[2] / "docker-compose.yml"
TEXT = FILE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = ("migrate", "api", "worker")


def environment(service: str) -> dict[str, str]:
    """With each ${NAME:-default} replaced by its default, as compose does."""
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in SERVICES[service]["environment"].items()}


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"{ENV_PREFIX}\w+", TEXT))))
def test_each_name_is_a_setting(name: str) -> None:
    assert name.removeprefix(ENV_PREFIX).lower() in Settings.model_fields


@pytest.mark.parametrize("service", OURS)
def test_the_values_are_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(service).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    settings.require("database_url", "database_dispatch_url", "temporal_address", "s3_endpoint", "secret_key")
    assert settings.derive_key("anything")


def test_only_the_migration_has_the_owners_password() -> None:
    owners = [name for name in SERVICES if "perdiem_owner" in str(SERVICES[name].get("environment"))]
    assert owners == ["migrate"]


def test_what_we_connect_to_is_a_service_of_the_file() -> None:
    addresses = [
        environment("worker")[f"{ENV_PREFIX}{name}"] for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "S3_ENDPOINT")
    ]
    hosts = [re.split(r"[@/]", address.rsplit(":", 1)[0])[-1] for address in addresses]
    assert hosts == ["postgres", "temporal", "s3"]
    assert set(hosts) <= set(SERVICES)


@pytest.mark.parametrize("service", sorted(set(SERVICES) - set(OURS)))
def test_images_are_pinned(service: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", SERVICES[service]["image"])


def test_every_published_port_is_for_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
