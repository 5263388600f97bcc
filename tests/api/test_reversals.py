"""Reversals over HTTP, with Temporal away: what they answer, who may decide, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.reversal import NoticeOutcome
from infra.db.models.processes import workflow_intents
from infra.db.models.servicing import loans, payments
from infra.ids import new_id
from services import reversals
from tests.api.conftest import ApiClient, LoginAs
from tests.api.test_corrections import call
from tests.domain.loans import under
from tests.services.lending import UowOf, active_loan, advance, counts, jump, open_dates, pay
from tests.services.reversing import reverse_past_its_approval

TENANT = "/tenant"


@pytest.fixture
async def late(uow_of: UowOf, tenant: UUID) -> tuple[str, str]:
    """A loan and its payment of 21 October, which met the late fee of the instalment due on the 9th."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 20))
    await open_dates(uow_of, tenant, date(2020, 10, 21))
    return str(loan_id), str((await pay(uow_of, tenant, loan_id, 297_47)).id)


@pytest.fixture
async def second(login_as: LoginAs, tenant: UUID) -> ApiClient:
    """Another loan officer."""
    return await login_as(tenant, "loan_officer")


@pytest.fixture
async def waiting(admin: ApiClient, loan_officer: ApiClient, late: tuple[str, str]) -> str:
    """A payment above the limit whose reversal the loan officer has asked for."""
    await call(admin, "PATCH", TENANT, json={"approval_limit": "297.46"})
    await call(loan_officer, "POST", f"/payments/{late[1]}/reverse", 202, json={"reason": "nsf"})
    return late[1]


