"""Logging in, staying logged in, logging out."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.roles import Role
from infra.db.models.tenancy import tenant_directory, users
from infra.db.uow import UnitOfWork
from services.users import create_user
from tests.api.conftest import AdjustableClock, ApiClient, LoginAs
from tests.api.mailbox import Mailbox
from tests.api.passwords import PASSWORD
from tests.conftest import MakeTenant

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/auth/me"
UowOf = Callable[[UUID], UnitOfWork]


async def log_in(client: ApiClient, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await client.post(LOGIN, json={"email": email, "password": password, **more})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", ["viewer", "loan_officer", "admin", "owner", "borrower"])
async def test_staff_and_borrowers_log_in_and_learn_who_they_are(
    client: ApiClient, login_as: LoginAs, tenant: UUID, role: str
) -> None:
    user = await login_as(tenant, role)
    response = await log_in(client, f"  {user.email.upper()} ")
    assert response.status_code == 200
    tokens = response.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    me = (await client.get(ME, headers=bearer(tokens["access_token"]))).json()
    assert (me["id"], me["role"], me["tenant_id"]) == (str(user.user_id), role, str(tenant))
    assert me["business_date"] == "2020-09-09"
    assert me["borrower_id"] == (str(user.borrower_id) if user.borrower_id else None)


async def test_a_refused_login_does_not_say_why(
    client: ApiClient, login_as: LoginAs, tenant: UUID, uow_of: UowOf, app: FastAPI
) -> None:
    active, disabled, locked = [await login_as(tenant, "viewer") for _ in range(3)]
    async with uow_of(tenant) as uow:
        await create_user(uow, app.state.vault, email=f"new-{active.email}", full_name="Invited", role=Role.VIEWER)
        await uow.execute(update(users).where(users.c.id == disabled.user_id).values(status="disabled"))
        await uow.commit()
    for _ in range(5):
        await log_in(client, locked.email, "wrong")
    refused = [
        await log_in(client, active.email, "wrong"),
        await log_in(client, "nobody@example.com"),
        await log_in(client, "not an address at all"),
        await log_in(client, disabled.email),
        await log_in(client, locked.email),
        await log_in(client, f"new-{active.email}"),
        await log_in(client, active.email, tenant="no-such-tenant"),
    ]
    assert {response.status_code for response in refused} == {401}
    assert len({response.text for response in refused}) == 1
    assert refused[0].json()["code"] == "invalid_credentials"


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(
    client: ApiClient, tenant: UUID, uow_of: UowOf, app: FastAPI
) -> None:
    email = f"timed-{tenant}@example.com"
    async with uow_of(tenant) as uow:
        await create_user(
            uow, app.state.vault, email=email, full_name="T", role=Role.VIEWER, password="a password of twelve"
        )
        await uow.commit()
    known, unknown = [], []
    for _ in range(4):
        for address, times in ((email, known), ("nobody@example.com", unknown)):
            started = time.perf_counter()
            await log_in(client, address, "wrong")
            times.append(time.perf_counter() - started)
    ratio = statistics.median(known[1:]) / statistics.median(unknown[1:])
    assert 0.3 < ratio < 3


async def test_five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour(
    client: ApiClient, viewer: ApiClient, clock: AdjustableClock, mailbox: Mailbox
) -> None:
    for _ in range(4):
        assert (await log_in(client, viewer.email, "wrong")).status_code == 401
    assert (await log_in(client, viewer.email)).status_code == 200  # a success starts the count afresh
    for _ in range(5):
        assert (await log_in(client, viewer.email, "wrong")).status_code == 401
    assert (await log_in(client, viewer.email)).status_code == 401
    assert "locked for 15 minutes" in mailbox.to(viewer.email)[-1]["Subject"]
    clock.let_pass(timedelta(minutes=14))
    assert (await log_in(client, viewer.email)).status_code == 401
    clock.let_pass(timedelta(minutes=1, seconds=1))
    assert (await log_in(client, viewer.email)).status_code == 200


async def test_attempts_at_the_same_time_count_one_by_one(client: ApiClient, viewer: ApiClient) -> None:
    guesses = [log_in(client, viewer.email, f"guess {n}") for n in range(8)]
    assert {response.status_code for response in await asyncio.gather(*guesses)} == {401}
    assert (await log_in(client, viewer.email)).status_code == 401


async def test_one_address_in_two_tenants(
    client: ApiClient, make_tenant: MakeTenant, uow_of: UowOf, app: FastAPI, owner: AsyncEngine
) -> None:
    """The tenant is the named one, else the Host's, else the one whose password it is."""
    here, there = await make_tenant(), await make_tenant()
    email = f"both-{here}@example.com"
    for tenant_id, password in ((here, "password number one"), (there, "password number two")):
        async with uow_of(tenant_id) as uow:
            await create_user(uow, app.state.vault, email=email, full_name="B", role=Role.VIEWER, password=password)
            await uow.commit()
    host = f"loans-{there.hex}.example.com"
    async with owner.begin() as connection:
        rows = await connection.execute(select(tenant_directory.c.tenant_id, tenant_directory.c.slug))
        slugs = {row.tenant_id: row.slug for row in rows}
        await connection.execute(update(tenant_directory).where(tenant_directory.c.tenant_id == there).values(host=host))

    async def tenant_of(response: httpx.Response) -> str:
        assert response.status_code == 200
        me = await client.get(ME, headers=bearer(response.json()["access_token"]))
        return str(me.json()["tenant_id"])

    assert await tenant_of(await log_in(client, email, "password number one")) == str(here)
    for _ in range(6):  # none of which is a failure here
        assert await tenant_of(await log_in(client, email, "password number two")) == str(there)
    assert await tenant_of(await log_in(client, email, "password number one", tenant=slugs[here])) == str(here)
    assert (await log_in(client, email, "password number two", tenant=slugs[here])).status_code == 401
    client.headers["Host"] = f"{host.upper()}:8443"
    assert await tenant_of(await log_in(client, email, "password number two")) == str(there)
    assert (await log_in(client, email, "password number one")).status_code == 401


