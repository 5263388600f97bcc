"""Tenants: made by an operator, set up by their admins, shown to their borrowers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Conflict, InvalidInput
from infra.db.models.tenancy import business_days, tenants
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import BusinessMode
from services.tenants import CreateTenant, create_tenant
from tests.api.conftest import ApiClient

TENANT = "/api/v1/tenant"
BRANDING = {
    "logo_url": "https://cdn.acmelending.com/logo.png",
    "primary_color": "#1976d2",
    "secondary_color": "#dc004e",
    "support_email": "support@acmelending.com",
    "support_phone": "+18005551234",
}


async def test_an_admin_changes_settings_and_the_trail_says_from_what_to_what(admin: ApiClient, viewer: ApiClient) -> None:
    body = {"zone": "America/Chicago", "approval_limit": "5000.00", "branding": BRANDING, "reason": "opening"}
    changed = await admin.patch(TENANT, json=body)
    assert changed.status_code == 200
    shown = (await viewer.get(TENANT)).json()
    assert shown == changed.json()
    assert (shown["zone"], shown["approval_limit"], shown["branding"]) == ("America/Chicago", "5000.00", BRANDING)
    entry = (await admin.get("/api/v1/audit", params={"object_type": "tenant"})).json()["items"][0]
    assert entry["before"] == {"zone": "America/New_York", "approval_limit": None, "branding": {}}
    assert entry["after"] == {"zone": "America/Chicago", "approval_limit": "5000.00", "branding": BRANDING}
    assert (entry["reason"], entry["business_date"]) == ("opening", "2020-09-09")


async def test_what_is_absent_stays_and_null_removes(admin: ApiClient) -> None:
    await admin.patch(TENANT, json={"approval_limit": "5000.00", "branding": BRANDING})
    await admin.patch(TENANT, json={"branding": {"support_phone": None, "primary_color": "#000000"}})
    shown = (await admin.get(TENANT)).json()
    assert shown["approval_limit"] == "5000.00"
    assert shown["branding"] == {**BRANDING, "support_phone": None, "primary_color": "#000000"}
    await admin.patch(TENANT, json={"approval_limit": None})
    assert (await admin.get(TENANT)).json()["approval_limit"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"zone": "Mars/Olympus"}, "/zone"),
        ({"zone": "../../etc/passwd"}, "/zone"),
        ({"zone": "localtime"}, "/zone"),
        ({"zone": "Factory"}, "/zone"),
        ({"zone": None}, "/zone"),
        ({"name": "Acme\nBcc: all@example.com"}, "/name"),
        ({"name": "Acme\u0007"}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"approval_limit": "-1.00"}, "/approval_limit"),
        ({"approval_limit": 5000}, "/approval_limit"),
        ({"approval_limit": "5000.001"}, "/approval_limit"),
        ({"approval_limit": "1e3"}, "/approval_limit"),
        ({"branding": {"primary_color": "red"}}, "/branding/primary_color"),
        ({"branding": {"logo_url": "javascript:alert(1)"}}, "/branding/logo_url"),
        ({"branding": {"support_email": "x"}}, "/branding/support_email"),
        ({"business_date": "2030-01-01"}, "/business_date"),
        ({"slug": "other"}, "/slug"),
    ],
)
async def test_an_unacceptable_setting_is_named(admin: ApiClient, body: dict[str, Any], pointer: str) -> None:
    before = (await admin.get(TENANT)).text
    response = await admin.patch(TENANT, json=body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await admin.get(TENANT)).text == before


async def test_the_portal_shows_the_lender_before_anybody_logs_in(
    client: ApiClient, admin: ApiClient, owner: AsyncEngine
) -> None:
    """The fields of the reference, found by slug or by host."""
    host = f"loans-{new_id().hex}.example.com"
    slug = host.partition(".")[0]
    command = CreateTenant(slug, "Acme Lending", "America/New_York", BusinessMode.SANDBOX, date(2020, 9, 9), host)
    await create_tenant(owner, command)
    empty = {"tenant_name": "Acme Lending"} | dict.fromkeys(BRANDING)
    assert (await client.get("/api/v1/portal/config", params={"tenant": slug})).json() == empty
    assert (await client.get("/api/v1/portal/config", headers={"Host": f"{host}:443"})).json() == empty
    await admin.patch(TENANT, json={"branding": BRANDING})
    own_slug = (await admin.get(TENANT)).json()["slug"]
    shown = await client.get("/api/v1/portal/config", params={"tenant": own_slug})
    assert shown.json() == {"tenant_name": "Test Lending", **BRANDING}
    for params in ({"tenant": "no-such-lender"}, {}):
        assert (await client.get("/api/v1/portal/config", params=params)).status_code == 404


async def test_a_new_tenant_has_its_first_business_day_open(
    owner: AsyncEngine, uow_of: Callable[[UUID], UnitOfWork]
) -> None:
    """Without a date: today where the lender is, not where the server is."""
    command = CreateTenant(f"k-{new_id().hex}", "Kiritimati Loans", "Pacific/Kiritimati", BusinessMode.LIVE)
    tenant_id = await create_tenant(owner, command, lambda: datetime(2026, 2, 28, 12, tzinfo=UTC))
    async with uow_of(tenant_id) as uow:
        assert await uow.business_date() == date(2026, 3, 1)
        assert [row["business_date"] for row in await uow.all(select(business_days))] == [date(2026, 3, 1)]
        assert len(await uow.all(select(tenants))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "Not A Slug"},
        {"slug": "-x"},
        {"slug": "x" * 64},
        {"name": " "},
        {"zone": "Nowhere"},
        {"host": "UPPER.example.com"},
        {"host": "a b"},
        {"host": "x:80"},
    ],
)
async def test_a_tenant_with_unacceptable_names_is_refused(owner: AsyncEngine, changes: dict[str, str]) -> None:
    values = {"slug": "fine", "name": "Fine", "zone": "UTC", "mode": BusinessMode.SANDBOX, **changes}
    with pytest.raises(InvalidInput):
        await create_tenant(owner, CreateTenant(**values))  # type: ignore[arg-type]


async def test_a_slug_or_host_belongs_to_one_tenant(owner: AsyncEngine) -> None:
    slug = f"t-{new_id().hex}"

    def command(slug: str, host: str | None = None) -> CreateTenant:
        return CreateTenant(slug, "T", "UTC", BusinessMode.SANDBOX, date(2020, 9, 9), host)

    await create_tenant(owner, command(slug, f"{slug}.example.com"))
    for taken in (command(slug), command("other", f"{slug}.example.com"), command("other", slug)):
        with pytest.raises(Conflict):
            await create_tenant(owner, taken)
    parallel = f"p-{new_id().hex}"
    both = await asyncio.gather(*(create_tenant(owner, command(parallel)) for _ in range(2)), return_exceptions=True)
    assert sorted(isinstance(result, UUID) for result in both) == [False, True]
