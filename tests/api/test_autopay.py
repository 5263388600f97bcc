"""Autopay, the business date and processes over HTTP, with Temporal away: nothing of it waits for Temporal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from infra.db.models.processes import workflow_intents
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant
from tests.workflows.platform import Borrowed, Rows

RowsOf = Callable[[UUID], Rows]


@pytest.fixture
def rows_of(engine: Any) -> RowsOf:
    return lambda tenant: Rows(engine, tenant)


@pytest.fixture
async def borrowed(rows_of: RowsOf, tenant: UUID) -> Borrowed:
    return await rows_of(tenant).borrowed()


@pytest.fixture
async def borrower_of(
    rows_of: RowsOf, tenant: UUID, borrowed: Borrowed, login_as: LoginAs
) -> Callable[[], Awaitable[ApiClient]]:
    async def login() -> ApiClient:
        loan = await rows_of(tenant).loan(borrowed.loan_id)
        return await login_as(tenant, "borrower", borrower_id=loan["borrower_id"])

    return login


def terms(borrowed: Borrowed, **others: Any) -> dict[str, Any]:
    return {"payment_instrument_id": str(borrowed.instrument_id), **others}


async def test_enrolling_answers_at_once_with_the_process_and_its_intent_is_kept(
    loan_officer: ApiClient, borrowed: Borrowed, rows_of: RowsOf, tenant: UUID
) -> None:
    response = await loan_officer.post(f"/api/v1/loans/{borrowed.loan_id}/autopay", json=terms(borrowed))

    assert response.status_code == 201, response.text
    body = response.json()
    assert (body["status"], body["amount_type"], body["next_process_date"]) == ("active", "next_due", "2020-10-09")
    assert (body["workflow_id"], body["workflow"]) == (f"autopay/{body['id']}", None)
    (intent,) = await rows_of(tenant).intents(body["workflow_id"])
    assert (intent["action"], intent["workflow_type"], intent["status"]) == ("start", "AutopayWorkflow", "pending")
    assert intent["payload"] == {"tenant_id": str(tenant), "enrolment_id": body["id"]}

    process = await loan_officer.get(body["status_url"])
    assert process.status_code == 200, process.text
    assert (process.json()["delivery"], process.json()["workflow_status"]) == ("pending", None)
    shown = await loan_officer.get(f"/api/v1/loans/{borrowed.loan_id}/autopay")
    assert shown.json() == body


async def test_a_second_enrolment_is_refused_and_says_which_one_is_open(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    url = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    first = await loan_officer.post(url, json=terms(borrowed))
    second = await loan_officer.post(url, json=terms(borrowed))
    assert (second.status_code, second.json()["code"]) == (409, "autopay_already_enrolled")
    assert first.json()["id"] in second.json()["detail"]


@pytest.mark.parametrize(
    ("others", "pointer"),
    [
        ({"amount_type": "static"}, "/amount"),
        ({"amount_type": "static", "amount": "0.00"}, "/amount"),
        ({"amount": "10.00"}, "/amount"),
        ({"start_date": "2020-09-08"}, "/start_date"),
        ({"start_date": "2023-09-12"}, "/start_date"),
        ({"end_date": "2020-10-08"}, "/end_date"),
        ({"end_date": "2020-09-01"}, "/end_date"),
        ({"payment_instrument_id": str(new_id())}, "/payment_instrument_id"),
        ({"amount_type": "half"}, "/amount_type"),
        ({"every": "day"}, "/every"),
    ],
)
async def test_terms_that_cannot_be_meant_are_refused_with_the_field(
    loan_officer: ApiClient, borrowed: Borrowed, others: dict[str, Any], pointer: str
) -> None:
    response = await loan_officer.post(f"/api/v1/loans/{borrowed.loan_id}/autopay", json=terms(borrowed) | others)
    assert response.status_code == 422, response.text
    assert pointer in [error["pointer"] for error in response.json()["errors"]]


async def test_pause_resume_cancel_and_what_each_state_forbids(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    url = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    await loan_officer.post(url, json=terms(borrowed))

    paused = await loan_officer.post(f"{url}/pause", json={"paused_until": "2020-12-01"})
    assert (paused.status_code, paused.json()["status"], paused.json()["paused_until"]) == (200, "paused", "2020-12-01")
    again = await loan_officer.post(f"{url}/pause")
    assert (again.status_code, again.json()["state"], again.json()["allowed"]) == (409, "paused", ["resume", "cancel"])

    resumed = await loan_officer.post(f"{url}/resume")
    assert (resumed.json()["status"], resumed.json()["paused_until"]) == ("active", None)
    assert (await loan_officer.post(f"{url}/resume")).json()["allowed"] == ["pause", "cancel"]

    cancelled = await loan_officer.delete(url, params={"reason": "moved to another bank"})
    assert (cancelled.json()["status"], cancelled.json()["end_reason"]) == ("cancelled", "moved to another bank")
    assert cancelled.json()["next_process_date"] is None
    assert (await loan_officer.delete(url)).status_code == 404
    assert (await loan_officer.post(url, json=terms(borrowed))).status_code == 201  # a new one may follow


async def test_a_borrower_has_their_own_loans_autopay_only(
    borrower_of: Callable[[], Awaitable[ApiClient]], borrower: ApiClient, borrowed: Borrowed
) -> None:
    own, url = await borrower_of(), f"/api/v1/portal/loans/{borrowed.loan_id}/autopay"
    assert (await own.post(url, json=terms(borrowed, amount_type="static", amount="350.00"))).status_code == 201

    disabled = await own.patch(url, json={"enabled": False})
    assert (disabled.status_code, disabled.json()["status"]) == (200, "paused")
    changed = await own.patch(url, json={"enabled": True, "amount_type": "next_due"})
    assert (changed.json()["status"], changed.json()["amount"]) == ("active", None)
    assert (await own.patch(url, json={})).status_code == 422
    assert "workflow_id" not in changed.json()

    for method in ("GET", "DELETE"):
        stranger = await borrower.request(method, url)
        missing = await borrower.request(method, f"/api/v1/portal/loans/{new_id()}/autopay")
        assert (stranger.status_code, stranger.json()) == (404, missing.json())
    assert (await own.delete(url)).json()["end_reason"] == "cancelled by the borrower"


async def test_a_viewer_looks_and_changes_nothing(viewer: ApiClient, borrowed: Borrowed) -> None:
    url = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    assert (await viewer.post(url, json=terms(borrowed))).status_code == 403
    assert (await viewer.get(url)).status_code == 404
    assert (await viewer.post("/api/v1/business-date/advance", json={"to_date": "2020-09-10"})).status_code == 403


async def test_moving_the_date_is_accepted_once_at_a_time(
    admin: ApiClient, viewer: ApiClient, rows_of: RowsOf, tenant: UUID
) -> None:
    url = "/api/v1/business-date"
    shown = (await viewer.get(url)).json()
    assert (shown["business_date"], shown["mode"], shown["running_advance_id"]) == ("2020-09-09", "sandbox", None)
    for wrong in ("2020-09-09", "2019-01-01", "2021-10-15"):
        refused = await admin.post(f"{url}/advance", json={"to_date": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/to_date")

    accepted = await admin.post(f"{url}/advance", json={"to_date": "2020-10-09"})
    assert accepted.status_code == 202, accepted.text
    body = accepted.json()
    assert (body["status"], body["from_date"], body["to_date"]) == ("running", "2020-09-09", "2020-10-09")
    assert (await viewer.get(f"{url}/advances/{body['id']}")).json() == body
    second = await admin.post(f"{url}/advance", json={"to_date": "2020-10-10"})
    assert (second.status_code, second.json()["code"]) == (409, "advance_running")
    (intent,) = await rows_of(tenant).all(
        select(workflow_intents).where(workflow_intents.c.workflow_type == "DateAdvanceWorkflow")
    )
    assert intent["workflow_id"] == body["workflow_id"]


async def test_the_processes_of_another_lender_do_not_exist(
    viewer: ApiClient, make_tenant: MakeTenant, login_as: LoginAs, rows_of: RowsOf
) -> None:
    other = await make_tenant(date(2020, 9, 9))
    theirs = await rows_of(other).borrowed()
    officer = await login_as(other, "loan_officer")
    enrolled = await officer.post(f"/api/v1/loans/{theirs.loan_id}/autopay", json=terms(theirs))
    for workflow_id in (enrolled.json()["workflow_id"], f"close-of-business/{other}/2020-09-09", "autopay/x", "a/b/c"):
        assert (await viewer.get(f"/api/v1/processes/{workflow_id}")).status_code == 404
    assert (await viewer.get(f"/api/v1/loans/{theirs.loan_id}/autopay")).status_code == 404
