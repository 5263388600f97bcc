"""The API as its clients meet it: HTTP into the real application on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.app import create_app
from domain.roles import Role
from infra.db.models.servicing import borrowers
from infra.db.models.tenancy import users
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from services.auth import Tokens, open_session
from services.users import create_user
from tests.api.mailbox import Mailbox
from tests.api.passwords import PASSWORD_HASH


class AdjustableClock:
    """The real time, plus what a test has let pass."""

    def __init__(self) -> None:
        self.passed = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.passed  # noqa: TID251

    def let_pass(self, span: timedelta) -> None:
        self.passed += span


class ApiClient(httpx.AsyncClient):
    """A client of the API, logged in as somebody or as nobody."""

    tenant_id: UUID
    user_id: UUID
    borrower_id: UUID | None = None
    email: str
    tokens: Tokens


LoginAs = Callable[..., Awaitable[ApiClient]]


@pytest.fixture(scope="session")
def clock() -> AdjustableClock:
    return AdjustableClock()


@pytest.fixture(scope="session")
async def app(settings: Settings, clock: AdjustableClock) -> AsyncIterator[FastAPI]:
    app = create_app(settings, clock=clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="session")
def mailbox(app: FastAPI) -> Mailbox:
    return Mailbox(app.state.notifier.outbox)


@pytest.fixture(scope="session")
def make_client(app: FastAPI) -> Callable[[], ApiClient]:
    return lambda: ApiClient(transport=httpx.ASGITransport(app=app), base_url="http://perdiem.test")


@pytest.fixture
async def client(make_client: Callable[[], ApiClient]) -> AsyncIterator[ApiClient]:
    """Somebody who is not logged in."""
    async with make_client() as client:
        yield client


@pytest.fixture(scope="session")
def login_as(app: FastAPI, make_client: Callable[[], ApiClient]) -> LoginAs:
    """`await login_as(tenant, "admin") -> client` of a fresh active user with the password PASSWORD.

    Role "borrower": of a given `borrower_id`, or of a fresh borrower.
    """

    async def login(tenant: UUID, role: str, *, borrower_id: UUID | None = None) -> ApiClient:
        state = app.state
        client = make_client()
        client.tenant_id, client.email = tenant, f"{role}-{new_id().hex}@example.com"
        async with UnitOfWork(state.engine, tenant, _operator(), state.clock) as uow:
            if role == Role.BORROWER and borrower_id is None:
                borrower_id = await uow.add(borrowers, first_name="John", last_name="Doe", email=client.email)
            client.borrower_id = borrower_id
            client.user_id = await create_user(
                uow, state.vault, email=client.email, full_name="Test User", role=Role(role), borrower_id=borrower_id
            )
            await uow.execute(
                update(users).where(users.c.id == client.user_id).values(status="active", password_hash=PASSWORD_HASH)
            )
            client.tokens = await open_session(state.platform, uow, client.user_id)
            await uow.commit()
        client.headers["Authorization"] = f"Bearer {client.tokens.access}"
        return client

    return login


def _operator() -> Actor:
    return Actor(ActorKind.OPERATOR)


@pytest.fixture
async def viewer(login_as: LoginAs, tenant: UUID) -> ApiClient:
    return await login_as(tenant, "viewer")


@pytest.fixture
async def loan_officer(login_as: LoginAs, tenant: UUID) -> ApiClient:
    return await login_as(tenant, "loan_officer")


@pytest.fixture
async def admin(login_as: LoginAs, tenant: UUID) -> ApiClient:
    return await login_as(tenant, "admin")


@pytest.fixture
async def tenant_owner(login_as: LoginAs, tenant: UUID) -> ApiClient:
    return await login_as(tenant, "owner")


@pytest.fixture
async def borrower(login_as: LoginAs, tenant: UUID) -> ApiClient:
    return await login_as(tenant, "borrower")
