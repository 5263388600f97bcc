"""What the tests of services share beside the database."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.uow import Actor, ActorKind, UnitOfWork
from tests.services.reversing import UowBy


@pytest.fixture
def uow_by(engine: AsyncEngine, tenant: UUID) -> UowBy:
    """A unit of work of a user of the tenant, by id."""
    return lambda user: UnitOfWork(engine, tenant, Actor(ActorKind.USER, user))
