"""Lenders share the connections to the database, and nothing of one is seen by another on them."""

from __future__ import annotations

import asyncio
import random

import httpx
from sqlalchemy import select

from api.app import create_app
from infra.db.engine import app_engine
from infra.db.models.tenancy import tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.settings import Settings
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant


async def test_ten_thousand_interleaved_requests_on_two_connections_leak_nothing(
    settings: Settings, make_tenant: MakeTenant, login_as: LoginAs
) -> None:
    """Twenty lenders share two connections; some requests are given up midway. Each sees its own rows only.

    Every tenth goes through HTTP; the others are the check of a session each request begins with, or a bare read.
    """
    people = [await login_as(await make_tenant(), "owner") for _ in range(20)]
    app = create_app(settings.model_copy(update={"database_pool_size": 2}))
    order = random.Random(20200909)
    sequence = [order.choice(people) for _ in range(10_000)]
    seen = 0

    async with app.router.lifespan_context(app):
        state = app.state
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://perdiem.test")

        async def by_service(person: ApiClient) -> None:
            session = await state.sessions.check(person.tokens.access)
            assert (session.tenant_id, session.user_id) == (person.tenant_id, person.user_id)

        async def by_read(person: ApiClient) -> None:
            async with UnitOfWork(state.engine, person.tenant_id, Actor(ActorKind.USER)) as uow:
                assert (await uow.execute(select(tenants.c.id))).scalars().all() == [person.tenant_id]

        async def by_http(person: ApiClient) -> None:
            headers = {"Authorization": f"Bearer {person.tokens.access}"}
            items = (await http.get("/api/v1/users", headers=headers)).json()["items"]
            assert [item["id"] for item in items] == [str(person.user_id)]

        async def worker(numbers: range) -> None:
            nonlocal seen
            for number in numbers:
                person = sequence[number]
                if number % 97 == 0:
                    given_up = asyncio.create_task(by_read(person))
                    await asyncio.sleep(0.001)
                    given_up.cancel()
                    await asyncio.gather(given_up, return_exceptions=True)
                await (by_http if number % 10 == 0 else by_service if number % 2 else by_read)(person)
                seen += 1

        await asyncio.gather(*(worker(range(start, 10_000, 12)) for start in range(12)))
        async with state.engine.connect() as connection:
            assert (await connection.execute(select(tenants.c.id))).scalars().all() == []
        await http.aclose()
    assert seen == 10_000


async def test_the_pool_of_that_test_has_two_connections(settings: Settings) -> None:
    engine = app_engine(settings.model_copy(update={"database_pool_size": 2}))
    assert engine.pool.size() == 2  # type: ignore[attr-defined]
    await engine.dispose()
