"""Idempotency-Key: a retry of a POST changes nothing and gets the first answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text, update

from infra.db.models.tenancy import audit_log, idempotency_keys, one_time_tokens, users
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import make_borrower
from tests.api.mailbox import Mailbox
from tests.workflows.platform import ACCOUNT

USERS = "/api/v1/users"
UowOf = Callable[[UUID], UnitOfWork]


def body_of(name: str = "Una User") -> dict[str, Any]:
    return {"email": f"u-{new_id().hex}@example.com", "full_name": name, "role": "viewer"}


async def post(client: ApiClient, key: str, body: dict[str, Any]) -> httpx.Response:
    return await client.post(USERS, json=body, headers={"Idempotency-Key": key})


async def test_the_same_request_gets_the_first_answer(admin: ApiClient, mailbox: Mailbox) -> None:
    body = body_of()
    first = await post(admin, "key-1", body)
    reordered = dict(reversed(list(body.items())))
    again = await post(admin, "key-1", reordered)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(mailbox.to(body["email"])) == 1


async def test_another_request_under_the_same_key_is_refused(admin: ApiClient) -> None:
    await post(admin, "key-1", body_of())
    other = await post(admin, "key-1", body_of())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = await admin.post(f"{USERS}/{admin.user_id}/invitation", headers={"Idempotency-Key": "key-1"})
    assert elsewhere.json()["code"] == "idempotency_key_reused"


async def test_keys_of_two_users_do_not_meet(admin: ApiClient, tenant_owner: ApiClient) -> None:
    assert (await post(admin, "1", body_of())).status_code == 201
    other = await post(tenant_owner, "1", body_of())
    assert other.status_code == 201
    assert "Idempotent-Replayed" not in other.headers


async def test_a_refusal_is_not_kept(admin: ApiClient, uow_of: UowOf) -> None:
    """Nothing happened, so the corrected request may use the key again."""
    taken = body_of()
    await post(admin, "first", taken)
    assert (await post(admin, "second", taken)).status_code == 409
    assert (await post(admin, "second", body_of())).status_code == 201


async def test_without_a_key_each_request_counts(admin: ApiClient) -> None:
    body = body_of()
    assert (await admin.post(USERS, json=body)).status_code == 201
    assert (await admin.post(USERS, json=body)).status_code == 409


@pytest.mark.parametrize("key", [b"", b" ", b"a b", b"\x00", b"x" * 201, "\u00e9".encode(), b"\xff", b"a\r\nX: y"])
async def test_a_malformed_key_is_refused(admin: ApiClient, key: bytes) -> None:
    response = await admin.post(USERS, json=body_of(), headers=[(b"Idempotency-Key", key)])
    assert (response.status_code, response.json()["code"]) == (422, "invalid_idempotency_key")


async def test_two_keys_are_refused(admin: ApiClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await admin.post(USERS, json=body_of(), headers=headers)).status_code == 422


async def test_fifty_identical_requests_at_once_have_one_effect(
    login_as: LoginAs, tenant: UUID, uow_of: UowOf, mailbox: Mailbox
) -> None:
    admin = await login_as(tenant, "admin")
    body = body_of()
    responses = await asyncio.gather(*(post(admin, "one", body) for _ in range(50)))
    done = [response for response in responses if response.status_code == 201]
    in_flight = [response for response in responses if response.status_code == 409]
    assert len(done) + len(in_flight) == 50
    assert {response.json()["code"] for response in in_flight} <= {"request_in_flight"}
    assert len([response for response in done if "Idempotent-Replayed" not in response.headers]) == 1
    assert len({response.text for response in done if "Idempotent-Replayed" in response.headers}) <= 1
    assert {response.json()["id"] for response in done} == {done[0].json()["id"]}
    async with uow_of(tenant) as uow:
        for table, condition in (
            (users, users.c.email == body["email"]),
            (one_time_tokens, one_time_tokens.c.user_id == UUID(done[0].json()["id"])),
            (audit_log, audit_log.c.object_id == UUID(done[0].json()["id"])),
            (idempotency_keys, idempotency_keys.c.actor_id == admin.user_id),
        ):
            assert (await uow.execute(select(func.count()).where(condition))).scalar_one() == 1, table.name
    assert len(mailbox.to(body["email"])) == 1
    assert (await post(admin, "one", body)).json() == done[0].json()


async def test_the_same_key_at_the_same_time_is_told_to_wait(admin: ApiClient, uow_of: UowOf) -> None:
    user_id = (await admin.post(USERS, json=body_of())).json()["id"]
    path, headers = f"{USERS}/{user_id}/invitation", {"Idempotency-Key": "one"}
    async with uow_of(admin.tenant_id) as holder:  # keeps the first request waiting for the row
        await holder.one(select(users).where(users.c.id == UUID(user_id)).with_for_update(), "user")
        first = asyncio.create_task(admin.post(path, headers=headers))
        while not await _somebody_waits(holder):  # noqa: ASYNC110 (the event is in the database)
            await asyncio.sleep(0.01)
        second = await admin.post(path, headers=headers)
    assert (second.status_code, second.json()["code"]) == (409, "request_in_flight")
    assert (await first).status_code == 200
    assert (await admin.post(path, headers=headers)).headers["Idempotent-Replayed"] == "true"


async def _somebody_waits(uow: UnitOfWork) -> bool:
    waiting = (
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return bool((await uow.execute(text(waiting))).scalar_one())


async def test_a_request_that_fails_midway_leaves_no_key(admin: ApiClient, uow_of: UowOf) -> None:
    body = body_of()
    await post(admin, "a", body)
    assert (await post(admin, "b", body)).status_code == 409
    async with uow_of(admin.tenant_id) as uow:
        keys = (await uow.execute(select(idempotency_keys.c.key))).scalars().all()
    assert keys == [f"{admin.user_id}:a"]


async def test_no_stored_hash_lets_an_account_number_be_tried(loan_officer: ApiClient, uow_of: UowOf) -> None:
    """Ten digits are tried in minutes against a hash without a key."""
    path = f"/api/v1/borrowers/{await make_borrower(loan_officer)}/payment-instruments"
    await loan_officer.post(path, json=ACCOUNT, headers={"Idempotency-Key": "tried"})
    plain = hashlib.sha256(f"POST {path}?\n".encode() + json.dumps(ACCOUNT, sort_keys=True).encode()).digest()
    async with uow_of(loan_officer.tenant_id) as uow:
        kept = await uow.one(select(idempotency_keys.c.request_hash), "key")
        assert kept["request_hash"] != plain
        # one that was stored before hashes were keyed still finds its answer
        await uow.execute(update(idempotency_keys).values(request_hash=plain))
        await uow.commit()
    again = await loan_officer.post(path, json=ACCOUNT, headers={"Idempotency-Key": "tried"})
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, "true")
    other = await loan_officer.post(path, json=ACCOUNT | {"bank_name": "Other"}, headers={"Idempotency-Key": "tried"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
