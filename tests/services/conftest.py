"""What the tests of services share beside the database."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, active_loan, jump, pay
from tests.services.refunding import FRIDAY, KEPT, THURSDAY, As
from tests.services.reversing import UowBy


@pytest.fixture
def uow_by(engine: AsyncEngine, tenant: UUID) -> UowBy:
    """A unit of work of a user of the tenant, by id."""
    return lambda user: UnitOfWork(engine, tenant, Actor(ActorKind.USER, user))


@pytest.fixture
def one(engine: AsyncEngine, tenant: UUID) -> As:
    """Somebody of the staff."""
    actor = Actor(ActorKind.USER, new_id())
    return lambda: UnitOfWork(engine, tenant, actor)


@pytest.fixture
def other(engine: AsyncEngine, tenant: UUID) -> As:
    actor = Actor(ActorKind.USER, new_id())
    return lambda: UnitOfWork(engine, tenant, actor)


@pytest.fixture
async def paid(uow_of: UowOf, tenant: UUID) -> tuple[UUID, UUID]:
    """A loan and its payment of 8 October: the first instalment, and 100.00 that stay unapplied. It is Friday the 9th."""
    loan_id = await active_loan(uow_of, tenant, KEPT)
    await jump(uow_of, tenant, FRIDAY)
    return loan_id, (await pay(uow_of, tenant, loan_id, LEVEL + 100_00, THURSDAY)).id
