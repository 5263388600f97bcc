"""Refunds and reimbursements over HTTP, with Temporal away: the answer never waits for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import EXAMPLE_TERMS, make_loan, make_program
from tests.api.test_bad_input import send
from tests.conftest import MakeTenant
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, assert_consistent, counts, jump, pay
from tests.services.refunding import FRIDAY, THURSDAY, limit

REFUND: dict[str, Any] = {"amount": "60.00", "reason": "Customer overpayment"}
GOODWILL: dict[str, Any] = {"amount": "100.00", "reason": "Fee waiver reimbursement"}


@pytest.fixture
async def paid(uow_of: UowOf, tenant: UUID, admin: ApiClient) -> tuple[UUID, UUID]:
    """A loan and its payment of 397.47, of which 100.00 stay unapplied. It is Friday, 9 October 2020."""
    program_id = await make_program(admin, EXAMPLE_TERMS | {"extra_money": "unapplied"})
    loan_id = UUID((await make_loan(admin, program_id=program_id))["id"])
    await jump(uow_of, tenant, FRIDAY)
    return loan_id, (await pay(uow_of, tenant, loan_id, LEVEL + 100_00, THURSDAY)).id


def refund_of(payment_id: object) -> str:
    return f"/api/v1/payments/{payment_id}/refund"


def reimbursement_of(loan_id: object) -> str:
    return f"/api/v1/loans/{loan_id}/payments/reimbursement"


async def test_a_refund_is_answered_at_once_with_its_process(
    loan_officer: ApiClient, viewer: ApiClient, paid: tuple[UUID, UUID]
) -> None:
    loan_id, payment_id = paid
    response = await loan_officer.post(refund_of(payment_id), json=REFUND)
    assert response.status_code == 201, response.text
    body = response.json()
    assert (body["kind"], body["amount"], body["status"], body["override"]) == ("refund", "60.00", "approved", False)
    assert (body["loan_id"], body["payment_id"]) == (str(loan_id), str(payment_id))
    assert (body["step"], body["waiting_on"], body["requested_by"]) == (
        "handing over",
        "the rail",
        str(loan_officer.user_id),
    )
    assert (body["workflow_id"], body["workflow"]) == (f"payout/{body['id']}", None)
    assert (await viewer.get(f"/api/v1/payouts/{body['id']}")).json() == body
    process = (await viewer.get(body["status_url"])).json()
    assert (process["workflow_type"], process["delivery"]) == ("PayoutWorkflow", "pending")
    (listed,) = (await viewer.get(f"/api/v1/loans/{loan_id}/payouts")).json()["items"]
    assert listed == {name: body[name] for name in listed}


async def test_the_payment_shows_what_was_refunded_of_it_everywhere(
    loan_officer: ApiClient, paid: tuple[UUID, UUID]
) -> None:
    loan_id, payment_id = paid
    refund = (await loan_officer.post(refund_of(payment_id), json=REFUND)).json()
    shown = (await loan_officer.get(f"/api/v1/payments/{payment_id}")).json()
    assert (shown["refunded_amount"], shown["status"], shown["amount"]) == ("60.00", "completed", "397.47")
    assert [(each["id"], each["amount"]) for each in shown["refunds"]] == [(refund["id"], "60.00")]
    for url in ("/api/v1/payments", f"/api/v1/loans/{loan_id}/payments"):
        assert (await loan_officer.get(url)).json()["items"][0]["refunded_amount"] == "60.00"
    loan = (await loan_officer.get(f"/api/v1/loans/{loan_id}?expand=payments")).json()
    assert (loan["payments"][0]["refunded_amount"], loan["unapplied_balance"]) == ("60.00", "40.00")


@pytest.mark.parametrize("change", [{}, {"amount": "150.00", "override": True}])
async def test_a_preview_shows_what_is_then_done_and_writes_nothing(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, paid: tuple[UUID, UUID], change: dict[str, Any]
) -> None:
    loan_id, payment_id = paid
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    seen = await loan_officer.post(f"{refund_of(payment_id)}/preview", json=REFUND | change)
    assert seen.status_code == 200, seen.text
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before
    done = (await loan_officer.post(refund_of(payment_id), json=REFUND | change)).json()
    shown = seen.json()
    assert [shown[name] for name in ("amount", "status", "override")] == [
        done[name] for name in ("amount", "status", "override")
    ]
    after = shown["correction"]["after"]
    loan = (await loan_officer.get(f"/api/v1/loans/{loan_id}")).json()
    assert {name: loan[name] for name in ("principal_balance", "unapplied_balance")} == {
        name: after[name] for name in ("principal_balance", "unapplied_balance")
    }
    accounts = {
        (moved["debit"]["code"], moved["credit"]["code"], moved["amount"])
        for entry in shown["correction"]["journal"]
        for moved in entry["transfers"]
    }
    assert (2000, 2010, done["amount"]) in accounts


async def test_a_reimbursement_is_no_payment_of_the_loan(loan_officer: ApiClient, paid: tuple[UUID, UUID]) -> None:
    loan_id, _ = paid
    seen = await loan_officer.post(f"{reimbursement_of(loan_id)}/preview", json=GOODWILL)
    (entry,) = [entry for entry in seen.json()["correction"]["journal"] if entry["kind"] != "accrual"]
    (moved,) = entry["transfers"]
    assert (moved["debit"]["code"], moved["credit"]["code"], moved["amount"]) == (5020, 2010, "100.00")
    done = await loan_officer.post(reimbursement_of(loan_id), json=GOODWILL)
    assert (done.status_code, done.json()["kind"], done.json()["payment_id"]) == (201, "reimbursement", None)
    assert len((await loan_officer.get(f"/api/v1/loans/{loan_id}/payments")).json()["items"]) == 1


async def test_a_repeated_request_with_a_key_pays_once(loan_officer: ApiClient, paid: tuple[UUID, UUID]) -> None:
    for url, body in ((refund_of(paid[1]), REFUND | {"amount": "10.00"}), (reimbursement_of(paid[0]), GOODWILL)):
        key = {"Idempotency-Key": f"once-{url[-10:]}"}
        answers = [await loan_officer.post(url, json=body, headers=key) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert len((await loan_officer.get(f"/api/v1/loans/{paid[0]}/payouts")).json()["items"]) == 2


async def test_twenty_at_once_are_never_more_than_the_payment(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, paid: tuple[UUID, UUID]
) -> None:
    posts = [loan_officer.post(refund_of(paid[1]), json=REFUND | {"override": True}) for _ in range(20)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [201] * 6 + [422] * 14
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"more_than_is_left"}
    shown = (await loan_officer.get(f"/api/v1/payments/{paid[1]}")).json()
    assert shown["refunded_amount"] == "360.00"
    async with uow_of(tenant) as uow:
        await assert_consistent(uow, paid[0])
    balance = (await loan_officer.get("/api/v1/gl/trial-balance")).json()
    owed = next(line["balance"] for line in balance["accounts"] if line["code"] == 2010)
    assert (balance["total"], owed) == ("0.00", "-360.00")
    assert (await loan_officer.get("/api/v1/gl/reconciliation")).json()["reconciled"] is True


class TestApproval:
    @pytest.fixture
    async def waiting(self, uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, paid: tuple[UUID, UUID]) -> str:
        await limit(uow_of, tenant, 50_00)
        body = (await loan_officer.post(refund_of(paid[1]), json=REFUND)).json()
        assert (body["status"], body["step"], body["workflow_id"]) == ("pending_approval", "waiting for approval", None)
        assert body["waiting_on"] == "a loan officer other than the one who asked"
        return str(body["id"])

    async def test_another_loan_officer_approves_it(
        self, login_as: LoginAs, tenant: UUID, waiting: str, paid: tuple[UUID, UUID]
    ) -> None:
        second = await login_as(tenant, "loan_officer")
        shown = (await second.get(f"/api/v1/payments/{paid[1]}")).json()
        assert (shown["refunded_amount"], shown["refunds"][0]["status"]) == ("0.00", "pending_approval")
        answer = await second.post(f"/api/v1/refunds/{waiting}/approve")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["status"], body["decided_by"]) == ("approved", str(second.user_id))
        assert body["workflow_id"] == f"payout/{waiting}"
        again = await second.post(f"/api/v1/refunds/{waiting}/approve")
        assert (again.status_code, again.json()["state"], again.json()["allowed"]) == (409, "approved", ["cancel"])
        audit = (await second.get(f"/api/v1/payouts/{waiting}")).json()
        assert audit["requested_by"] != audit["decided_by"]

    async def test_the_one_who_asked_may_not_decide(self, loan_officer: ApiClient, waiting: str) -> None:
        for verb, body in (("approve", None), ("reject", {"reason": "x"})):
            answer = await loan_officer.post(f"/api/v1/refunds/{waiting}/{verb}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "second_person_needed")
            assert "a second person decides" in answer.json()["detail"]

    async def test_a_rejection_says_why_and_nothing_was_posted(
        self, admin: ApiClient, waiting: str, paid: tuple[UUID, UUID]
    ) -> None:
        answer = await admin.post(f"/api/v1/refunds/{waiting}/reject", json={"reason": "no overpayment"})
        assert (answer.json()["status"], answer.json()["decision_reason"]) == ("rejected", "no overpayment")
        late = await admin.post(f"/api/v1/refunds/{waiting}/approve")
        assert (late.status_code, late.json()["state"]) == (409, "rejected")
        loan = (await admin.get(f"/api/v1/loans/{paid[0]}")).json()
        assert loan["unapplied_balance"] == "100.00"

    async def test_a_preview_says_that_it_will_wait(
        self, loan_officer: ApiClient, waiting: str, paid: tuple[UUID, UUID]
    ) -> None:
        seen = await loan_officer.post(f"{reimbursement_of(paid[0])}/preview", json=GOODWILL)
        assert seen.json()["status"] == "pending_approval"
        beyond = await loan_officer.post(refund_of(paid[1]), json=REFUND)
        assert (beyond.status_code, beyond.json()["code"]) == (409, "not_unapplied")
        assert beyond.json()["allowed"] == ["up to 40.00", "override"]


class TestCancel:
    async def test_it_is_taken_back_while_the_rail_has_not_taken_it(
        self, loan_officer: ApiClient, viewer: ApiClient, paid: tuple[UUID, UUID]
    ) -> None:
        payout = (await loan_officer.post(refund_of(paid[1]), json=REFUND)).json()
        url, body = f"/api/v1/payouts/{payout['id']}/cancel", {"reason": "The borrower keeps it on the loan"}
        assert (await viewer.post(url, json=body)).status_code == 403
        key = {"Idempotency-Key": f"cancel-{new_id()}"}
        first, again = [await loan_officer.post(url, json=body, headers=key) for _ in range(2)]
        assert first.status_code == 200, first.text
        assert first.json() == again.json()
        shown = first.json()
        assert (shown["status"], shown["cancelled_on"], shown["cancelled_by"]) == (
            "cancelled",
            "2020-10-09",
            str(loan_officer.user_id),
        )
        assert (shown["cancel_reason"], shown["waiting_on"]) == (body["reason"], "nobody")
        assert shown["workflow_id"] == f"payout/{payout['id']}"
        refused = await loan_officer.post(url, json=body)
        assert (refused.status_code, refused.json()["state"], refused.json()["allowed"]) == (409, "cancelled", [])
        payment = (await viewer.get(f"/api/v1/payments/{paid[1]}")).json()
        assert (payment["refunded_amount"], payment["refunds"][0]["status"]) == ("0.00", "cancelled")
        assert (await viewer.get("/api/v1/gl/reconciliation")).json()["reconciled"] is True

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 2001}, {"reason": 1}])
    async def test_it_needs_a_reason(self, loan_officer: ApiClient, paid: tuple[UUID, UUID], body: dict[str, Any]) -> None:
        payout = (await loan_officer.post(refund_of(paid[1]), json=REFUND)).json()
        refused = await loan_officer.post(f"/api/v1/payouts/{payout['id']}/cancel", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/reason")

    async def test_of_another_lender_there_is_none(
        self, make_tenant: MakeTenant, login_as: LoginAs, loan_officer: ApiClient, paid: tuple[UUID, UUID]
    ) -> None:
        payout = (await loan_officer.post(refund_of(paid[1]), json=REFUND)).json()
        stranger = await login_as(await make_tenant(), "owner")
        refused = await stranger.post(f"/api/v1/payouts/{payout['id']}/cancel", json={"reason": "x"})
        assert refused.status_code == 404


# the change to a good request, the status, and the pointer or the code of the problem
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("amount 0", {"amount": "0.00"}, 422, "/amount"),
    ("amount negative", {"amount": "-50.00"}, 422, "/amount"),
    ("amount of three decimals", {"amount": "50.005"}, 422, "/amount"),
    ("amount 1e400", {"amount": "1e400"}, 422, "/amount"),
    ("amount NaN", {"amount": float("nan")}, 400, "invalid_json"),
    ("amount as a number", {"amount": 50.0}, 422, "/amount"),
    ("amount null", {"amount": None}, 422, "/amount"),
    ("amount beyond all money", {"amount": "9" * 31}, 422, "/amount"),
    ("a long string", {"amount": "9" * 500_000}, 422, "/amount"),
    ("no reason", {"reason": None}, 422, "/reason"),
    ("a blank reason", {"reason": "   "}, 422, "/reason"),
    ("a reason of 2001 characters", {"reason": "x" * 2001}, 422, "/reason"),
    ("a reason that is a number", {"reason": 7}, 422, "/reason"),
    ("an unknown field", {"amout": "50.00"}, 422, "/amout"),
    ("a NUL character", {"reason": "x\0"}, 400, "invalid_json"),
]
OF_A_REFUND: list[tuple[str, dict[str, Any], int, str]] = [
    ("an override that is a word", {"override": "yes"}, 422, "/override"),
    ("an override that is a number", {"override": 1}, 422, "/override"),
    ("more than was paid", {"amount": "397.48", "override": True}, 422, "/amount"),
    ("more than is unapplied", {"amount": "100.01"}, 409, "not_unapplied"),
]
CASES = [("refund", *case) for case in BAD + OF_A_REFUND] + [
    ("reimbursement", *case) for case in [*BAD, ("an override", {"override": True}, 422, "/override")]
]


class TestBadInput:
    @pytest.fixture
    def urls(self, paid: tuple[UUID, UUID]) -> dict[str, str]:
        return {"refund": refund_of(paid[1]), "reimbursement": reimbursement_of(paid[0])}

    @pytest.mark.parametrize("preview", ["", "/preview"])
    @pytest.mark.parametrize(
        ("action", "name", "change", "status", "where"), CASES, ids=lambda v: v if isinstance(v, str) else ""
    )
    async def test_refused(
        self,
        uow_of: UowOf,
        tenant: UUID,
        loan_officer: ApiClient,
        urls: dict[str, str],
        preview: str,
        action: str,
        name: str,
        change: dict[str, Any],
        status: int,
        where: str,
    ) -> None:
        async with uow_of(tenant) as uow:
            before = await counts(uow)
        good = REFUND if action == "refund" else GOODWILL
        got, problem = await send(loan_officer, urls[action] + preview, good | change)
        assert got == status, problem
        pointers = [error["pointer"] for error in problem["errors"]]
        assert where in (pointers if where.startswith("/") else [problem["code"]])
        async with uow_of(tenant) as uow:
            assert await counts(uow) == before

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe"])
    @pytest.mark.parametrize("action", ["refund", "reimbursement"])
    async def test_a_body_that_is_no_object(
        self, loan_officer: ApiClient, urls: dict[str, str], action: str, body: bytes
    ) -> None:
        status, _ = await send(loan_officer, urls[action], body)
        assert status in (400, 422)

    @pytest.mark.parametrize("wrong", ["7", "not-a-uuid", "%00", "' OR 1=1 --"])
    async def test_an_id_that_is_none(self, loan_officer: ApiClient, wrong: str) -> None:
        for url, body in (
            (refund_of(wrong), REFUND),
            (reimbursement_of(wrong), GOODWILL),
            (f"/api/v1/refunds/{wrong}/reject", {"reason": "x"}),
        ):
            status, _ = await send(loan_officer, url, body)
            assert status in (400, 422)

    async def test_what_is_not_there(self, loan_officer: ApiClient) -> None:
        nobody = new_id()
        for url, body in (
            (refund_of(nobody), REFUND),
            (reimbursement_of(nobody), GOODWILL),
            (f"/api/v1/refunds/{nobody}/approve", {}),
            (f"/api/v1/refunds/{nobody}/reject", {"reason": "x"}),
        ):
            response = await loan_officer.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert (await loan_officer.get(f"/api/v1/payouts/{nobody}")).status_code == 404
        assert (await loan_officer.get(f"/api/v1/loans/{nobody}/payouts")).status_code == 404

    async def test_a_payment_that_was_reversed(self, loan_officer: ApiClient, paid: tuple[UUID, UUID]) -> None:
        await loan_officer.post(f"/api/v1/payments/{paid[1]}/reverse", json={"reason": "nsf"})
        for preview in ("", "/preview"):
            status, problem = await send(loan_officer, refund_of(paid[1]) + preview, REFUND)
            assert (status, problem["state"], problem["allowed"]) == (409, "reversed", ["completed"])
            assert "The payment is reversed" in problem["detail"]

    async def test_a_loan_that_has_not_begun(self, loan_officer: ApiClient, admin: ApiClient) -> None:
        loan = await make_loan(admin, disbursed=False)
        status, problem = await send(loan_officer, reimbursement_of(loan["id"]), GOODWILL)
        assert (status, problem["state"]) == (409, "boarding")
