"""A lender whose drafts go out as NACHA files, with a store for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.settings import Settings
from infra.storage import ObjectStore
from services import rail_files as files
from tests.achvalidate import Validator, why_absent
from tests.conftest import MakeTenant
from tests.objects import gateway
from tests.rails.lender import Lender, by_nacha
from tests.workflows.platform import VAULT, Rows

DUE = date(2020, 10, 9)


@pytest.fixture(scope="session")
def storing(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings, with a store."""
    with gateway(tmp_path_factory.mktemp("s3")) as found:
        names = ("s3_endpoint", "s3_access_key", "s3_secret_key")
        chosen = settings.model_copy(update={name: getattr(found, name) for name in names})
        ObjectStore(chosen).ensure_bucket()
        yield chosen


@pytest.fixture
async def lender(
    engine: AsyncEngine, storing: Settings, make_tenant: MakeTenant, request: pytest.FixtureRequest
) -> AsyncIterator[Lender]:
    """A lender on the first due date of the example loan, whose drafts go out as NACHA files. Where there is a validator,
    every file that a test has made must be valid."""
    validator: Validator | None = None if why_absent() else request.getfixturevalue("achvalidate")
    tenant: UUID = await make_tenant(DUE)
    found = Lender(Rows(engine, tenant), storing)
    await by_nacha(found.rows)
    yield found
    for file in await found.files():
        async with found.rows.uow() as uow:
            _, content = await files.content(uow, VAULT, file["id"])
        if validator is not None:
            validator(content)