async def test_an_access_token_ends_after_fifteen_minutes(viewer: ApiClient, clock: AdjustableClock) -> None:
    clock.let_pass(timedelta(minutes=14, seconds=50))
    assert (await viewer.get(ME)).status_code == 200
    clock.let_pass(timedelta(seconds=11))
    response = await viewer.get(ME)
    assert (response.status_code, response.json()["code"]) == (401, "token_expired")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_that_is_not_ours_is_refused(client: ApiClient, viewer: ApiClient) -> None:
    claims = jwt.decode(viewer.tokens.access, options={"verify_signature": False})
    head, body, signature = viewer.tokens.access.split(".")
    forged = [
        "",
        "x",
        "a.b.c",
        "\u00e9",
        "A" * 20_000,
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "another key that is long enough to be one", algorithm="HS256"),
        viewer.tokens.refresh,
    ]
    for token in forged:
        response = await client.get(ME, headers=[(b"authorization", b"Bearer " + token.encode())])
        assert response.status_code == 401, token[:30]
    assert (await client.get(ME, headers={"Authorization": "Basic dXNlcjpwYXNz"})).status_code == 401


async def test_refresh_rotates_and_a_second_use_of_any_old_token_ends_the_session(
    client: ApiClient, viewer: ApiClient
) -> None:
    async def refresh(token: str) -> httpx.Response:
        return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})

    first = viewer.tokens.refresh
    second = (await refresh(first)).json()
    third = (await refresh(second["refresh_token"])).json()
    assert (await client.get(ME, headers=bearer(third["access_token"]))).status_code == 200
    assert (await refresh(first)).status_code == 401
    assert (await refresh(third["refresh_token"])).status_code == 401
    response = await client.get(ME, headers=bearer(third["access_token"]))
    assert (response.status_code, response.json()["code"]) == (401, "session_ended")


async def test_of_two_refreshes_at_once_one_succeeds(client: ApiClient, viewer: ApiClient) -> None:
    body = {"refresh_token": viewer.tokens.refresh}
    both = await asyncio.gather(*(client.post("/api/v1/auth/refresh", json=body) for _ in range(2)))
    assert sorted(response.status_code for response in both) == [200, 401]


async def test_an_access_token_does_not_refresh(client: ApiClient, viewer: ApiClient) -> None:
    for token in (viewer.tokens.access, "x", "a.b.c"):
        assert (await client.post("/api/v1/auth/refresh", json={"refresh_token": token})).status_code == 401


async def test_a_session_ends_after_a_week_unused_and_after_a_month_in_any_case(
    client: ApiClient, login_as: LoginAs, tenant: UUID, clock: AdjustableClock
) -> None:
    async def refresh(token: str) -> httpx.Response:
        return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})

    idle = await login_as(tenant, "viewer")
    clock.let_pass(timedelta(days=7, seconds=1))
    assert (await refresh(idle.tokens.refresh)).status_code == 401
    token = (await login_as(tenant, "viewer")).tokens.refresh
    for _ in range(4):
        clock.let_pass(timedelta(days=6))
        token = (await refresh(token)).json()["refresh_token"]
    clock.let_pass(timedelta(days=6, seconds=1))
    assert (await refresh(token)).status_code == 401


async def test_logout_counts_at_once_for_both_tokens(client: ApiClient, viewer: ApiClient) -> None:
    assert (await viewer.post("/api/v1/auth/logout")).status_code == 204
    assert (await viewer.get(ME)).json()["code"] == "session_ended"
    body = {"refresh_token": viewer.tokens.refresh}
    assert (await client.post("/api/v1/auth/refresh", json=body)).status_code == 401


async def test_a_change_of_role_counts_at_once(viewer: ApiClient, uow_of: UowOf) -> None:
    assert (await viewer.get("/api/v1/users")).status_code == 403
    async with uow_of(viewer.tenant_id) as uow:
        await uow.execute(update(users).where(users.c.id == viewer.user_id).values(role="admin"))
        await uow.commit()
    assert (await viewer.get("/api/v1/users")).status_code == 200


async def test_nothing_secret_is_stored_in_the_clear(
    client: ApiClient, viewer: ApiClient, uow_of: UowOf, mailbox: Mailbox
) -> None:
    await client.post("/api/v1/auth/password-reset/request", json={"email": viewer.email})
    secrets = [viewer.tokens.access, viewer.tokens.refresh, PASSWORD, mailbox.token(viewer.email)]
    async with uow_of(viewer.tenant_id) as uow:
        for table in ("users", "sessions", "one_time_tokens", "audit_log", "idempotency_keys"):
            rows = (await uow.execute(text(f"SELECT row_to_json({table})::text FROM {table}"))).scalars().all()
            stored = " ".join(str(row) for row in rows)
            for secret in secrets:
                assert secret not in stored
                assert secret.encode().hex() not in stored
