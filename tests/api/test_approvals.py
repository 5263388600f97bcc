"""What waits for a second person: one list, for those who decide."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant
from tests.services.lending import UowOf, active_loan, jump, pay
from tests.services.refunding import KEPT, limit

URL = "/api/v1/approvals"
FIELDS = {
    "kind",
    "id",
    "loan_id",
    "loan_number",
    "payment_id",
    "amount",
    "reason",
    "assess_nsf_fee",
    "override",
    "requested_by",
    "requested_by_name",
    "requested_on",
    "requested_at",
    "may",
    "approve_url",
    "reject_url",
}


async def listed(client: ApiClient, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(URL, params=params)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def asked(client: ApiClient, url: str, body: dict[str, Any]) -> Any:
    response = await client.post(f"/api/v1{url}", json=body)
    assert response.status_code in (201, 202), response.text
    return response.json()


@pytest.fixture
async def waiting(uow_of: UowOf, tenant: UUID, loan_officer: ApiClient) -> list[dict[str, Any]]:
    """A reversal, a refund of another payment and a reimbursement of another loan that wait, asked for in this order."""
    loan_id, other = [await active_loan(uow_of, tenant, KEPT) for _ in range(2)]
    await jump(uow_of, tenant, date(2020, 10, 9))
    first, second = [await pay(uow_of, tenant, loan_id, 400_00) for _ in range(2)]
    await limit(uow_of, tenant, 5_00)
    return [
        await asked(loan_officer, f"/payments/{first.id}/reverse", {"reason": "nsf", "assess_nsf_fee": False}),
        await asked(loan_officer, f"/payments/{second.id}/refund", {"amount": "40.00", "reason": "paid twice"}),
        await asked(loan_officer, f"/loans/{other}/payments/reimbursement", {"amount": "7.00", "reason": "our mistake"}),
    ]


async def test_it_says_who_asked_when_how_much_and_what_the_caller_may_do(
    login_as: LoginAs, tenant: UUID, loan_officer: ApiClient, waiting: list[dict[str, Any]]
) -> None:
    second = await login_as(tenant, "loan_officer")
    found = await listed(second)
    assert [(item["kind"], item["amount"], item["id"]) for item in found] == [
        ("reimbursement", "7.00", waiting[2]["id"]),
        ("refund", "40.00", waiting[1]["id"]),
        ("reversal", "400.00", waiting[0]["id"]),
    ]
    assert all(item.keys() == FIELDS for item in found)
    goodwill, refund, reversal = found
    assert (refund["payment_id"], refund["override"], refund["assess_nsf_fee"]) == (waiting[1]["payment_id"], False, None)
    assert (reversal["payment_id"], reversal["override"], reversal["assess_nsf_fee"]) == (
        waiting[0]["payment_id"],
        None,
        False,
    )
    assert (goodwill["payment_id"], goodwill["loan_id"]) == (None, waiting[2]["loan_id"])
    for item in found:
        assert (item["requested_by"], item["requested_by_name"]) == (str(loan_officer.user_id), "Test User")
        assert (item["requested_on"], item["may"]) == ("2020-10-09", ["approve", "reject"])
        assert item["loan_number"].startswith("L-")
    assert [item["may"] for item in await listed(loan_officer)] == [[], [], []], "whoever asked does not decide"


async def test_what_it_says_may_be_done_can_be_done_and_is_then_gone_from_it(
    login_as: LoginAs, tenant: UUID, loan_officer: ApiClient, waiting: list[dict[str, Any]]
) -> None:
    second = await login_as(tenant, "admin")
    goodwill, refund, reversal = await listed(second)
    for item in (goodwill, refund, reversal):
        assert (await loan_officer.post(item["approve_url"])).status_code == 403
        assert (await loan_officer.post(item["reject_url"], json={"reason": "x"})).status_code == 403
    assert (await second.post(goodwill["approve_url"])).status_code == 200
    assert [item["id"] for item in await listed(second)] == [refund["id"], reversal["id"]]
    assert (await second.post(refund["reject_url"], json={"reason": "x"})).status_code == 200
    assert (await second.post(reversal["approve_url"])).status_code == 200
    assert await listed(second) == []


async def test_filters_and_pages(loan_officer: ApiClient, waiting: list[dict[str, Any]]) -> None:
    for kind, item in zip(("reversal", "refund", "reimbursement"), waiting, strict=True):
        assert [found["id"] for found in await listed(loan_officer, kind=kind)] == [item["id"]]
    first, other = waiting[0]["loan_id"], waiting[2]["loan_id"]
    assert len(await listed(loan_officer, loan_id=first)) == 2
    assert len(await listed(loan_officer, loan_id=first, kind="refund")) == 1
    assert await listed(loan_officer, loan_id=other, kind="refund") == []
    assert await listed(loan_officer, loan_id=str(new_id())) == []
    seen, cursor = [], None
    for _ in range(3):
        page = (await loan_officer.get(URL, params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == ([item["id"] for item in reversed(waiting)], None)


@pytest.mark.parametrize("params", [{"kind": "autopay"}, {"loan_id": "1"}, {"limit": 0}, {"cursor": "!"}])
async def test_bad_input(loan_officer: ApiClient, params: dict[str, Any]) -> None:
    response = await loan_officer.get(URL, params=params)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{next(iter(params))}")


async def test_who_may_not_approve_does_not_see_it_and_other_lenders_have_their_own(
    viewer: ApiClient, make_tenant: MakeTenant, login_as: LoginAs, waiting: list[dict[str, Any]]
) -> None:
    assert (await viewer.get(URL)).status_code == 403
    assert await listed(await login_as(await make_tenant(), "owner")) == []
