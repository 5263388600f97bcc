"""Programs over HTTP: versions, limits on who writes, archive."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ApiClient
from tests.api.lending import EXAMPLE_TERMS, make_loan, make_program, pointers

PROGRAMS = "/api/v1/programs"


async def test_a_program_is_answered_with_every_convention(admin: ApiClient) -> None:
    body = {"name": "Personal loans", "description": "36 months", "terms": EXAMPLE_TERMS}
    created = await admin.post(PROGRAMS, json=body)
    assert created.status_code == 201
    program = created.json()
    assert (program["version"], program["status"]) == (1, "active")
    assert program["terms"]["allocation_order"] == ["fees", "interest", "principal"], "a default"
    assert program["terms"]["late_fee"] == {"kind": "flat", "flat": "30.00", "percent": "0", "cap": None}
    assert (await admin.get(f"{PROGRAMS}/{program['id']}")).json() == program


async def test_other_terms_are_a_new_version_and_loans_keep_theirs(admin: ApiClient) -> None:
    loan = await make_loan(admin)
    path = f"{PROGRAMS}/{loan['program_id']}"
    name = (await admin.get(path)).json()["name"]

    changed = await admin.put(path, json={"name": name, "terms": {**EXAMPLE_TERMS, "grace_days": 15}})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert changed.json()["terms"]["grace_days"] == 15
    assert (await admin.get(path, params={"version": 1})).json()["terms"]["grace_days"] == 10

    versions = (await admin.get(f"{path}/versions")).json()
    assert [version["version"] for version in versions["items"]] == [2, 1]
    old = (await admin.get(f"/api/v1/loans/{loan['id']}", params={"expand": "program"})).json()
    assert (old["program_version"], old["program"]["terms"]["grace_days"]) == (1, 10)
    new = await make_loan(admin, program_id=loan["program_id"])
    assert new["program_version"] == 2


async def test_the_same_terms_again_make_no_version(admin: ApiClient) -> None:
    program_id = await make_program(admin)
    body = {"name": f"renamed {program_id}", "terms": EXAMPLE_TERMS}
    answers = [await admin.put(f"{PROGRAMS}/{program_id}", json=body) for _ in range(2)]
    assert [answer.json()["version"] for answer in answers] == [1, 1]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["name"] == body["name"]


async def test_versions_come_in_pages(admin: ApiClient) -> None:
    program_id = await make_program(admin)
    for grace in (1, 2, 3):
        body = {"name": f"p {program_id}", "terms": {**EXAMPLE_TERMS, "grace_days": grace}}
        await admin.put(f"{PROGRAMS}/{program_id}", json=body)
    path = f"{PROGRAMS}/{program_id}/versions"
    first = (await admin.get(path, params={"limit": 3})).json()
    rest = (await admin.get(path, params={"limit": 3, "before": first["next_before"]})).json()
    assert [v["version"] for v in first["items"] + rest["items"]] == [4, 3, 2, 1]
    assert rest["next_before"] is None


async def test_an_archived_program_takes_no_loans_and_no_changes(admin: ApiClient) -> None:
    loan = await make_loan(admin)
    program_id = loan["program_id"]
    path = f"{PROGRAMS}/{program_id}"
    assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 204]
    assert (await admin.get(path)).json()["status"] == "archived"
    refused = await admin.put(path, json={"name": "x", "terms": {}})
    assert (refused.status_code, refused.json()["state"]) == (409, "archived")
    body = {"borrower_id": loan["borrower_id"], "program_id": program_id, "principal_amount": "5000.00"}
    body |= {"interest_rate": "0.1", "term_months": 12, "origination_date": "2020-09-09"}
    refused = await admin.post("/api/v1/loans", json={**body, "first_payment_date": "2020-10-09"})
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["active"])
    listed = (await admin.get(PROGRAMS, params={"status": "archived"})).json()["items"]
    assert [program["id"] for program in listed] == [program_id]


async def test_a_name_is_taken_once(admin: ApiClient) -> None:
    body: dict[str, Any] = {"name": "The only one", "terms": {}}
    assert (await admin.post(PROGRAMS, json=body)).status_code == 201
    again = await admin.post(PROGRAMS, json=body)
    assert (again.status_code, again.json()["code"], pointers(again)) == (409, "name_taken", {"/name"})


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"grace_days": 91}, "/terms/grace_days"),
        ({"grace_days": True}, "/terms/grace_days"),
        ({"grace_days": "10"}, "/terms/grace_days"),
        ({"payoff_counts_today": "yes"}, "/terms/payoff_counts_today"),
        ({"limits": {"max_periods": "60"}}, "/terms/limits/max_periods"),
        ({"interest_method": "rule_of_78"}, "/terms/interest_method"),
        ({"late_fee": {"kind": "flat", "flat": "-1.00"}}, "/terms/late_fee/flat"),
        ({"late_fee": {"kind": "flat", "flat": 30}}, "/terms/late_fee/flat"),
        ({"limits": {"min_principal": "2.00", "max_principal": "1.00"}}, "/terms/limits/min_principal"),
        ({"allocation_order": ["fees", "interest"]}, "/terms/allocation_order"),
        ({"chargeback_order": ["fees"]}, "/terms/chargeback_order"),
        ({"interest_method": "simple_daily", "day_count": "30/360 US"}, "/terms/day_count"),
        ({"non_accrual_days": 130, "charge_off_days": 120}, "/terms/non_accrual_days"),
        ({"nsf_fee": "1.234"}, "/terms/nsf_fee"),
        ({"past_due_interest": "no"}, "/terms/past_due_interest"),
        ({"grace_dayz": 1}, "/terms/grace_dayz"),
        ({"limits": {"max_rate": "NaN"}}, "/terms/limits/max_rate"),
    ],
)
async def test_wrong_terms_are_refused_at_their_pointer(admin: ApiClient, terms: dict[str, Any], pointer: str) -> None:
    refused = await admin.post(PROGRAMS, json={"name": f"wrong {pointer} {terms}"[:200], "terms": terms})
    assert refused.status_code == 422
    assert pointers(refused) == {pointer}


async def test_only_an_admin_writes(loan_officer: ApiClient, viewer: ApiClient) -> None:
    assert (await loan_officer.post(PROGRAMS, json={"name": "x", "terms": {}})).status_code == 403
    assert (await viewer.get(PROGRAMS)).status_code == 200
