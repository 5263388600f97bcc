"""Corrections over HTTP: what they answer, who may, once a key, and the history they leave."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from infra.ids import new_id
from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient
from tests.api.lending import make_loan
from tests.services.lending import UowOf, active_loan, counts, jump, open_dates

DUE, LATE = "2020-10-09", "2020-10-21"


@pytest.fixture
async def late(uow_of: UowOf, tenant: UUID) -> tuple[str, str]:
    """A loan and its payment of 21 October, which met the late fee of the instalment due on the 9th."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 20))
    await open_dates(uow_of, tenant, date(2020, 10, 21))
    async with uow_of(tenant) as uow:
        paid = await record(uow, RecordPayment(loan_id, 297_47, "check"))
        await uow.commit()
    return str(loan_id), str(paid.id)


async def call(client: ApiClient, method: str, url: str, status: int = 200, **sent: Any) -> Any:
    response = await client.request(method, f"/api/v1{url}", **sent)
    assert response.status_code == status, response.text
    return response.json()


class TestBackdate:
    async def test_a_preview_is_what_is_then_done_and_writes_nothing(
        self, loan_officer: ApiClient, late: tuple[str, str], uow_of: UowOf, tenant: UUID
    ) -> None:
        payment_id = late[1]
        body = {"effective_date": DUE, "reason": "The cheque was here on the 9th"}
        async with uow_of(tenant) as uow:
            before = await counts(uow)
        promised = await call(loan_officer, "POST", f"/payments/{payment_id}/backdate/preview", json=body)
        async with uow_of(tenant) as uow:
            assert await counts(uow) == before
        done = await call(loan_officer, "POST", f"/payments/{payment_id}/backdate", json=body)
        assert promised.pop("archive")["complete"]
        assert promised == {name: done[name] for name in promised}
        assert (done["before"]["principal_balance"], done["after"]["principal_balance"]) == ("9769.52", "9739.52")
        (fee,) = done["fees"]
        assert (fee["key"], fee["before"]["paid"], fee["after"]) == (f"late_fee:{DUE}", "30.00", None)
        (change,) = done["allocations"]
        assert (change["payment_id"], change["before"]["fees_applied"], change["after"]["fees_applied"]) == (
            payment_id,
            "30.00",
            "0.00",
        )
        kinds = [(item["key"], item["kind"]) for item in done["journal"] if item["kind"] != "accrual"]
        assert (f"late_fee:{DUE}", "mirror") in kinds
        payment = await call(loan_officer, "GET", f"/payments/{payment_id}")
        assert (payment["effective_date"], payment["principal_applied"]) == (DUE, "260.48")

    async def test_a_retry_with_its_key_gets_the_first_answer(self, loan_officer: ApiClient, late: tuple[str, str]) -> None:
        url, body = f"/payments/{late[1]}/backdate", {"effective_date": DUE}
        headers = {"Idempotency-Key": f"backdate-{new_id()}"}
        first = await call(loan_officer, "POST", url, json=body, headers=headers)
        assert await call(loan_officer, "POST", url, json=body, headers=headers) == first
        again = await call(loan_officer, "POST", url, 422, json=body)
        assert again["code"] == "same_effective_date"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"effective_date": "2020-10-22"}, "/effective_date"),
            ({"effective_date": "2020-09-08"}, "/effective_date"),
            ({"effective_date": LATE}, "/effective_date"),
            ({"effective_date": "soon"}, "/effective_date"),
            ({}, "/effective_date"),
            ({"effective_date": DUE, "why": "x"}, "/why"),
            ({"effective_date": DUE, "reason": ""}, "/reason"),
        ],
    )
    @pytest.mark.parametrize("action", ["backdate", "backdate/preview"])
    async def test_bad_input(
        self, loan_officer: ApiClient, late: tuple[str, str], body: dict[str, Any], pointer: str, action: str
    ) -> None:
        problem = await call(loan_officer, "POST", f"/payments/{late[1]}/{action}", 422, json=body)
        assert problem["errors"][0]["pointer"] == pointer


