"""Explanations over HTTP."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.explain import Figure
from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient
from tests.api.lending import make_loan
from tests.services.lending import UowOf, jump


@pytest.fixture
async def loan_id(uow_of: UowOf, tenant: UUID, admin: ApiClient) -> UUID:
    """One payment of 400.00 on 2020-11-20, when the first instalment is 42 days late."""
    loan_id = UUID((await make_loan(admin))["id"])
    await jump(uow_of, tenant, date(2020, 11, 20))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 400_00, "check"))
        await uow.commit()
    await jump(uow_of, tenant, date(2020, 11, 30))
    return loan_id


async def explained(client: ApiClient, loan_id: UUID, **params: str) -> Any:
    response = await client.get(f"/api/v1/loans/{loan_id}/explain", params=params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("figure", Figure)
async def test_lines_add_up_to_the_figure_the_loan_shows(viewer: ApiClient, loan_id: UUID, figure: Figure) -> None:
    found = await explained(viewer, loan_id, figure=figure)
    loan = (await viewer.get(f"/api/v1/loans/{loan_id}")).json()
    shown = loan["unapplied_balance" if figure is Figure.UNAPPLIED else figure]
    assert found["amount"] == str(shown)
    assert sum(Decimal(line["amount"]) for line in found["lines"]) == Decimal(found["amount"])
    assert found["unit"] == ("days" if figure is Figure.DAYS_PAST_DUE else "USD")


async def test_an_accrual_names_days_rate_and_principal_and_a_payment_its_event(viewer: ApiClient, loan_id: UUID) -> None:
    found = await explained(viewer, loan_id, figure="accrued_interest")
    assert (found["program_version"], found["interest_method"], found["day_count"]) == (1, "scheduled", "ACT/365F")
    first = found["lines"][0]
    assert first | {"event": None} == {
        "kind": "accrual",
        "date": "2020-10-09",
        "amount": "36.99",
        "since": "2020-09-09",
        "days": 30,
        "rate": "0.045",
        "principal": "10000.00",
        "exact": "36.986301",
        "event": None,
        "payment_id": None,
        "instalment_number": None,
        "fee_key": None,
    }
    paid = next(line for line in found["lines"] if line["kind"] == "event")
    assert paid["event"] == {"number": 2, "kind": "payment_received", "effective_date": "2020-11-20"}


async def test_as_of_a_day_and_a_knowledge(viewer: ApiClient, loan_id: UUID) -> None:
    before = await explained(viewer, loan_id, figure="principal_balance", date="2020-11-19")
    assert before["amount"] == "10000.00"
    unknown = await explained(viewer, loan_id, figure="principal_balance", known_as_of="2020-11-19")
    assert [line["amount"] for line in unknown["lines"]] == ["10000.00"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("", "/figure"), ("figure=karma", "/figure"), ("figure=payoff&date=2020-12-01", "/date")],
)
async def test_refused(viewer: ApiClient, loan_id: UUID, query: str, pointer: str) -> None:
    response = await viewer.get(f"/api/v1/loans/{loan_id}/explain?{query}")
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_the_schedule_says_what_was_paid_of_each_instalment_and_when(viewer: ApiClient, loan_id: UUID) -> None:
    items = (await viewer.get(f"/api/v1/loans/{loan_id}/schedule")).json()["items"]
    (first,) = items[0]["payments"]
    assert (first["effective_date"], first["principal"], first["interest"]) == ("2020-11-20", "260.48", "36.99")
    (second,) = items[1]["payments"]
    assert (second["payment_id"], items[1]["status"]) == (first["payment_id"], "past_due")
    assert items[2]["payments"] == []
    booked = (await viewer.get(f"/api/v1/loans/{loan_id}/schedule?booked=true")).json()["items"]
    assert booked[0]["payments"] is None
