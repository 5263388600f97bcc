"""Bad input to recording and previewing a payment: a clear refusal that names the value, never a 5xx, nothing written."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from tests.api.conftest import ApiClient
from tests.services.lending import UowOf, active_loan, counts, jump

GOOD: dict[str, Any] = {"amount": "50.00", "effective_date": "2020-09-20"}
NAN, TOO_LARGE = float("nan"), "9" * 10_000_000

# the change to a good request, the status, and the pointer or the code of the problem
TABLE: list[tuple[str, dict[str, Any], int, str]] = [
    ("amount 0", {"amount": "0.00"}, 422, "/amount"),
    ("amount negative", {"amount": "-50.00"}, 422, "/amount"),
    ("amount of three decimals", {"amount": "50.005"}, 422, "/amount"),
    ("amount 1e400", {"amount": "1e400"}, 422, "/amount"),
    ("amount NaN as text", {"amount": "NaN"}, 422, "/amount"),
    ("amount NaN as a number", {"amount": NAN}, 400, "invalid_json"),
    ("amount as a number", {"amount": 50.0}, 422, "/amount"),
    ("amount as a list", {"amount": ["50.00"]}, 422, "/amount"),
    ("amount null", {"amount": None}, 422, "/amount"),
    ("amount in other digits", {"amount": "٥٠.٠٠"}, 422, "/amount"),
    ("amount beyond all money", {"amount": "9" * 31}, 422, "/amount"),
    ("a string of 10 MB", {"amount": TOO_LARGE}, 413, "body_too_large"),
    ("a long string", {"amount": "9" * 500_000}, 422, "/amount"),
    ("a date before disbursement", {"effective_date": "2020-09-08"}, 422, "/effective_date"),
    ("a date in the future", {"effective_date": "2020-09-22"}, 422, "/effective_date"),
    ("a date far in the future", {"effective_date": "9999-12-31"}, 422, "/effective_date"),
    ("the year 0001", {"effective_date": "0001-01-01"}, 422, "/effective_date"),
    ("a day that does not exist", {"effective_date": "2020-09-31"}, 422, "/effective_date"),
    ("a moment", {"effective_date": "2020-09-20T00:00:00Z"}, 422, "/effective_date"),
    ("a date as a number", {"effective_date": 1600560000}, 422, "/effective_date"),
    ("an unknown field", {"amout": "50.00"}, 422, "/amout"),
    ("an unknown field with a slash", {"a/b~c": 1}, 422, "/a~1b~0c"),
    ("half of a surrogate pair", {"amount": "\ud800"}, 400, "invalid_json"),
    ("a NUL character", {"amount": "50\0"}, 400, "invalid_json"),
]
RECORDING: list[tuple[str, dict[str, Any], int, str]] = [
    ("a method that is none", {"payment_method": "barter"}, 422, "/payment_method"),
    ("no method", {"payment_method": None}, 422, "/payment_method"),
    ("an instrument that is no id", {"payment_instrument_id": "772a0622"}, 422, "/payment_instrument_id"),
    ("an instrument that is not there", {"payment_instrument_id": str(new_id())}, 422, "/payment_instrument_id"),
    ("an empty external_id", {"external_id": ""}, 422, "/external_id"),
    ("a blank external_id", {"external_id": "   "}, 422, "/external_id"),
    ("an external_id of 256 characters", {"external_id": "x" * 256}, 422, "/external_id"),
    ("an external_id that is a number", {"external_id": 7}, 422, "/external_id"),
]
CASES = [("record", *case) for case in TABLE + RECORDING] + [("preview", *case) for case in TABLE]


def url(loan_id: object, action: str) -> str:
    return f"/api/v1/loans/{loan_id}/payments" + ("/preview" if action == "preview" else "")


def request(action: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**GOOD, **({"payment_method": "ach"} if action == "record" else {}), **(change or {})}


async def send(client: ApiClient, url: str, body: Any) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await client.post(url, content=content, headers={"Content-Type": "application/json"})
    problem: dict[str, Any] = response.json()
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert set(problem) >= {"type", "title", "status", "detail", "code", "errors"}
        assert problem["status"] == response.status_code
        assert len(response.content) < 5_000, "a refusal does not repeat what was sent"
    return response.status_code, problem


@pytest.fixture(scope="module")
async def module_tenant(make_tenant: Any) -> UUID:
    tenant: UUID = await make_tenant()
    return tenant


@pytest.fixture(scope="module")
async def officer(login_as: Any, module_tenant: UUID) -> ApiClient:
    client: ApiClient = await login_as(module_tenant, "loan_officer")
    return client


@pytest.fixture(scope="module")
async def loan_id(engine: Any, module_tenant: UUID) -> UUID:
    """A loan disbursed on 2020-09-09; the business date is 2020-09-21."""

    def uow_of(tenant: UUID) -> UnitOfWork:
        return UnitOfWork(engine, tenant, Actor(ActorKind.OPERATOR))

    loan_id = await active_loan(uow_of, module_tenant)
    await jump(uow_of, module_tenant, date(2020, 9, 21))
    return loan_id


@pytest.mark.parametrize(
    ("action", "name", "change", "status", "where"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
async def test_refused(
    uow_of: UowOf,
    officer: ApiClient,
    module_tenant: UUID,
    loan_id: UUID,
    action: str,
    name: str,
    change: dict[str, Any],
    status: int,
    where: str,
) -> None:
    async with uow_of(module_tenant) as uow:
        before = await counts(uow)
    got, problem = await send(officer, url(loan_id, action), request(action, change))
    assert got == status, problem
    pointers = [error["pointer"] for error in problem["errors"]]
    assert where in (pointers if where.startswith("/") else [problem["code"]])
    async with uow_of(module_tenant) as uow:
        assert await counts(uow) == before


@pytest.mark.parametrize("action", ["record", "preview"])
class TestTheWholeRequest:
    async def test_the_good_request_is_taken(self, officer: ApiClient, loan_id: UUID, action: str) -> None:
        """So that each refusal above is for the one thing that is wrong with it."""
        status, _ = await send(officer, url(loan_id, action), request(action))
        assert status == (201 if action == "record" else 200)

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"amount":"1.00","amount":"2.00"}'])
    async def test_a_body_that_is_no_object(self, officer: ApiClient, loan_id: UUID, action: str, body: bytes) -> None:
        status, _ = await send(officer, url(loan_id, action), body)
        assert status in (400, 422)

    @pytest.mark.parametrize("wrong", ["7", "not-a-uuid", "550e8400-e29b-41d4-a716-44665544000g", "%00", "' OR 1=1 --"])
    async def test_a_loan_id_that_is_none(self, officer: ApiClient, action: str, wrong: str) -> None:
        status, problem = await send(officer, url(wrong, action), request(action))
        assert status in (400, 422)
        assert status == 400 or problem["errors"][0]["pointer"] == "/loan_id"

    async def test_a_loan_that_is_not_there(self, officer: ApiClient, action: str) -> None:
        status, problem = await send(officer, url(new_id(), action), request(action))
        assert (status, problem["code"]) == (404, "not_found")

    async def test_a_loan_that_is_paid_off(
        self, uow_of: UowOf, officer: ApiClient, module_tenant: UUID, action: str
    ) -> None:
        loan_id = await active_loan(uow_of, module_tenant)
        await send(officer, url(loan_id, "record"), {**request("record"), "amount": "10100.00"})
        async with uow_of(module_tenant) as uow:
            before = await counts(uow)
        status, problem = await send(officer, url(loan_id, action), request(action))
        assert (status, problem["code"]) == (409, "loan_paid_off")
        assert (problem["state"], problem["allowed"]) == ("paid_off", ["active", "charged_off"])
        assert "2020-09-20" in problem["detail"]
        async with uow_of(module_tenant) as uow:
            assert await counts(uow) == before

    async def test_the_refusal_of_a_future_date_names_the_business_date_and_the_zone(
        self, officer: ApiClient, loan_id: UUID, action: str
    ) -> None:
        _, problem = await send(officer, url(loan_id, action), request(action, {"effective_date": "2020-09-22"}))
        assert "2020-09-21 in America/New_York" in problem["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "status=lost", "effective_from=now", "loan_id=7"]
)
async def test_lists_refuse_bad_parameters(officer: ApiClient, query: str) -> None:
    response = await officer.get(f"/api/v1/payments?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"/{query.split('=')[0]}"
