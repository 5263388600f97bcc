"""Payments over HTTP: recorded once, allocated, previewed, listed; many at a time."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from sqlalchemy import select

from infra.db.models.servicing import journal_entries, loans, payments
from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import make_borrower, make_loan
from tests.api.paying import CARD, WITH_NUMBER, add, path_of
from tests.conftest import MakeTenant
from tests.domain.loans import under
from tests.services.lending import UowOf, active_loan, assert_consistent, counts, jump

FIFTY = {"amount": "50.00", "payment_method": "ach"}


def path(loan_id: UUID, *rest: str) -> str:
    return "/".join(["/api/v1/loans", str(loan_id), "payments", *rest])


async def test_the_response_has_the_documented_fields(uow_of: UowOf, loan_officer: ApiClient, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 21))
    response = await loan_officer.post(
        path(loan_id), json={"amount": "500.00", "payment_method": "ach", "external_id": "P-1"}
    )
    assert response.status_code == 201
    body = response.json()
    created_at = body.pop("created_at")
    assert created_at.endswith("Z")
    assert body == {
        "id": body["id"],
        "loan_id": str(loan_id),
        "amount": "500.00",
        "payment_method": "ach",
        "status": "completed",
        "settlement_status": "not_applicable",
        "source": "staff",
        "effective_date": "2020-10-21",
        "external_id": "P-1",
        "payment_instrument_id": None,
        "principal_applied": "396.49",
        "interest_applied": "73.51",
        "fees_applied": "30.00",
        "overpayment": "0.00",
        "due_from_borrower_applied": "0.00",
        "refunded_amount": "0.00",
        "recorded_business_date": "2020-10-21",
        "return_code": None,
    }


async def test_a_preview_says_what_recording_does(uow_of: UowOf, loan_officer: ApiClient, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 21))
    request = {"amount": "12000.00", "effective_date": "2020-10-20"}
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    preview = await loan_officer.post(path(loan_id, "preview"), json=request)
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before
    recorded = (await loan_officer.post(path(loan_id), json={**request, "payment_method": "wire"})).json()
    assert preview.status_code == 200
    assert preview.json() == {
        "amount": "12000.00",
        "principal_applied": recorded["principal_applied"],
        "interest_applied": recorded["interest_applied"],
        "fees_applied": recorded["fees_applied"],
        "remaining_principal": "0.00",
        "overpayment": recorded["overpayment"],
        "due_from_borrower_applied": "0.00",
    }
    assert (recorded["principal_applied"], recorded["fees_applied"]) == ("10000.00", "30.00")


async def test_a_payoff_gives_interest_paid_ahead_of_its_days_back(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID
) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 9, 24))
    await loan_officer.post(path(loan_id), json={"amount": "297.47", "payment_method": "ach"})
    await jump(uow_of, tenant, date(2020, 10, 1))
    payoff = (await loan_officer.get(f"/api/v1/loans/{loan_id}/payoff")).json()
    assert (payoff["principal"], payoff["interest"], payoff["total"]) == ("9739.52", "-9.86", "9729.66")
    paid = await loan_officer.post(path(loan_id), json={"amount": payoff["total"], "payment_method": "wire"})
    assert paid.status_code == 201
    applied = ("principal_applied", "interest_applied", "fees_applied", "overpayment")
    assert [paid.json()[name] for name in applied] == ["9739.52", "-9.86", "0.00", "0.00"]
    async with uow_of(tenant) as uow:
        assert (await uow.one(select(loans.c.status).where(loans.c.id == loan_id), "loan"))["status"] == "paid_off"
        await assert_consistent(uow, loan_id)


async def test_a_payment_shows_where_its_money_went(uow_of: UowOf, loan_officer: ApiClient, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 21))
    recorded = (await loan_officer.post(path(loan_id), json={"amount": "500.00", "payment_method": "ach"})).json()
    detail = (await loan_officer.get(f"/api/v1/payments/{recorded['id']}")).json()
    assert detail.pop("allocations") == [
        {"component": "fees", "amount": "30.00", "instalment_number": 1, "fee_key": "late_fee:2020-10-09"},
        {"component": "interest", "amount": "36.99", "instalment_number": 1, "fee_key": None},
        {"component": "principal", "amount": "260.48", "instalment_number": 1, "fee_key": None},
        {"component": "interest", "amount": "36.52", "instalment_number": 2, "fee_key": None},
        {"component": "principal", "amount": "136.01", "instalment_number": 2, "fee_key": None},
    ]
    assert detail.pop("refunds") == []
    assert detail == recorded


class TestOnce:
    async def test_fifty_at_once_with_one_idempotency_key_are_one_payment(
        self, uow_of: UowOf, loan_officer: ApiClient, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        headers = {"Idempotency-Key": "double-click"}
        posts = (loan_officer.post(path(loan_id), json=FIFTY, headers=headers) for _ in range(50))
        responses = await asyncio.gather(*posts)
        assert {r.status_code for r in responses} <= {201, 409}
        assert {r.json()["code"] for r in responses if r.status_code == 409} <= {"request_in_flight"}
        again = await loan_officer.post(path(loan_id), json=FIFTY, headers=headers)
        assert again.status_code == 201
        assert [r.json() for r in responses if r.status_code == 201 and r.json() != again.json()] == []
        await self.one_payment(uow_of, tenant, loan_id)
        other = await loan_officer.post(path(loan_id), json={**FIFTY, "amount": "50.01"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    async def test_fifty_at_once_with_one_external_id_are_one_payment(
        self, uow_of: UowOf, loan_officer: ApiClient, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        request = {**FIFTY, "external_id": "PMT-EXT-001"}
        responses = await asyncio.gather(*(loan_officer.post(path(loan_id), json=request) for _ in range(50)))
        assert sorted(r.status_code for r in responses) == [200] * 49 + [201]
        assert len({r.text for r in responses}) == 1
        await self.one_payment(uow_of, tenant, loan_id)
        other = await loan_officer.post(path(loan_id), json={**request, "payment_method": "cash"})
        assert (other.status_code, other.json()["code"]) == (409, "external_id_taken")

    async def one_payment(self, uow_of: UowOf, tenant: UUID, loan_id: UUID) -> None:
        async with uow_of(tenant) as uow:
            (row,) = await uow.all(select(payments).where(payments.c.loan_id == loan_id))
            entries = await uow.all(select(journal_entries).where(journal_entries.c.payment_id == row["id"]))
            assert sorted(e["kind"] for e in entries) == ["payment", "settlement"]
            await assert_consistent(uow, loan_id)


async def test_a_hundred_different_payments_at_once_on_one_loan(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID
) -> None:
    """Together they are more than the loan owes: none fails but those that find it paid off."""
    loan_id = await active_loan(uow_of, tenant)
    amounts = [100_00 + n for n in range(100)]
    posts = (
        loan_officer.post(path(loan_id), json={"amount": f"{a // 100}.{a % 100:02}", "payment_method": "ach"})
        for a in amounts
    )
    responses: list[Response] = await asyncio.gather(*posts)
    assert {r.status_code for r in responses} <= {201, 409}
    taken = [r.json() for r in responses if r.status_code == 201]
    assert {r.json()["code"] for r in responses if r.status_code == 409} <= {"loan_paid_off"}
    async with uow_of(tenant) as uow:
        row = await uow.one(select(loans).where(loans.c.id == loan_id), "loan")
        rows = await uow.all(select(payments).where(payments.c.loan_id == loan_id))
        assert len(rows) == len(taken) >= 99
        assert sum(r["amount"] for r in rows) == row["total_paid"]
        applied = sum(r["principal_applied"] for r in rows)
        assert row["principal_balance"] == 10_000_00 - applied >= 0
        await assert_consistent(uow, loan_id)


async def test_a_program_may_pay_following_instalments_with_what_is_over(
    uow_of: UowOf, loan_officer: ApiClient, tenant: UUID
) -> None:
    loan_id = await active_loan(uow_of, tenant, under(extra_money="advance_due"))
    body = (await loan_officer.post(path(loan_id, "preview"), json={"amount": "600.00"})).json()
    assert (body["interest_applied"], body["overpayment"]) == ("78.57", "0.00")  # 36.99 + 36.52 + 5.06


class TestLists:
    async def recorded(self, uow_of: UowOf, tenant: UUID) -> tuple[UUID, UUID]:
        """Six payments of 10.00 to 15.00 on one loan, one of 99.00 on another."""
        first, second = [await active_loan(uow_of, tenant) for _ in range(2)]
        await jump(uow_of, tenant, date(2020, 9, 15))
        async with uow_of(tenant) as uow:
            for n in range(6):
                on = date(2020, 9, 10 + n)
                await record(uow, RecordPayment(first, (10 + n) * 100, "cash" if n % 2 else "check", on, f"PMT-{n}"))
            await record(uow, RecordPayment(second, 99_00, "wire"))
            await uow.commit()
        return first, second

    async def get(self, client: ApiClient, url: str, **params: Any) -> dict[str, Any]:
        response = await client.get(f"/api/v1{url}", params=params)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def test_filters(self, uow_of: UowOf, viewer: ApiClient, tenant: UUID) -> None:
        first, second = await self.recorded(uow_of, tenant)

        async def amounts(url: str = "/payments", **params: Any) -> list[str]:
            return [item["amount"] for item in (await self.get(viewer, url, **params))["items"]]

        assert await amounts() == ["99.00", "15.00", "14.00", "13.00", "12.00", "11.00", "10.00"]
        assert await amounts(f"/loans/{second}/payments") == ["99.00"]
        assert await amounts(loan_id=str(first), payment_method="cash") == ["15.00", "13.00", "11.00"]
        assert await amounts(effective_from="2020-09-12", effective_to="2020-09-13") == ["13.00", "12.00"]
        assert await amounts(external_id="PMT-4") == ["14.00"]
        assert await amounts(status="reversed") == []

    async def test_pages(self, uow_of: UowOf, viewer: ApiClient, tenant: UUID) -> None:
        first, _ = await self.recorded(uow_of, tenant)
        seen: list[str] = []
        cursor: dict[str, Any] = {}
        for _ in range(3):
            page = await self.get(viewer, f"/loans/{first}/payments", limit=2, **cursor)
            seen += [item["amount"] for item in page["items"]]
            cursor = {"cursor": page["next_cursor"]}
        assert seen == ["15.00", "14.00", "13.00", "12.00", "11.00", "10.00"]
        assert cursor == {"cursor": None}

    async def test_a_borrower_sees_their_own(
        self, uow_of: UowOf, login_as: LoginAs, borrower: ApiClient, tenant: UUID
    ) -> None:
        first, _ = await self.recorded(uow_of, tenant)
        async with uow_of(tenant) as uow:
            owner = (await uow.one(select(loans.c.borrower_id).where(loans.c.id == first), "loan"))["borrower_id"]
        theirs = await login_as(tenant, "borrower", borrower_id=owner)
        body = await self.get(theirs, "/portal/payments", payment_method="check")
        assert [item["amount"] for item in body["items"]] == ["14.00", "12.00", "10.00"]
        assert (await self.get(borrower, "/portal/payments"))["items"] == []


class TestAccess:
    async def test_another_tenant_s_loan_and_payment_are_not_found(
        self, uow_of: UowOf, login_as: LoginAs, make_tenant: MakeTenant, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as uow:
            paid = await record(uow, RecordPayment(loan_id, 50_00, "ach"))
            await uow.commit()
        stranger = await login_as(await make_tenant(), "owner")
        responses = [
            await stranger.post(path(loan_id), json=FIFTY),
            await stranger.post(path(loan_id, "preview"), json={"amount": "50.00"}),
            await stranger.get(path(loan_id)),
            await stranger.get(f"/api/v1/payments/{paid.id}"),
        ]
        assert [r.status_code for r in responses] == [404] * 4
        assert (await stranger.get("/api/v1/payments")).json()["items"] == []

    @pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("borrower", 403), ("loan_officer", 201)])
    async def test_who_may_record(self, uow_of: UowOf, login_as: LoginAs, tenant: UUID, role: str, status: int) -> None:
        loan_id = await active_loan(uow_of, tenant)
        client = await login_as(tenant, role)
        assert (await client.post(path(loan_id), json=FIFTY)).status_code == status

    async def test_nobody_records_without_logging_in(self, client: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        assert (await client.post(path(loan_id), json=FIFTY)).status_code == 401


class TestTheInstrumentFitsTheMethod:
    async def test_recording_and_its_preview_refuse_alike(self, admin: ApiClient) -> None:
        loan = await make_loan(admin)
        own = path_of(loan["borrower_id"])
        account, card = [(await add(admin, own, body))["id"] for body in (WITH_NUMBER, CARD)]
        removed = (await add(admin, own, {**CARD, "account_number_last_four": "1881"}))["id"]
        assert (await admin.delete(f"{own}/{removed}")).status_code == 204
        theirs = (await add(admin, path_of(await make_borrower(admin)), CARD))["id"]
        table = [
            *(("ach", account, None), ("card", card, None), ("other", card, None), ("other", account, None)),
            *((method, card, "not_of_this_method") for method in ("ach", "wire", "check", "cash")),
            *((method, account, "not_of_this_method") for method in ("card", "cash")),
            ("card", removed, "instrument_removed"),
            ("card", theirs, "unknown_instrument"),
        ]
        where = path(UUID(loan["id"]))
        for method, instrument, code in table:
            body = {"amount": "1.00", "payment_method": method, "payment_instrument_id": instrument}
            for answer in (await admin.post(f"{where}/preview", json=body), await admin.post(where, json=body)):
                if code is None:
                    assert answer.status_code in (200, 201), answer.text
                    continue
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (422, code), (method, instrument)
                assert [error["pointer"] for error in problem["errors"]] == ["/payment_instrument_id"]
        assert len((await admin.get(where)).json()["items"]) == sum(code is None for _, _, code in table)

    async def test_a_payment_by_an_instrument_that_was_removed_since_is_still_corrected(self, admin: ApiClient) -> None:
        """It came by it, whatever became of it; and the same request is still the same payment."""
        loan = await make_loan(admin)
        own, where = path_of(loan["borrower_id"]), path(UUID(loan["id"]))
        card = (await add(admin, own, CARD))["id"]
        body = {"amount": "1.00", "payment_method": "card", "payment_instrument_id": card, "external_id": "C-1"}
        paid = (await admin.post(where, json=body)).json()
        assert (await admin.delete(f"{own}/{card}")).status_code == 204
        again = await admin.post(where, json=body)
        assert (again.status_code, again.json()["id"]) == (200, paid["id"])
        reversed_ = await admin.post(f"/api/v1/payments/{paid['id']}/reverse", json={"reason": "entered twice"})
        assert reversed_.status_code == 200, reversed_.text
