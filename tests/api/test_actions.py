"""Actions over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import ApiClient
from tests.services.lending import UowOf, active_loan, counts, jump

PAST_DAY = {"kind": "due_date_changed", "new_first_due": "2020-10-01", "reason": "x"}
NO_SUCH_FEE = {"kind": "waived", "target": "fee", "fee_key": "late_fee:2020-11-09", "reason": "x"}
FEE: dict[str, Any] = {"kind": "fee_charged", "fee_kind": "other_fee", "amount": "25.00", "reason": "a copy"}
RATE: dict[str, Any] = {"kind": "rate_changed", "rate": "0.03", "reason": "agreed"}


@pytest.fixture
async def loan_id(uow_of: UowOf, tenant: UUID) -> UUID:
    """A loan whose first instalment is 11 days late on 2020-10-20."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 20))
    return loan_id


def url(loan_id: object, preview: bool = False) -> str:
    return f"/api/v1/loans/{loan_id}/actions" + ("/preview" if preview else "")


async def test_an_action_is_answered_with_all_that_it_changes_as_its_preview_was(
    loan_officer: ApiClient, loan_id: UUID
) -> None:
    seen = await loan_officer.post(url(loan_id, preview=True), json=FEE)
    done = await loan_officer.post(url(loan_id), json=FEE)
    assert (seen.status_code, done.status_code) == (200, 201), done.text
    assert seen.json() == done.json()
    found = done.json()
    assert (found["number"], found["kind"], found["effective_date"]) == (2, "fee_charged", "2020-10-20")
    assert found["data"] == {"fee_id": "2", "kind": "other_fee", "amount": "25.00"}
    assert (found["before"]["fees_balance"], found["after"]["fees_balance"]) == ("30.00", "55.00")
    (entry,) = [entry for entry in found["journal"] if entry["kind"] != "accrual"]
    (moved,) = entry["transfers"]
    assert (moved["debit"]["code"], moved["credit"]["code"], moved["amount"]) == (1126, 4025, "25.00")
    assert len(found["schedule"]["items"]) == 36
    (event, *_) = (await loan_officer.get(f"/api/v1/loans/{loan_id}/events")).json()["items"]
    assert (event["number"], event["kind"], event["reason"]) == (2, "fee_charged", "a copy")


async def test_a_modification_shows_the_schedule_after_it(loan_officer: ApiClient, loan_id: UUID) -> None:
    body = {"kind": "extended", "periods": 6, "reason": "hardship"}
    found = (await loan_officer.post(url(loan_id), json=body)).json()
    assert len(found["schedule"]["items"]) == 42
    now = (await loan_officer.get(f"/api/v1/loans/{loan_id}/schedule")).json()["items"]
    assert [row["payment"] for row in now] == [row["payment"] for row in found["schedule"]["items"]]


async def test_a_rate_is_capped_and_one_below_the_cap_stays(admin: ApiClient, loan_id: UUID) -> None:
    """The loan bears 4.5 %: a cap of 6 % for a servicemember changes no instalment, a rate of 6 % does."""
    before = (await admin.get(f"/api/v1/loans/{loan_id}/schedule")).json()["items"]
    six = RATE | {"rate": "0.06", "until": "2021-06-01"}
    capped = (await admin.post(url(loan_id, preview=True), json=six | {"cap": True})).json()
    raised = (await admin.post(url(loan_id, preview=True), json=six)).json()
    assert (capped["data"]["cap"], raised["data"]["cap"]) == (True, None)
    interest = [
        [row["interest"] for row in rows] for rows in (before, capped["schedule"]["items"], raised["schedule"]["items"])
    ]
    assert interest[0] == interest[1] != interest[2]


async def test_a_repeated_request_with_a_key_acts_once(loan_officer: ApiClient, loan_id: UUID) -> None:
    key = {"Idempotency-Key": "one-fee"}
    answers = [await loan_officer.post(url(loan_id), json=FEE, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    events = (await loan_officer.get(f"/api/v1/loans/{loan_id}/events")).json()["items"]
    assert [event["kind"] for event in events] == ["fee_charged", "disbursed"]


@pytest.mark.parametrize("body", [RATE, {"kind": "charged_off", "reason": "lost"}])
async def test_some_kinds_need_an_admin(
    loan_officer: ApiClient, admin: ApiClient, loan_id: UUID, body: dict[str, Any]
) -> None:
    for preview in (True, False):
        response = await loan_officer.post(url(loan_id, preview), json=body)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        response = await admin.post(url(loan_id, preview), json=body)
        assert response.status_code in (200, 201), response.text


# the change to a good request, the status, and the pointer or the code of the problem
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("no reason", {**FEE, "reason": None}, 422, "/reason"),
    ("a blank reason", {**FEE, "reason": "  "}, 422, "/reason"),
    ("a kind that is none", {**FEE, "kind": "forgiven"}, 422, "/kind"),
    ("a payment", {"kind": "payment_received", "amount": "1.00", "reason": "x"}, 422, "/kind"),
    ("no kind", {"reason": "x"}, 422, "/kind"),
    ("a fee of nothing", {**FEE, "amount": "0.00"}, 422, "/amount"),
    ("a field of another kind", {**FEE, "periods": 3}, 422, "/periods"),
    ("the future", {**FEE, "effective_date": "2020-10-21"}, 422, "/effective_date"),
    ("before the loan", {**FEE, "effective_date": "2020-09-08"}, 422, "/effective_date"),
    ("a fee that is not there", NO_SUCH_FEE, 422, "/fee_key"),
    ("a fee with interest", {**NO_SUCH_FEE, "target": "interest"}, 422, "/fee_key"),
    ("no fee", {"kind": "waived", "target": "fee", "reason": "x"}, 422, "/fee_key"),
    ("money that is not there", {"kind": "unapplied_applied", "amount": "1.00", "reason": "x"}, 409, ""),
    ("a refund", {"kind": "refunded", "amount": "1.00", "reason": "x"}, 422, "/kind"),
    ("a reimbursement", {"kind": "reimbursed", "amount": "1.00", "reason": "x"}, 422, "/kind"),
    ("a due date of the past", PAST_DAY, 422, "/new_first_due"),
]


@pytest.mark.parametrize(("name", "body", "status", "pointer"), BAD, ids=[row[0] for row in BAD])
async def test_refused(
    uow_of: UowOf,
    tenant: UUID,
    loan_officer: ApiClient,
    loan_id: UUID,
    name: str,
    body: dict[str, Any],
    status: int,
    pointer: str,
) -> None:
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    for preview in (True, False):
        response = await loan_officer.post(url(loan_id, preview), json=body)
        assert response.status_code == status, response.text
        errors = response.json()["errors"]
        assert not pointer or [error["pointer"] for error in errors] == [pointer]
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before