class TestReverse:
    async def test_the_payment_is_reversed_once_and_its_process_named(
        self, loan_officer: ApiClient, late: tuple[str, str], uow_of: UowOf, tenant: UUID
    ) -> None:
        loan_id, payment_id = late
        url, body = f"/payments/{payment_id}/reverse", {"reason": "nsf"}
        async with uow_of(tenant) as uow:
            before = await counts(uow)
        promised = await call(loan_officer, "POST", f"{url}/preview", json=body)
        async with uow_of(tenant) as uow:
            assert await counts(uow) == before
        done = await call(loan_officer, "POST", url, json=body)
        assert promised.pop("approval_needed") is False
        assert promised.pop("archive")["complete"]
        assert promised == {name: done[name] for name in promised}
        assert (done["after"]["principal_balance"], done["after"]["days_past_due"]) == ("10000.00", 12)
        assert done["allocations"][0]["after"] is None
        payment = await call(loan_officer, "GET", f"/payments/{payment_id}")
        assert (payment["status"], payment["principal_applied"], payment["allocations"]) == ("reversed", "0.00", [])
        again = await call(loan_officer, "POST", url, 409, json=body)
        assert (again["state"], again["allowed"]) == ("reversed", ["completed"])

        workflow_id = f"payment-reversal/{done['reversal_id']}"
        assert (done["workflow_id"], done["status_url"]) == (workflow_id, f"/api/v1/processes/{workflow_id}")
        process = (await loan_officer.get(done["status_url"])).json()
        assert (process["workflow_type"], process["delivery"]) == ("PaymentReversalWorkflow", "pending")
        async with uow_of(tenant) as uow:
            intent = await uow.one(select(workflow_intents).where(workflow_intents.c.workflow_id == workflow_id), "intent")
        assert intent["payload"] == {"tenant_id": str(tenant), "reversal_id": done["reversal_id"]}
        assert intent["search_attributes"] == {
            "TenantId": str(tenant),
            "LoanId": loan_id,
            "WorkflowKind": "payment-reversal",
            "BusinessDate": "2020-10-21",
            "Stage": "applied",
        }
        assert (await call(loan_officer, "GET", f"/loans/{loan_id}/equivalence"))["equal"]

    async def test_a_retry_with_its_key_gets_the_first_answer(self, loan_officer: ApiClient, late: tuple[str, str]) -> None:
        url, headers = f"/payments/{late[1]}/reverse", {"Idempotency-Key": f"reverse-{new_id()}"}
        first = await call(loan_officer, "POST", url, json={"reason": "nsf"}, headers=headers)
        assert await call(loan_officer, "POST", url, json={"reason": "nsf"}, headers=headers) == first

    async def test_ten_at_once_reverse_once_with_one_fee(self, loan_officer: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant, under(nsf_fee=25_00))
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        body = {"reason": "nsf", "assess_nsf_fee": True}
        url = f"/api/v1/payments/{paid.id}/reverse"
        answers = await asyncio.gather(*(loan_officer.post(url, json=body) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
        assert {answer.json()["state"] for answer in answers if answer.status_code == 409} == {"reversed"}
        async with uow_of(tenant) as uow:
            loan = await uow.one(select(loans).where(loans.c.id == loan_id), "loan")
        assert (loan["fees_balance"], loan["nsf_fees"]) == (25_00, 25_00)
        assert (await call(loan_officer, "GET", "/gl/reconciliation"))["reconciled"]
        shown = await call(loan_officer, "GET", f"/payments/{paid.id}/reversal")
        assert (shown["assess_nsf_fee"], shown["nsf_fee"]) == (True, "25.00")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/reason"),
            ({"reason": ""}, "/reason"),
            ({"reason": "x" * 2001}, "/reason"),
            ({"reason": 7}, "/reason"),
            ({"reason": "nsf", "assess_nsf_fee": "yes"}, "/assess_nsf_fee"),
            ({"reason": "nsf", "assess_nsf_fee": 1}, "/assess_nsf_fee"),
            ({"reason": "nsf", "assess_nsf_fee": True}, "/assess_nsf_fee"),  # the program has no such fee
            ({"reason": "nsf", "fee": "1.00"}, "/fee"),
        ],
    )
    @pytest.mark.parametrize("action", ["reverse", "reverse/preview"])
    async def test_bad_input(
        self,
        loan_officer: ApiClient,
        late: tuple[str, str],
        uow_of: UowOf,
        tenant: UUID,
        body: dict[str, Any],
        pointer: str,
        action: str,
    ) -> None:
        async with uow_of(tenant) as uow:
            before = await counts(uow)
        problem = await call(loan_officer, "POST", f"/payments/{late[1]}/{action}", 422, json=body)
        assert problem["errors"][0]["pointer"] == pointer
        async with uow_of(tenant) as uow:
            assert await counts(uow) == before

    @pytest.mark.parametrize("status", ["pending", "processing", "voided", "failed", "returned"])
    async def test_any_other_state_is_named(
        self, loan_officer: ApiClient, late: tuple[str, str], uow_of: UowOf, tenant: UUID, status: str
    ) -> None:
        names = ("principal_applied", "interest_applied", "fees_applied", "unapplied_amount")
        values: dict[str, Any] = {} if status == "processing" else dict.fromkeys(names, 0)
        async with uow_of(tenant) as uow:
            await uow.execute(update(payments).where(payments.c.id == late[1]).values(status=status, **values))
            await uow.commit()
        for action in ("reverse", "reverse/preview"):
            problem = await call(loan_officer, "POST", f"/payments/{late[1]}/{action}", 409, json={"reason": "nsf"})
            assert (problem["state"], problem["allowed"]) == (status, ["completed"])


