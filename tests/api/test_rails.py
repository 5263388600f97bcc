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
from services import rail_files, returns
from tests import bank
from tests.achvalidate import Validator
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant
from tests.rails.lender import Lender, by_nacha
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
    "a time with a sign": ({"cutoff_time": "+9:30"}, "/cutoff_time"),
    "a time in other digits": ({"cutoff_time": "٠٩:٣٠"}, "/cutoff_time"),
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


RETURNS = "/api/v1/rail/return-files"


async def upload(client: ApiClient, content: bytes) -> Any:
    return await client.post(RETURNS, content=content, headers={"Content-Type": "text/plain"})


class TestReturnFiles:
    @pytest.fixture
    async def lender(self, engine: AsyncEngine, settings: Settings, make_tenant: MakeTenant) -> Lender:
        found = Lender(Rows(engine, await make_tenant(date(2020, 10, 9))), settings)
        await by_nacha(found.rows)
        await found.enrolled()
        cutoff_id = await sending.due(found.rows)
        await sending.collect(found.rows, cutoff_id)
        async with found.rows.uow() as uow:
            await rail_files.batch(uow, VAULT, cutoff_id)
            await uow.commit()
        return found

    async def ours(self, lender: Lender) -> bytes:
        (file,) = await lender.files()
        async with lender.rows.uow() as uow:
            return (await rail_files.content(uow, VAULT, file["id"]))[1]

    async def test_from_the_upload_to_what_became_of_each_answer(self, lender: Lender, login_as: LoginAs) -> None:
        officer = await login_as(lender.rows.tenant, "loan_officer")
        ours = await self.ours(lender)
        (trace,) = bank.traces(ours)
        content = bank.answer(ours, [bank.Answer(trace, "R01")], date(2020, 10, 13))

        taken = await upload(officer, content)
        assert taken.status_code == 201, taken.text
        file = taken.json()
        assert (file["status"], file["pending"], file["workflow_id"]) == ("received", 1, f"rail-returns/{file['id']}")
        again = await upload(officer, content)
        assert (again.status_code, again.json()["id"]) == (200, file["id"])

        async with lender.rows.uow() as uow:
            for answer_id in await returns.next_answers(uow, UUID(file["id"]), 10):
                await returns.take(uow, VAULT, answer_id)
            await returns.progress(uow, UUID(file["id"]))
            await uow.commit()

        shown = (await officer.get(f"{RETURNS}/{file['id']}")).json()
        assert (shown["status"], shown["posted"], shown["pending"]) == ("done", 1, 0)
        (answer,) = shown["answers"]
        assert (answer["code"], answer["title"], answer["outcome"]) == ("R01", "Insufficient Funds", "posted")
        assert (answer["original_trace"], answer["amount"]) == (trace, "297.47")
        (listed,) = (await officer.get(RETURNS)).json()["items"]
        assert listed["posted"] == 1
        payment = (await officer.get(f"/api/v1/payments/{answer['payment_id']}")).json()
        assert (payment["status"], payment["return_code"]) == ("returned", "R01")
        reversal = (await officer.get(f"/api/v1/payments/{answer['payment_id']}/reversal")).json()
        assert (reversal["reason"], reversal["requested_by"]) == ("R01 Insufficient Funds", None)
        process = (await officer.get(shown["status_url"])).json()
        assert process["workflow_type"] == "RailReturnsWorkflow"

    @pytest.mark.parametrize(
        ("content", "status", "code"),
        [
            (b"no bank sent this", 422, "damaged_nacha_file"),
            (b"", 422, None),
            (b"\xff\x00" * 94, 422, "damaged_nacha_file"),
        ],
    )
    async def test_what_is_no_sound_file_is_refused_and_nothing_written(
        self, lender: Lender, login_as: LoginAs, content: bytes, status: int, code: str | None
    ) -> None:
        officer = await login_as(lender.rows.tenant, "loan_officer")
        async with lender.rows.uow() as uow:
            before = await counts(uow)
        refused = await upload(officer, content)
        assert refused.status_code == status, refused.text
        assert code in (None, refused.json()["code"])
        async with lender.rows.uow() as uow:
            assert await counts(uow) == before

    async def test_cases_are_listed_and_resolved(self, lender: Lender, login_as: LoginAs) -> None:
        officer = await login_as(lender.rows.tenant, "loan_officer")
        ours = await self.ours(lender)
        content = bank.answer(ours, [bank.Answer(bank.traces(ours)[0], "R18")], date(2020, 10, 13))
        file_id = (await upload(officer, content)).json()["id"]
        async with lender.rows.uow() as uow:
            for answer_id in await returns.next_answers(uow, UUID(file_id), 10):
                await returns.take(uow, VAULT, answer_id)
            await uow.commit()
        (case,) = (await officer.get("/api/v1/cases?status=open")).json()["items"]
        assert (case["kind"], case["detail"]) == ("return_to_review", "R18 Improper Effective Entry Date")
        assert (await officer.get("/api/v1/cases?status=resolved")).json()["items"] == []
        url = f"/api/v1/cases/{case['id']}"
        solved = await officer.post(f"{url}/resolve", json={"resolution": "the bank had the wrong day"})
        assert (solved.status_code, solved.json()["status"]) == (200, "resolved")
        again = await officer.post(f"{url}/resolve", json={"resolution": "the bank had the wrong day"})
        assert (again.status_code, again.json()["code"]) == (409, "case_ended")
        assert (await officer.get(url)).json()["resolved_by"] == str(officer.user_id)
