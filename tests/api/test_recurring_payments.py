"""Recurring payments over HTTP, with the bodies of the public reference."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from infra.db.models.processes import autopay_enrolments
from infra.db.models.servicing import payment_instruments
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.workflows.platform import Borrowed, Rows


@pytest.fixture
def rows(engine: Any, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


@pytest.fixture
async def borrowed(rows: Rows) -> Borrowed:
    """A loan of 9 September 2020, today, with 297.47 due on the 9th of each month."""
    return await rows.borrowed()


def body_of(borrowed: Borrowed, **others: Any) -> dict[str, Any]:
    """The body of the public reference."""
    return {
        "payment_instrument_id": str(borrowed.instrument_id),
        "amount": "312.50",
        "frequency": "monthly",
        "start_date": "2020-10-01",
        "end_date": None,
        **others,
    }


def url_of(borrowed: Borrowed, *, portal: bool = False) -> str:
    return f"/api/v1/{'portal/' if portal else ''}loans/{borrowed.loan_id}/recurring-payments"


async def create(client: ApiClient, borrowed: Borrowed, **others: Any) -> dict[str, Any]:
    response = await client.post(url_of(borrowed), json=body_of(borrowed, **others))
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def test_the_body_of_the_reference_is_taken_as_it_stands(
    loan_officer: ApiClient, viewer: ApiClient, borrowed: Borrowed, rows: Rows
) -> None:
    created = await create(loan_officer, borrowed)
    sent = body_of(borrowed)
    assert {name: created[name] for name in sent} == sent
    assert (created["status"], created["next_payment_date"]) == ("active", "2020-10-01")
    assert created["in_words"] == "312.50 every month on the 1st, from 2020-10-01 on"
    (intent,) = await rows.intents(created["workflow_id"])
    assert (intent["action"], intent["workflow_type"]) == ("start", "AutopayWorkflow")
    listed = (await viewer.get(url_of(borrowed))).json()
    assert (listed["items"], listed["next_cursor"]) == ([created], None)
    assert (await viewer.get(created["status_url"])).status_code == 200


async def test_there_may_be_many_beside_the_one_autopay(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    autopay = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    enrolled = await loan_officer.post(autopay, json={"payment_instrument_id": str(borrowed.instrument_id)})
    ids = [(await create(loan_officer, borrowed, frequency="weekly"))["id"] for _ in range(3)]
    second = await loan_officer.post(autopay, json={"payment_instrument_id": str(borrowed.instrument_id)})
    assert (second.status_code, second.json()["code"]) == (409, "autopay_already_enrolled")
    assert (await loan_officer.get(autopay)).json()["id"] == enrolled.json()["id"]
    first = (await loan_officer.get(url_of(borrowed), params={"limit": 2})).json()
    rest = (await loan_officer.get(url_of(borrowed), params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]


@pytest.mark.parametrize(
    ("others", "pointer"),
    [
        ({"payment_instrument_id": "772a0622"}, "/payment_instrument_id"),
        ({"payment_instrument_id": str(new_id())}, "/payment_instrument_id"),
        ({"payment_instrument_id": None}, "/payment_instrument_id"),
        ({"amount": "0.00"}, "/amount"),
        ({"amount": "-5.00"}, "/amount"),
        ({"amount": 312.5}, "/amount"),
        ({"amount": "1.005"}, "/amount"),
        ({"frequency": "due_dates"}, "/frequency"),
        ({"frequency": "custom"}, "/frequency"),
        ({"frequency": "daily"}, "/frequency"),
        ({"start_date": "2020-09-08"}, "/start_date"),
        ({"start_date": "2020-02-30"}, "/start_date"),
        ({"end_date": "2020-09-30"}, "/end_date"),
        ({"start_date": "2020-10-03", "end_date": "2020-10-04"}, "/end_date"),  # a weekend: nothing would go out
        ({"amount_type": "next_due"}, "/amount_type"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_field(
    loan_officer: ApiClient, borrowed: Borrowed, rows: Rows, others: dict[str, Any], pointer: str
) -> None:
    refused = await loan_officer.post(url_of(borrowed), json=body_of(borrowed, **others))
    assert refused.status_code == 422, refused.text
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    assert await rows.all(select(autopay_enrolments)) == []


async def test_an_instrument_of_which_only_the_last_four_are_known_cannot_be_drafted(
    loan_officer: ApiClient, borrowed: Borrowed, rows: Rows
) -> None:
    async with rows.uow() as uow:
        own = payment_instruments.c.id == borrowed.instrument_id
        await uow.execute(update(payment_instruments).where(own).values(account_number_encrypted=None))
        await uow.commit()
    refused = await loan_officer.post(url_of(borrowed), json=body_of(borrowed))
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "instrument_not_draftable")
    assert "add the account number or a processor's token" in refused.json()["detail"]


async def test_cancelling_ends_it_once_and_another_time_says_so(
    loan_officer: ApiClient, viewer: ApiClient, borrowed: Borrowed
) -> None:
    created = await create(loan_officer, borrowed)
    url = f"/api/v1/recurring-payments/{created['id']}"
    assert (await viewer.post(f"{url}/cancel")).status_code == 403
    cancelled = await loan_officer.post(f"{url}/cancel", json={"reason": "paid by card from now on"})
    assert cancelled.status_code == 200, cancelled.text
    assert (cancelled.json()["status"], cancelled.json()["next_payment_date"]) == ("cancelled", None)
    assert cancelled.json()["end_reason"] == "paid by card from now on"
    again = await loan_officer.post(f"{url}/cancel")
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")
    assert again.json()["detail"].startswith("The recurring payment is cancelled")
    preview = (await viewer.get(f"{url}/preview")).json()
    assert (preview["drafts"], preview["end_reason"]) == ([], "paid by card from now on")


async def test_an_autopay_is_no_recurring_payment(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    autopay = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    enrolled = await loan_officer.post(autopay, json={"payment_instrument_id": str(borrowed.instrument_id)})
    url = f"/api/v1/recurring-payments/{enrolled.json()['id']}"
    assert (await loan_officer.post(f"{url}/cancel")).status_code == 404
    assert (await loan_officer.get(f"{url}/preview")).status_code == 404
    assert (await loan_officer.get(url_of(borrowed))).json()["items"] == []


async def test_the_same_request_twice_creates_one(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    key = {"Idempotency-Key": "recurring-1"}
    first, second = [await loan_officer.post(url_of(borrowed), json=body_of(borrowed), headers=key) for _ in range(2)]
    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
    assert len((await loan_officer.get(url_of(borrowed))).json()["items"]) == 1


async def test_a_borrower_has_their_own_only(
    rows: Rows, borrowed: Borrowed, login_as: LoginAs, tenant: UUID, borrower: ApiClient, viewer: ApiClient
) -> None:
    own = await login_as(tenant, "borrower", borrower_id=(await rows.loan(borrowed.loan_id))["borrower_id"])
    url = url_of(borrowed, portal=True)
    created = await own.post(url, json=body_of(borrowed))
    assert created.status_code == 201, created.text
    assert "workflow_id" not in created.json()
    mine = f"/api/v1/portal/recurring-payments/{created.json()['id']}"
    assert (await own.get(url)).json()["items"] == [created.json()]
    assert len((await own.get(f"{mine}/preview")).json()["drafts"]) == 12
    for client, status in ((borrower, 404), (viewer, 403)):
        assert (await client.get(url)).status_code == status
        assert (await client.post(url, json=body_of(borrowed))).status_code == status
        assert (await client.get(f"{mine}/preview")).status_code == status
        assert (await client.post(f"{mine}/cancel")).status_code == status
    assert (await own.post(f"{mine}/cancel")).json()["end_reason"] == "cancelled by the borrower"


async def test_only_an_active_loan_takes_one(loan_officer: ApiClient, viewer: ApiClient, borrowed: Borrowed) -> None:
    assert (await viewer.post(url_of(borrowed), json=body_of(borrowed))).status_code == 403
    await loan_officer.post(
        f"/api/v1/loans/{borrowed.loan_id}/payments", json={"amount": "20000.00", "payment_method": "wire"}
    )
    refused = await loan_officer.post(url_of(borrowed), json=body_of(borrowed))
    assert (refused.status_code, refused.json()["state"], refused.json()["allowed"]) == (409, "paid_off", ["active"])
