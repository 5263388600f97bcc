"""A lender whose drafts go out as NACHA files, with a store for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.settings import Settings
from infra.storage import ObjectStore
from tests.conftest import MakeTenant
from tests.objects import gateway
from tests.rails.lender import Lender, by_nacha
from tests.workflows.platform import Rows

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
async def lender(engine: AsyncEngine, storing: Settings, make_tenant: MakeTenant) -> Lender:
    """A lender on the first due date of the example loan, whose drafts go out as NACHA files."""
    tenant: UUID = await make_tenant(DUE)
    found = Lender(Rows(engine, tenant), storing)
    await by_nacha(found.rows)
    return found
