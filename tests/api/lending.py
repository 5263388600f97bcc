"""Programs, borrowers and loans made over HTTP, for the tests of what is done with them."""

from __future__ import annotations

from typing import Any

from infra.ids import new_id
from tests.api.conftest import ApiClient

EXAMPLE_TERMS: dict[str, Any] = {
    "first_period": "actual_365",
    "grace_days": 10,
    "late_fee": {"kind": "flat", "flat": "30.00"},
    "payoff_interest": "per_diem",
    "payoff_counts_today": True,
    "limits": {"min_principal": "1000.00", "max_principal": "40000.00", "max_rate": "0.36", "max_periods": 60},
}
"""The program of the example loan, with limits."""

EXAMPLE_LOAN: dict[str, Any] = {
    "principal_amount": "10000.00",
    "interest_rate": "0.045",
    "term_months": 36,
    "origination_date": "2020-09-09",
    "first_payment_date": "2020-10-09",
}
"""The example loan: 35 payments of 297.47 and one of 296.86."""


async def make_program(admin: ApiClient, terms: dict[str, Any] | None = None) -> str:
    body = {"name": f"Program {new_id().hex}", "terms": EXAMPLE_TERMS if terms is None else terms}
    response = await admin.post("/api/v1/programs", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def make_borrower(officer: ApiClient, **fields: Any) -> str:
    body = {"first_name": "John", "last_name": "Doe", **fields}
    response = await officer.post("/api/v1/borrowers", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def loan_body(admin: ApiClient, **changes: Any) -> dict[str, Any]:
    """A request for the example loan with a fresh program and borrower; None leaves a field out."""
    references = {}
    if "program_id" not in changes:
        references["program_id"] = await make_program(admin)
    if "borrower_id" not in changes:
        references["borrower_id"] = await make_borrower(admin)
    body = {**EXAMPLE_LOAN, **references, **changes}
    return {name: value for name, value in body.items() if value is not None}


async def make_loan(admin: ApiClient, *, disbursed: bool = True, **changes: Any) -> dict[str, Any]:
    response = await admin.post("/api/v1/loans", json=await loan_body(admin, **changes))
    assert response.status_code == 201, response.text
    loan: dict[str, Any] = response.json()
    if disbursed:
        response = await admin.post(f"/api/v1/loans/{loan['id']}/disburse", json={})
        assert response.status_code == 200, response.text
        loan = response.json()
    return loan


def pointers(response: Any) -> set[str]:
    """What a refusal complains of."""
    return {error["pointer"] for error in response.json()["errors"]}
