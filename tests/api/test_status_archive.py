"""The status of a loan over HTTP."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.schemas.status_archive import LoanStatusOn
from infra.ids import new_id
from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient
from tests.api.lending import make_loan
from tests.services.lending import UowOf, active_loan, jump, run_date

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


@pytest.fixture
async def backdated(uow_of: UowOf, tenant: UUID) -> UUID:
    """A loan that was 11 days late at the close of 2020-10-20, until the payment of 10-05 was recorded the day after."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 20))
    await run_date(uow_of, tenant, date(2020, 10, 21))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 297_47, "check", date(2020, 10, 5)))
        await uow.commit()
    return loan_id


async def get(client: ApiClient, loan_id: object, **params: str) -> Any:
    response = await client.get(f"/api/v1/loans/{loan_id}/status", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_archived_row_stays_and_the_restated_one_knows_better(viewer: ApiClient, backdated: UUID) -> None:
    archived = await get(viewer, backdated, date="2020-10-20")
    assert (archived["basis"], archived["days_past_due"], archived["fees_balance"]) == ("archived", 11, "30.00")
    assert archived["archived_at"].endswith("Z")
    restated = await get(viewer, backdated, date="2020-10-20", basis="restated")
    assert (restated["basis"], restated["days_past_due"], restated["archived_at"]) == ("restated", 0, None)
    assert "days_past_due" in archived["differs"]
    then = await get(viewer, backdated, date="2020-10-20", basis="restated", known_as_of="2020-10-20")
    assert {**then, "basis": "archived", "archived_at": archived["archived_at"]} == {**archived, "differs": then["differs"]}


async def test_today_as_it_stands(viewer: ApiClient, backdated: UUID) -> None:
    found = await get(viewer, backdated)
    assert (found["as_of"], found["total_paid"], found["loan_age"], found["loan_recency"]) == (
        "2020-10-21",
        "297.47",
        42,
        16,
    )
    assert (found["period_start"], found["period_end"], found["periods_remaining"]) == ("2020-10-09", "2020-11-08", 35)
    assert (found["final_payment_date"], found["delinquency_percent"]) == ("2023-09-09", "0.00")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("date=2020-10-22", "/date"),
        ("date=2020-09-08", "/date"),
        ("date=yesterday", "/date"),
        ("basis=guessed", "/basis"),
        ("date=2020-10-20&known_as_of=2020-10-20", "/known_as_of"),
        ("basis=restated&known_as_of=2020-10-20T12:00", "/known_as_of"),
    ],
)
async def test_refused(viewer: ApiClient, backdated: UUID, query: str, pointer: str) -> None:
    response = await viewer.get(f"/api/v1/loans/{backdated}/status?{query}")
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_no_such_loan(viewer: ApiClient) -> None:
    assert (await viewer.get(f"/api/v1/loans/{new_id()}/status")).status_code == 404


def test_every_figure_is_defined_in_the_glossary() -> None:
    terms = {line.split("|")[1].strip() for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")}
    assert set(LoanStatusOn.model_fields) <= terms


async def test_a_loan_that_is_not_paid_out_has_nothing_yet(admin: ApiClient) -> None:
    loan = await make_loan(admin, disbursed=False)
    found = await get(admin, loan["id"])
    assert (found["status"], found["principal_balance"], found["next_payment_date"]) == ("boarding", "0.00", None)
