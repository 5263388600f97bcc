"""The `home` of a test that runs the real command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.home import Home, temporary_home


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def second_home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home
