"""Real components for every test: one PostgreSQL a test run, one fresh migrated database an xdist worker."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.engine import app_engine, dispatch_engine, owner_engine
from infra.db.migrate import upgrade
from infra.db.models.tenancy import business_days, tenant_directory, tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from standalone.credentials import Credentials
from standalone.postgres import ROLES, Postgres
from standalone.processes import Child
from standalone.progress import Progress
from tests.achvalidate import Validator, find_validator, why_absent

# The same examples every time, whichever tests run beside: main is never red by luck, and what is red is so alone too.
# (Hypothesis also tries constants of the modules that happen to be loaded; which those are depends on the tests run so far.)
# Other examples are tried by `make soak`.
providers._get_local_constants = lambda: providers._local_constants
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

PASSWORD = "test"
SECRET_KEY = "a secret that only the tests know, 0123456789"
SERVER = "PERDIEM_TEST_POSTGRES"
"""A superuser's address of the server to test on; without it, the run starts one of its own."""

RUNNING = pytest.StashKey[tuple[Child, Path]]()
STATUS = pytest.StashKey[int]()


@dataclass(frozen=True, slots=True)
class Database:
    """Where this test process's own database is, for each role."""

    owner_url: str
    app_url: str
    dispatch_url: str


def pytest_configure(config: pytest.Config) -> None:
    """One server a test run, started by the process that starts the xdist workers and inherited through the environment."""
    if hasattr(config, "workerinput") or SERVER in os.environ:
        return
    home = Path(tempfile.mkdtemp(prefix="perdiem-test-"))
    credentials = Credentials(**{field.name: PASSWORD for field in fields(Credentials)})
    server = Postgres(home, credentials, Progress(), durable=False)
    child = server.start()
    server.wait_ready(child)
    os.environ[SERVER] = f"postgresql://postgres:{PASSWORD}@/postgres?host={server.socket_directory}"
    config.stash[RUNNING] = (child, home)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server; then leave without finalizing: an interpreter that used the Temporal SDK may crash while it does."""
    running = config.stash.get(RUNNING, None)
    if running is None:
        return
    child, home = running
    child.stop()
    shutil.rmtree(home, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(STATUS, 0))


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """A fresh migrated database of this test process's own."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    with psycopg.connect(os.environ[SERVER], autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(42)")  # roles belong to the server, which the workers share
        for role in ROLES:
            if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                admin.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{PASSWORD}'")
        admin.execute("SELECT pg_advisory_unlock(42)")
        admin.execute(f"CREATE DATABASE {name} OWNER perdiem_owner")
        host, port = admin.info.host, admin.info.port
    urls = [f"postgresql+psycopg://{role}:{PASSWORD}@/{name}?host={host}&port={port}" for role in ROLES]
    upgrade(urls[0])
    yield Database(*urls)
    gc.collect()  # a connection that was cancelled while it logged in holds the server up until its socket is closed
    with psycopg.connect(os.environ[SERVER], autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def achvalidate() -> Validator:
    """Call it with the bytes of a NACHA file: it fails unless another implementation of the format finds them valid."""
    absent = why_absent()
    if absent:
        pytest.skip(absent)
    return find_validator()


@pytest.fixture(scope="session")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=database.app_url,
        database_owner_url=database.owner_url,
        database_dispatch_url=database.dispatch_url,
        secret_key=SECRET_KEY,
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
async def owner(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = owner_engine(settings)
    yield engine
    await engine.dispose()


def drop_pending_intents(database: Database) -> None:
    """What earlier tests left undelivered is not carried out: tests of the API enrol and advance without Temporal."""
    with psycopg.connect(database.dispatch_url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE workflow_intents SET status = 'dropped' WHERE status = 'pending'")


@pytest.fixture
def no_intents_of_others(database: Database) -> None:
    """For tests in which a dispatcher runs."""
    drop_pending_intents(database)


MakeTenant = Callable[..., Awaitable[UUID]]


@pytest.fixture(scope="session")
def make_tenant(owner: AsyncEngine) -> MakeTenant:
    """Create a tenant, a sandbox unless told otherwise; returns its id. A live one gets no schedule."""

    async def make(business_date: date = date(2020, 9, 9), zone: str = "America/New_York", mode: str = "sandbox") -> UUID:
        tenant_id = new_id()
        slug = f"t-{tenant_id.hex[-12:]}"
        async with UnitOfWork(owner, tenant_id, Actor(ActorKind.OPERATOR)) as uow:
            values = {"slug": slug, "name": "Test Lending", "zone": zone, "mode": mode}
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