class TestHistory:
    async def test_it_says_who_when_and_why(self, loan_officer: ApiClient, late: tuple[str, str]) -> None:
        loan_id, payment_id = late
        body = {"effective_date": DUE, "reason": "The cheque was here on the 9th"}
        await call(loan_officer, "POST", f"/payments/{payment_id}/backdate", json=body)
        events = (await call(loan_officer, "GET", f"/loans/{loan_id}/events"))["items"]
        first, *_, received, settled, moved, moved_settlement = sorted(events, key=lambda e: e["number"])
        assert (first["kind"], first["superseded_by"]) == ("disbursed", None)
        assert (received["superseded_by"], settled["superseded_by"]) == (moved["number"], moved_settlement["number"])
        assert (moved["position"], moved["supersedes"], moved["effective_date"]) == (received["number"], 2, DUE)
        assert (moved["reason"], moved["recorded_by"]) == (body["reason"], str(loan_officer.user_id))
        assert moved["data"] == {"amount": "297.47", "payment_id": payment_id}
        page = await call(loan_officer, "GET", f"/loans/{loan_id}/events", params={"limit": 2})
        assert [e["number"] for e in page["items"]] == [5, 4]
        assert page["next_cursor"]

    async def test_time_travel(self, admin: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        """The loan, its schedule and its journal on 9 October, by what was known before and after the backdating."""
        loan_id = (await make_loan(admin))["id"]
        await jump(uow_of, tenant, date(2020, 10, 20))
        await open_dates(uow_of, tenant, date(2020, 10, 21))
        cheque = {"amount": "297.47", "payment_method": "check"}
        paid = await call(admin, "POST", f"/loans/{loan_id}/payments", 201, json=cheque)
        before = (await call(admin, "GET", f"/loans/{loan_id}/events"))["items"][0]["recorded_at"]
        await call(admin, "POST", f"/payments/{paid['id']}/backdate", json={"effective_date": DUE})
        asked: list[tuple[dict[str, str], str, str]]
        asked = [({}, "9739.52", "paid"), ({"known_as_of": before}, "10000.00", "due")]
        for known, balance, status in asked:
            params = {"effective_as_of": DUE, **known}
            loan = await call(admin, "GET", f"/loans/{loan_id}", params=params)
            assert (loan["as_of"], loan["principal_balance"]) == (DUE, balance)
            schedule = await call(admin, "GET", f"/loans/{loan_id}/schedule", params=params)
            assert schedule["items"][0]["status"] == status
            journal = (await call(admin, "GET", f"/loans/{loan_id}/journal", params={"limit": 200, **known}))["items"]
            mirrored = [e for e in journal if e["key"] == f"late_fee:{DUE}" and e["reversed_by_id"]]
            assert len(mirrored) == (0 if known else 1)
        day_before = {"effective_as_of": LATE, "known_as_of": "2020-10-20"}
        loan = await call(admin, "GET", f"/loans/{loan_id}", params=day_before)
        assert (loan["principal_balance"], loan["fees_balance"]) == ("10000.00", "30.00")
        first_day = {"effective_as_of": "2020-09-09"}
        journal = (await call(admin, "GET", f"/loans/{loan_id}/journal", params=first_day))["items"]
        assert [entry["kind"] for entry in journal] == ["disbursement"]

    @pytest.mark.parametrize(
        ("params", "pointer"),
        [
            ({"effective_as_of": "2020-10-22"}, "/effective_as_of"),
            ({"effective_as_of": "yesterday"}, "/effective_as_of"),
            ({"known_as_of": "yesterday"}, "/known_as_of"),
            ({"known_as_of": "2020-10-21T12:00:00"}, "/known_as_of"),
            ({"known_as_of": "9999-12-31T23:59:59-12:00"}, "/known_as_of"),
            ({"known_as_of": "0001-01-01T00:00:00+12:00"}, "/known_as_of"),
        ],
    )
    async def test_a_time_that_is_none(
        self, viewer: ApiClient, late: tuple[str, str], params: dict[str, str], pointer: str
    ) -> None:
        for url in (f"/loans/{late[0]}", f"/loans/{late[0]}/schedule"):
            problem = await call(viewer, "GET", url, 422, params=params)
            assert problem["errors"][0]["pointer"] == pointer

    async def test_equivalence(self, loan_officer: ApiClient, late: tuple[str, str]) -> None:
        loan_id, payment_id = late
        await call(loan_officer, "POST", f"/payments/{payment_id}/backdate", json={"effective_date": DUE})
        await call(loan_officer, "POST", f"/payments/{payment_id}/reverse", json={"reason": "nsf"})
        found = await call(loan_officer, "GET", f"/loans/{loan_id}/equivalence")
        assert found["equal"] is True
        assert found["cached"] == found["replayed"] == found["fresh"]


class TestVoid:
    @pytest.mark.parametrize("kind", ["charged_off", "fee_charged"])
    async def test_what_was_voided_can_happen_on_a_later_day(
        self, admin: ApiClient, late: tuple[str, str], uow_of: UowOf, kind: str
    ) -> None:
        loan_id, payment_id = late
        fee = {"fee_kind": "nsf_fee", "amount": "25.00", "payment_id": payment_id} if kind == "fee_charged" else {}
        body = {"kind": kind, "reason": "x", **fee}
        first = await call(admin, "POST", f"/loans/{loan_id}/actions", 201, json=body)
        await call(admin, "POST", f"/loans/{loan_id}/events/{first['number']}/void", json={"reason": "too early"})
        await jump(uow_of, admin.tenant_id, date(2020, 10, 23))
        again = await call(admin, "POST", f"/loans/{loan_id}/actions", 201, json=body)
        assert again["effective_date"] == "2020-10-23"

    async def test_a_loan_whose_disbursement_was_voided_is_disbursed_on_a_later_day(
        self, admin: ApiClient, uow_of: UowOf
    ) -> None:
        loan_id = (await make_loan(admin))["id"]
        await call(admin, "POST", f"/loans/{loan_id}/events/1/void", json={"reason": "The wire failed"})
        await jump(uow_of, admin.tenant_id, date(2020, 9, 11))
        loan = await call(admin, "POST", f"/loans/{loan_id}/disburse", json={})
        assert (loan["status"], loan["principal_balance"]) == ("active", "10000.00")
        assert (await call(admin, "GET", "/gl/reconciliation"))["reconciled"]
        journal = (await call(admin, "GET", f"/loans/{loan_id}/journal"))["items"]
        assert sorted((entry["revision"], entry["effective_date"]) for entry in journal if entry["key"] == "disbursed") == [
            (1, "2020-09-09"),
            (2, "2020-09-09"),
            (3, "2020-09-11"),
        ]

    async def test_only_what_is_voided_by_itself(self, admin: ApiClient, late: tuple[str, str]) -> None:
        loan_id, _ = late
        for number, state in ((1, "disbursed"), (2, "payment_received"), (3, "payment_settled")):
            problem = await call(admin, "POST", f"/loans/{loan_id}/events/{number}/void", 409, json={"reason": "x"})
            assert problem["state"] == state
        await call(admin, "POST", f"/loans/{loan_id}/events/9/void", 404, json={"reason": "x"})
        await call(admin, "POST", f"/loans/{loan_id}/events/0/void", 422, json={"reason": "x"})

    async def test_a_disbursement_that_never_left(self, admin: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        promised = await call(admin, "POST", f"/loans/{loan_id}/events/1/void/preview")
        done = await call(admin, "POST", f"/loans/{loan_id}/events/1/void", json={"reason": "The wire failed"})
        assert promised.pop("archive")["complete"]
        assert promised == {name: done[name] for name in promised}
        assert (done["after"]["status"], done["after"]["principal_balance"]) == ("boarding", "0.00")
        events = (await call(admin, "GET", f"/loans/{loan_id}/events"))["items"]
        assert [(e["kind"], e["supersedes"], e["reason"]) for e in events] == [
            ("voided", 1, "The wire failed"),
            ("disbursed", None, None),
        ]
