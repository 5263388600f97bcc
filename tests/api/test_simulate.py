"""Simulations over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import ApiClient
from tests.services.lending import UowOf, active_loan, counts

DUE = {"kind": "pay_as_due"}


@pytest.fixture
async def loan_id(uow_of: UowOf, tenant: UUID) -> UUID:
    return await active_loan(uow_of, tenant)


async def simulate(client: ApiClient, loan_id: object, *events: dict[str, Any], **body: Any) -> Any:
    response = await client.post(f"/api/v1/loans/{loan_id}/simulate", json={"events": list(events), **body})
    assert response.status_code == 200, response.text
    return response.json()


async def test_paying_as_due_is_the_baseline(loan_officer: ApiClient, loan_id: UUID) -> None:
    found = await simulate(loan_officer, loan_id, DUE)
    assert len(found["rows"]) == 36
    first = found["rows"][0]
    assert (first["date"], first["due_amount"], first["principal_balance"]) == ("2020-10-09", "297.47", "9739.52")
    (paid,) = first["payments"]
    assert (paid["amount"], paid["interest_applied"], paid["overpayment"]) == ("297.47", "36.99", "0.00")
    outcome = found["outcome"]
    assert (outcome["paid_off_on"], outcome["interest_paid"], outcome["total_paid"]) == ("2023-09-09", "708.31", "10708.31")
    assert (found["baseline"], found["interest_saved"]) == (outcome, "0.00")


async def test_plans_and_actions_together(loan_officer: ApiClient, loan_id: UUID) -> None:
    reason = {"effective_date": "2020-12-01", "reason": "hardship"}
    found = await simulate(
        loan_officer,
        loan_id,
        DUE,
        {"kind": "skip", "count": 1},
        {"kind": "payment", "amount": "500.00", "date": "2020-11-20"},
        {"kind": "rate_changed", "rate": "0.02", **reason},
        {"kind": "pay_off", "date": "2021-03-01"},
    )
    rows = {row["date"]: row for row in found["rows"]}
    assert rows["2020-10-09"]["payments"] == []
    assert [fee["key"] for fee in rows["2020-11-09"]["fees"]] == ["late_fee:2020-10-09"]
    assert rows["2020-12-01"]["events"] == ["rate_changed"]
    assert rows["2021-03-01"]["status"] == found["outcome"]["status"] == "paid_off"
    assert rows["2021-03-01"]["payoff"] is None


async def test_more_each_week(loan_officer: ApiClient, loan_id: UUID) -> None:
    more = {"kind": "pay_regularly", "amount": "100.00", "from": "2020-09-16", "frequency": "weekly"}
    found = await simulate(loan_officer, loan_id, more)
    assert found["outcome"]["paid_off_on"] < "2023-01-01"
    assert float(found["interest_saved"]) > 0


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ({"kind": "pray"}, "/events/0/kind"),
        ({"kind": "payment", "amount": "0.00", "date": "2020-10-01"}, "/events/0/amount"),
        ({"kind": "payment", "amount": "1.00", "date": "2020-09-08"}, "/events/0/date"),
        ({"kind": "skip", "count": 0}, "/events/0/count"),
        ({"kind": "pay_regularly", "amount": "1.00", "from": "2020-09-09", "frequency": "weekly"}, "/events/0"),
        ({"kind": "extended", "periods": 481, "reason": "x"}, "/events/0/periods"),
        ({"kind": "deferred", "instalments": 99, "reason": "x"}, "/events/0/instalments"),
        ({"kind": "pay_as_due", "form": "2020-10-09"}, "/events/0/form"),
    ],
)
async def test_refused(
    uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, loan_id: UUID, event: dict[str, Any], pointer: str
) -> None:
    response = await loan_officer.post(f"/api/v1/loans/{loan_id}/simulate", json={"events": [event]})
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_it_writes_nothing(uow_of: UowOf, tenant: UUID, loan_officer: ApiClient, loan_id: UUID) -> None:
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    await simulate(loan_officer, loan_id, DUE)
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before