class TestApproval:
    async def test_above_the_limit_it_is_accepted_and_waits(
        self, admin: ApiClient, loan_officer: ApiClient, viewer: ApiClient, late: tuple[str, str]
    ) -> None:
        loan_id, payment_id = late
        url, body = f"/payments/{payment_id}/reverse", {"reason": "nsf"}
        await call(admin, "PATCH", TENANT, json={"approval_limit": "297.47"})
        assert (await call(loan_officer, "POST", f"{url}/preview", json=body))["approval_needed"] is False
        await call(admin, "PATCH", TENANT, json={"approval_limit": "297.46"})
        promised = await call(loan_officer, "POST", f"{url}/preview", json=body)
        assert promised.pop("approval_needed") is True
        journal = await call(loan_officer, "GET", f"/loans/{loan_id}/journal")

        asked = await call(loan_officer, "POST", url, 202, json=body)

        assert (asked["status"], asked["step"], asked["waiting_on"]) == ("pending_approval", "approval", "a second person")
        assert (asked["requested_by"], asked["decided_by"], asked["amount"]) == (str(loan_officer.user_id), None, "297.47")
        assert asked["waiting_since"] == asked["requested_at"]
        assert asked["workflow_id"] == f"payment-reversal/{asked['id']}"
        assert (await call(loan_officer, "GET", f"/payments/{payment_id}"))["status"] == "completed"
        assert await call(loan_officer, "GET", f"/loans/{loan_id}/journal") == journal
        assert await call(viewer, "GET", f"/payments/{payment_id}/reversal") == asked
        for action in ("reverse", "reverse/preview"):
            again = await call(admin, "POST", f"/payments/{payment_id}/{action}", 409, json=body)
            assert (again["code"], again["state"]) == ("reversal_pending", "pending_approval")
            assert again["allowed"] == ["approve", "reject"]

    async def test_the_approval_does_what_the_preview_said(
        self, admin: ApiClient, loan_officer: ApiClient, second: ApiClient, late: tuple[str, str]
    ) -> None:
        await call(admin, "PATCH", TENANT, json={"approval_limit": "297.46"})
        _, waiting = late
        promised = await call(loan_officer, "POST", f"/payments/{waiting}/reverse/preview", json={"reason": "nsf"})
        await call(loan_officer, "POST", f"/payments/{waiting}/reverse", 202, json={"reason": "nsf"})
        url = f"/payments/{waiting}/reversal/approve"
        headers = {"Idempotency-Key": f"approve-{new_id()}"}
        done = await call(second, "POST", url, json={"reason": "seen"}, headers=headers)
        assert await call(second, "POST", url, json={"reason": "seen"}, headers=headers) == done
        assert done["after"]["principal_balance"] == "10000.00"
        assert promised.pop("approval_needed") is True
        assert promised.pop("archive")["complete"]
        assert promised == {name: done[name] for name in promised}
        shown = await call(loan_officer, "GET", f"/payments/{waiting}/reversal")
        assert (shown["id"], shown["status"], shown["waiting_on"]) == (done["reversal_id"], "applied", "a worker")
        assert (shown["decided_by"], shown["decision_reason"]) == (str(second.user_id), "seen")
        assert (shown["applied_on"], shown["loan_reopened"]) == ("2020-10-21", False)
        again = await call(second, "POST", url, 409)
        assert (again["code"], again["state"]) == ("reversal_decided", "applied")
        assert (await call(second, "GET", f"/loans/{late[0]}/equivalence"))["equal"]
        events = (await call(second, "GET", f"/loans/{late[0]}/events"))["items"]
        assert (events[0]["kind"], events[0]["recorded_by"], events[0]["reason"]) == ("voided", str(second.user_id), "nsf")

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    async def test_not_by_the_one_who_asked_for_it(
        self, loan_officer: ApiClient, waiting: str, uow_of: UowOf, tenant: UUID, decision: str
    ) -> None:
        async with uow_of(tenant) as uow:
            before = await counts(uow)
        url = f"/payments/{waiting}/reversal/{decision}"
        problem = await call(loan_officer, "POST", url, 403, json={"reason": "I am sure"})
        assert problem["code"] == "second_person_needed"
        async with uow_of(tenant) as uow:
            assert await counts(uow) == before

    async def test_nor_by_a_viewer_or_a_borrower(self, viewer: ApiClient, borrower: ApiClient, waiting: str) -> None:
        for client in (viewer, borrower):
            for decision in ("approve", "reject"):
                url = f"/payments/{waiting}/reversal/{decision}"
                assert (await call(client, "POST", url, 403, json={"reason": "x"}))["code"] == "forbidden"
        await call(borrower, "GET", f"/payments/{waiting}/reversal", 403)

    async def test_a_rejection_needs_a_reason_and_leaves_the_payment(
        self, loan_officer: ApiClient, second: ApiClient, waiting: str
    ) -> None:
        url = f"/payments/{waiting}/reversal/reject"
        for body, pointer in (({}, "/reason"), ({"reason": ""}, "/reason"), ({"reason": "x", "y": 1}, "/y")):
            problem = await call(second, "POST", url, 422, json=body)
            assert problem["errors"][0]["pointer"] == pointer
        done = await call(second, "POST", url, json={"reason": "It was honoured"})
        assert (done["status"], done["step"], done["waiting_on"]) == ("rejected", "done", "nobody")
        assert (done["decided_by"], done["decision_reason"]) == (str(second.user_id), "It was honoured")
        assert (await call(second, "GET", f"/payments/{waiting}"))["status"] == "completed"
        again = await call(second, "POST", f"/payments/{waiting}/reversal/approve", 409)
        assert (again["code"], again["state"]) == ("reversal_decided", "rejected")
        assert (await call(loan_officer, "POST", f"/payments/{waiting}/reverse", 202, json={"reason": "nsf"}))["id"] != done[
            "id"
        ]

    async def test_a_payment_that_changed_meanwhile_is_named(
        self, second: ApiClient, waiting: str, uow_of: UowOf, tenant: UUID
    ) -> None:
        async with uow_of(tenant) as uow:
            await reverse_past_its_approval(uow, UUID(waiting), "the bank was faster")
            await uow.commit()
        problem = await call(second, "POST", f"/payments/{waiting}/reversal/approve", 409)
        assert (problem["code"], problem["state"], problem["allowed"]) == ("payment_changed", "reversed", ["reject"])

    async def test_no_payment_and_no_reversal(self, loan_officer: ApiClient, late: tuple[str, str]) -> None:
        for payment_id, what in ((late[1], "reversal of this payment"), (new_id(), "payment")):
            for method, end in (("GET", ""), ("POST", "/approve"), ("POST", "/reject")):
                body = {"json": {"reason": "x"}} if method == "POST" else {}
                problem = await call(loan_officer, method, f"/payments/{payment_id}/reversal{end}", 404, **body)
                assert problem["detail"] == f"No such {what}."


async def test_what_was_done_is_shown(loan_officer: ApiClient, viewer: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 297_47)
    await advance(uow_of, tenant, date(2020, 9, 12))
    done = await call(loan_officer, "POST", f"/payments/{paid.id}/reverse", json={"reason": "nsf"})
    async with uow_of(tenant) as uow:
        reversal_id = UUID(done["reversal_id"])
        await reversals.replan_autopay(uow, reversal_id)
        await reversals.restate_page(uow, reversal_id)
        await reversals.finish(uow, reversal_id, NoticeOutcome.NO_ADDRESS)
        await uow.commit()
    shown = await call(viewer, "GET", f"/payments/{paid.id}/reversal")
    assert (shown["status"], shown["step"], shown["waiting_on"]) == ("completed", "done", "nobody")
    assert (shown["autopay"], shown["notice"], shown["workflow"]) == ("none", "no_address", None)
    days = shown["restated"]
    assert (days["days"], days["first"], days["last"]) == (3, "2020-09-10", "2020-09-12")
    assert {"principal_balance", "total_paid"} <= set(days["figures"])
    status = await call(viewer, "GET", f"/loans/{loan_id}/status", params={"date": days["first"], "basis": "restated"})
    assert set(status["differs"]) <= set(days["figures"])
