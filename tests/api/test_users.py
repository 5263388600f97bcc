"""Users: who may create, see and change whom."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest

from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs

USERS = "/api/v1/users"


def invitation(role: str = "viewer", **changes: object) -> dict[str, object]:
    return {"email": f"u-{new_id().hex}@example.com", "full_name": "Una User", "role": role, **changes}


async def change(client: ApiClient, user: ApiClient, **values: object) -> httpx.Response:
    return await client.patch(f"{USERS}/{user.user_id}", json=values)


async def test_an_address_is_kept_in_lower_case_and_belongs_to_one_user(admin: ApiClient) -> None:
    body = invitation(email=f"Una.User-{new_id().hex}@Example.COM")
    created = await admin.post(USERS, json=body)
    assert (created.status_code, created.json()["email"]) == (201, str(body["email"]).lower())
    again = await admin.post(USERS, json={**body, "email": str(body["email"]).upper()})
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b"),
        ("email", "j\u00fcrgen@example.com"),
        ("email", "x" * 250 + "@example.com"),
        ("email", 5),
        ("full_name", "   "),
        ("full_name", "x" * 201),
        ("role", "borrower"),
        ("role", "king"),
        ("rolle", "viewer"),
    ],
)
async def test_an_unacceptable_value_is_named(admin: ApiClient, field: str, value: object) -> None:
    response = await admin.post(USERS, json=invitation(**{field: value}))
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]


async def test_only_an_owner_makes_or_changes_an_owner(admin: ApiClient, tenant_owner: ApiClient, viewer: ApiClient) -> None:
    assert (await admin.post(USERS, json=invitation("owner"))).status_code == 403
    assert (await change(admin, viewer, role="owner")).status_code == 403
    assert (await change(admin, admin, role="owner")).status_code == 403
    assert (await change(admin, tenant_owner, full_name="Renamed")).status_code == 403
    assert (await change(admin, tenant_owner, role="viewer")).status_code == 403
    assert (await admin.delete(f"{USERS}/{tenant_owner.user_id}")).status_code == 403
    assert (await change(admin, viewer, role="admin")).json()["role"] == "admin"
    assert (await change(tenant_owner, viewer, role="owner")).json()["role"] == "owner"
    assert (await tenant_owner.post(USERS, json=invitation("owner"))).status_code == 201


async def test_the_last_active_owner_stays(tenant_owner: ApiClient, login_as: LoginAs) -> None:
    assert (await tenant_owner.post(USERS, json=invitation("owner"))).status_code == 201  # invited is not active
    for response in (
        await change(tenant_owner, tenant_owner, role="admin"),
        await change(tenant_owner, tenant_owner, status="disabled"),
        await tenant_owner.delete(f"{USERS}/{tenant_owner.user_id}"),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "last_owner")
    second = await login_as(tenant_owner.tenant_id, "owner")
    assert (await change(tenant_owner, tenant_owner, role="admin")).status_code == 200
    assert (await change(second, second, role="admin")).status_code == 409


async def test_of_two_owners_who_demote_each_other_one_stays(login_as: LoginAs, tenant: UUID) -> None:
    one, two = await login_as(tenant, "owner"), await login_as(tenant, "owner")
    both = await asyncio.gather(change(one, two, role="viewer"), change(two, one, role="viewer"))
    assert sorted(response.status_code for response in both) in ([200, 409], [200, 403])
    listed = (await (await login_as(tenant, "admin")).get(USERS, params={"role": "owner"})).json()["items"]
    assert len(listed) == 1


async def test_disabling_ends_every_session_at_once_and_can_be_undone(
    client: ApiClient, admin: ApiClient, viewer: ApiClient
) -> None:
    assert (await viewer.get("/api/v1/tenant")).status_code == 200
    assert (await admin.delete(f"{USERS}/{viewer.user_id}")).status_code == 204
    assert (await viewer.get("/api/v1/tenant")).status_code == 401
    refresh = {"refresh_token": viewer.tokens.refresh}
    assert (await client.post("/api/v1/auth/refresh", json=refresh)).status_code == 401
    assert (await admin.delete(f"{USERS}/{viewer.user_id}")).status_code == 204  # again: already so
    assert (await change(admin, viewer, status="active")).json()["status"] == "active"
    assert (await client.post("/api/v1/auth/refresh", json=refresh)).status_code == 401  # the old session stays ended


async def test_a_borrowers_account_does_not_become_staff(admin: ApiClient, borrower: ApiClient) -> None:
    response = await change(admin, borrower, role="viewer")
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/role")
    assert (await change(admin, borrower, status="disabled")).status_code == 200
    assert (await borrower.get("/api/v1/portal/profile")).status_code == 401


async def test_a_list_is_paged_and_filtered(admin: ApiClient) -> None:
    created = [(await admin.post(USERS, json=invitation())).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "2", "status": "invited"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get(USERS, params=params)).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == created[::-1]
    assert [user["id"] for user in (await admin.get(USERS, params={"role": "admin"})).json()["items"]] == [
        str(admin.user_id)
    ]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=99999999999999999999", "cursor=x", "cursor=%C3%A9", "role=king"]
)
async def test_an_unacceptable_filter_is_named(admin: ApiClient, query: str) -> None:
    response = await admin.get(f"{USERS}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/" + query.partition("=")[0]


async def test_every_change_is_in_the_audit_trail(admin: ApiClient, viewer: ApiClient) -> None:
    await change(admin, viewer, role="loan_officer", reason="promoted")
    params = {"object_type": "user", "object_id": str(viewer.user_id)}
    entry = (await admin.get("/api/v1/audit", params=params)).json()["items"][0]
    assert entry["action"] == "user.changed"
    assert (entry["before"], entry["after"]) == ({"role": "viewer"}, {"role": "loan_officer"})
    assert (entry["actor_id"], entry["reason"]) == (str(admin.user_id), "promoted")
    await change(admin, viewer, role="loan_officer")  # nothing changes, nothing is recorded
    assert (await admin.get("/api/v1/audit", params=params)).json()["items"][0]["id"] == entry["id"]
