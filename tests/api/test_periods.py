"""Accounting periods over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import ApiClient
from tests.services.lending import UowOf, active_loan, jump

URL = "/api/v1/gl/periods"


@pytest.fixture
async def books(uow_of: UowOf, tenant: UUID) -> UUID:
    """A loan of 9 September; the business date is 4 November."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 11, 4))
    return loan_id


async def post(client: ApiClient, path: str, status: int = 200, **sent: Any) -> Any:
    response = await client.post(f"{URL}/{path}", **sent)
    assert response.status_code == status, response.text
    return response.json()


async def test_months_are_closed_and_reopened_by_the_owner(tenant_owner: ApiClient, books: UUID) -> None:
    closed = await post(tenant_owner, "2020-09/close")
    assert (closed["month"], closed["status"], closed["closed_by"]) == ("2020-09", "closed", str(tenant_owner.user_id))
    await post(tenant_owner, "2020-10/close")
    found = (await tenant_owner.get(URL)).json()
    assert [(p["month"], p["status"]) for p in found] == [("2020-11", "open"), ("2020-10", "closed"), ("2020-09", "closed")]
    refused = await post(tenant_owner, "2020-09/reopen", 409, json={"reason": "An invoice was missing"})
    assert (refused["code"], refused["state"], refused["allowed"]) == ("period_out_of_order", "closed", ["2020-10"])
    reopened = await post(tenant_owner, "2020-10/reopen", json={"reason": "An invoice was missing"})
    assert (reopened["status"], reopened["reopened_by"]) == ("open", str(tenant_owner.user_id))
    audit = (await tenant_owner.get("/api/v1/audit", params={"object_type": "period"})).json()["items"]
    assert [(a["action"], a["reason"]) for a in audit] == [
        ("period.reopened", "An invoice was missing"),
        ("period.closed", None),
        ("period.closed", None),
    ]


async def test_a_retry_with_its_key_gets_the_first_answer(tenant_owner: ApiClient, books: UUID) -> None:
    headers = {"Idempotency-Key": "close-september"}
    first = await post(tenant_owner, "2020-09/close", headers=headers)
    assert await post(tenant_owner, "2020-09/close", headers=headers) == first
    again = await post(tenant_owner, "2020-09/close", 409)
    assert (again["code"], again["allowed"]) == ("period_closed", ["2020-10"])


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("2020-11/close", None, 409, "period_not_ended"),
        ("2020-10/close", None, 409, "period_out_of_order"),
        ("2020-09/reopen", {"reason": "x"}, 409, "period_open"),
        ("2020-9/close", None, 422, "invalid_input"),
        ("september/close", None, 422, "invalid_input"),
        ("2020-09/reopen", {"reason": ""}, 422, "invalid_input"),
        ("2020-09/reopen", {}, 422, "invalid_input"),
    ],
)
async def test_refusals(
    tenant_owner: ApiClient, books: UUID, path: str, body: dict[str, Any] | None, status: int, says: str
) -> None:
    problem = await post(tenant_owner, path, status, **({} if body is None else {"json": body}))
    assert problem["code"] == says


async def test_an_admin_may_not_and_a_viewer_sees(admin: ApiClient, viewer: ApiClient, books: UUID) -> None:
    await post(admin, "2020-09/close", 403)
    await post(admin, "2020-09/reopen", 403, json={"reason": "x"})
    assert [p["status"] for p in (await viewer.get(URL)).json()] == ["open"] * 3


async def test_the_trial_balance_of_a_closed_month_stays(tenant_owner: ApiClient, books: UUID) -> None:
    params = {"as_of": "2020-09-30"}
    await post(tenant_owner, "2020-09/close")
    before = (await tenant_owner.get("/api/v1/gl/trial-balance", params=params)).json()
    body = {"amount": "500.00", "payment_method": "wire", "effective_date": "2020-09-20"}
    response = await tenant_owner.post(f"/api/v1/loans/{books}/payments", json=body)
    assert response.status_code == 201, response.text
    assert (await tenant_owner.get("/api/v1/gl/trial-balance", params=params)).json() == before
    posted = (await tenant_owner.get(f"/api/v1/loans/{books}/journal")).json()["items"]
    payment = next(entry for entry in posted if entry["kind"] == "payment")
    assert (payment["effective_date"], payment["posting_date"]) == ("2020-09-20", "2020-11-04")
