"""The rail over HTTP: how drafts go out, and the files that were made for the bank."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.models.tenancy import audit_log
from infra.settings import Settings
from services import rail_files
from tests.achvalidate import Validator
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant
from tests.rails.lender import Lender
from tests.services import sending
from tests.services.lending import UowOf, counts
from tests.workflows.platform import VAULT, Rows

SETTINGS = "/api/v1/tenant/rail"
ORIGINATOR = {
    "destination_routing": "091000019",
    "destination_name": "First Bank",
    "origin": "1123456789",
    "origin_name": "Example Lending",
    "company_name": "Example Lending",
    "company_id": "1123456789",
    "odfi_routing": "091000019",
}
NACHA: dict[str, Any] = {"rail": "nacha", "cutoff_time": "15:30", "sec_code": "PPD", "originator": ORIGINATOR}


async def test_a_lender_begins_with_the_sandbox_and_chooses_its_bank(
    viewer: ApiClient, admin: ApiClient, uow_of: UowOf, tenant: UUID
) -> None:
    first = (await viewer.get(SETTINGS)).json()
    assert first == {"rail": "sandbox", "cutoff_time": "16:00", "sec_code": "WEB", "originator": None}

    for _ in range(2):
        chosen = await admin.put(SETTINGS, json=NACHA | {"reason": "our agreement with First Bank"})
        assert (chosen.status_code, chosen.json()) == (200, NACHA)

    assert (await viewer.get(SETTINGS)).json() == NACHA
    async with uow_of(tenant) as uow:
        (trail,) = await uow.all(select(audit_log).where(audit_log.c.action == "rail_settings.changed"))
    assert (trail["before"]["rail"], trail["after"]["rail"]) == ("sandbox", "nacha")
    assert trail["reason"] == "our agreement with First Bank"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no originator": ({"originator": None}, "/originator"),
    "a routing number that is none": (
        {"originator": ORIGINATOR | {"odfi_routing": "091000018"}},
        "/originator/odfi_routing",
    ),
    "an origin in small letters": ({"originator": ORIGINATOR | {"origin": "abc"}}, "/originator/origin"),
    "a name of no letters": ({"originator": ORIGINATOR | {"company_name": "李"}}, "/originator/company_name"),
    "a cutoff before drafts are prepared": ({"cutoff_time": "07:00"}, "/cutoff_time"),
    "a time that is none": ({"cutoff_time": "25:00"}, "/cutoff_time"),
    "a rail that is none": ({"rail": "fedwire"}, "/rail"),
    "an unknown field": ({"rails": "nacha"}, "/rails"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_no_file_could_hold_is_refused_by_its_field(
    admin: ApiClient, uow_of: UowOf, tenant: UUID, wrong: str
) -> None:
    changes, pointer = WRONG[wrong]
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    refused = await admin.put(SETTINGS, json=NACHA | changes)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before


async def test_files_are_listed_shown_and_read_by_who_may(
    engine: AsyncEngine, settings: Settings, make_tenant: MakeTenant, login_as: LoginAs, achvalidate: Validator
) -> None:
    rows = Rows(engine, await make_tenant(date(2020, 10, 9)))
    admin, officer = await login_as(rows.tenant, "admin"), await login_as(rows.tenant, "loan_officer")
    assert (await admin.put(SETTINGS, json=NACHA)).status_code == 200
    lender = Lender(rows, settings)
    await lender.enrolled()
    cutoff_id = await sending.due(rows)
    await sending.collect(rows, cutoff_id)
    async with rows.uow() as uow:
        await rail_files.batch(uow, VAULT, cutoff_id)
        await uow.commit()

    (listed,) = (await officer.get("/api/v1/rail/files")).json()["items"]
    shown = (await officer.get(f"/api/v1/rail/files/{listed['id']}")).json()
    assert shown == listed
    assert (shown["name"], shown["amount"], shown["cutoff"]) == ("ach-2020-10-09-1.txt", "297.47", 1)
    assert (shown["stored_at"], shown["acknowledged_at"]) == (None, None)
    url = f"/api/v1/rail/files/{listed['id']}/content"
    assert (await officer.get(url)).status_code == 403
    content = await admin.get(url)
    assert (content.status_code, len(content.content)) == (200, shown["size"])
    assert content.headers["content-disposition"] == 'attachment; filename="ach-2020-10-09-1.txt"'
    assert achvalidate(content.content).debits == 297_47
    (read,) = await rows.all(select(audit_log).where(audit_log.c.action == "rail_file.read"))
    assert read["actor_id"] == admin.user_id
