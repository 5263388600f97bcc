"""Borrowers over HTTP: nested entries, SSN, search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from infra.crypto import Vault
from infra.db.models.servicing import borrowers
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from tests.api.conftest import ApiClient
from tests.api.lending import make_borrower, pointers

BORROWERS = "/api/v1/borrowers"
SSN = "123-45-6789"
ADDRESS = {"line1": "123 Main St", "city": "Poughkeepsie", "state": "NY", "postal_code": "12601-6789"}
ENTRIES: dict[str, dict[str, Any]] = {
    "addresses": ADDRESS,
    "phones": {"number": "(212) 555-1234"},
    "emails": {"email": "john.doe@example.com", "email_type": "personal"},
    "employers": {"name": "Acme Inc.", "monthly_income": "4500.00", "start_date": "2015-03-01"},
    "references": {"name": "Jane Roe", "relationship": "sister", "phone": "+12125559876"},
    "notes": {"text": "Asked to be called\nafter 5 pm."},
    "credit-scores": {"score": 700, "bureau": "experian", "scored_on": "2020-08-31"},
}


async def test_a_borrower_with_all_that_belongs_to_one(loan_officer: ApiClient) -> None:
    nested = {segment.replace("-", "_"): [entry] for segment, entry in ENTRIES.items()}
    body = {
        "first_name": " John ",
        "last_name": "Doe",
        "birth_date": "1980-02-29",
        "email": "john@example.com",
        "phone": "212-555-1234",
        "communication_preferences": {"sms": True},
        **nested,
    }
    created = await loan_officer.post(BORROWERS, json=body)
    assert created.status_code == 201, created.text
    borrower = created.json()
    assert (borrower["first_name"], borrower["phone"], borrower["language"]) == ("John", "+12125551234", "en")
    assert borrower["communication_preferences"]["sms"] is True
    assert borrower["addresses"][0]["is_primary"] is True, "the first one"
    assert borrower["addresses"][0]["country"] == "US"
    assert borrower["notes"][0]["author_id"] == str(loan_officer.user_id)
    expand = ",".join(nested)
    assert (await loan_officer.get(f"{BORROWERS}/{borrower['id']}", params={"expand": expand})).json() == borrower
    plain = (await loan_officer.get(f"{BORROWERS}/{borrower['id']}")).json()
    assert plain["addresses"] is None
    refused = await loan_officer.get(f"{BORROWERS}/{borrower['id']}", params={"expand": "ssn"})
    assert (refused.status_code, pointers(refused)) == (422, {"/expand"})


async def test_an_ssn_is_kept_encrypted_and_shown_never(
    loan_officer: ApiClient, uow_of: Callable[[UUID], UnitOfWork], settings: Settings
) -> None:
    created = await loan_officer.post(BORROWERS, json={"first_name": "John", "last_name": "Doe", "ssn": SSN})
    borrower_id = created.json()["id"]
    assert created.json()["ssn_last_four"] == "6789"
    async with uow_of(loan_officer.tenant_id) as uow:
        row = await uow.one(select(borrowers).where(borrowers.c.id == UUID(borrower_id)), "borrower")
        audited = await uow.all(select(audit_log).where(audit_log.c.object_id == UUID(borrower_id)))
    bound_to = f"borrowers.ssn/{loan_officer.tenant_id}/{borrower_id}"
    assert Vault.of(settings).decrypt(row["ssn_encrypted"], bound_to) == "123456789"
    for text in (created.text, str(row), str(audited)):
        assert "123456789" not in text
        assert SSN not in text

    second = await loan_officer.patch(f"{BORROWERS}/{borrower_id}", json={"ssn": "123-45-6780"})
    assert (second.status_code, second.json()["code"]) == (409, "ssn_already_known")
    wrong = await loan_officer.post(BORROWERS, json={"first_name": "J", "last_name": "D", "ssn": "000-12-3456"})
    assert (wrong.status_code, pointers(wrong)) == (422, {"/ssn"})
    assert "3456" not in wrong.text, "an error repeats nothing secret"


async def test_a_borrower_is_changed_field_by_field(loan_officer: ApiClient) -> None:
    borrower_id = await make_borrower(loan_officer, email="old@example.com", middle_name="Q", external_id="B-1")
    path = f"{BORROWERS}/{borrower_id}"
    changed = await loan_officer.patch(path, json={"email": "new@example.com", "middle_name": None})
    assert changed.status_code == 200
    assert (changed.json()["email"], changed.json()["middle_name"]) == ("new@example.com", None)
    assert changed.json()["external_id"] == "B-1", "left as it was"
    refused = await loan_officer.patch(path, json={"first_name": None, "birth_date": "2020-09-10", "email": "no"})
    assert (refused.status_code, pointers(refused)) == (422, {"/first_name", "/birth_date", "/email"})
    assert (await loan_officer.patch(path, json={"ssn": SSN})).json()["ssn_last_four"] == "6789"


async def test_an_external_id_is_taken_once(loan_officer: ApiClient) -> None:
    await make_borrower(loan_officer, external_id="B-2")
    body = {"first_name": "A", "last_name": "B", "external_id": "B-2"}
    refused = await loan_officer.post(BORROWERS, json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "external_id_taken")


async def test_a_search_finds_part_of_name_email_and_external_id(loan_officer: ApiClient) -> None:
    one = await make_borrower(loan_officer, first_name="Ada", last_name="Lovelace", email="ada@engine.example.com")
    two = await make_borrower(loan_officer, first_name="Alan", last_name="Turing", external_id="100%_B")

    async def found(search: str) -> list[str]:
        response = await loan_officer.get(BORROWERS, params={"search": search})
        assert response.status_code == 200
        return [item["id"] for item in response.json()["items"]]

    assert await found("a love") == [one]
    assert await found("ENGINE.") == [one]
    assert await found("0%_") == [two]
    assert await found("%") == [two], "not a wildcard"
    assert await found("nobody") == []


async def test_borrowers_come_in_pages_newest_first(loan_officer: ApiClient) -> None:
    ids = [await make_borrower(loan_officer, last_name=f"Paged{at}") for at in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "2", "search": "Paged"} | ({"cursor": cursor} if cursor else {})
        page = (await loan_officer.get(BORROWERS, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]


@pytest.mark.parametrize("segment", ENTRIES)
async def test_nested_entries_are_added_listed_changed_and_removed(loan_officer: ApiClient, segment: str) -> None:
    path = f"{BORROWERS}/{await make_borrower(loan_officer)}/{segment}"
    added = await loan_officer.post(path, json=ENTRIES[segment])
    assert added.status_code == 201, added.text
    entry = added.json()
    assert (await loan_officer.get(path)).json()["items"] == [entry]
    own = f"{path}/{entry['id']}"
    field = next(iter(ENTRIES[segment]))
    if segment == "notes":
        assert (await loan_officer.patch(own, json={"text": "other"})).status_code in (404, 405)
        assert (await loan_officer.delete(own)).status_code in (404, 405)
        return
    same = await loan_officer.patch(own, json={field: ENTRIES[segment][field]})
    assert (same.status_code, same.json()[field]) == (200, entry[field])
    unknown = await loan_officer.patch(own, json={"nonsense": 1})
    assert (unknown.status_code, pointers(unknown)) == (422, {"/nonsense"})
    emptied = await loan_officer.patch(own, json={field: None})
    assert (emptied.status_code, pointers(emptied)) == (422, {f"/{field}"})
    assert (await loan_officer.delete(own)).status_code == 204
    assert (await loan_officer.delete(own)).status_code == 404
    assert (await loan_officer.get(path)).json()["items"] == []


@pytest.mark.parametrize(
    ("segment", "change", "pointer"),
    [
        ("addresses", {"state": "New York"}, "/state"),
        ("addresses", {"postal_code": "1260"}, "/postal_code"),
        ("phones", {"number": "12"}, "/number"),
        ("emails", {"email": "john@doe"}, "/email"),
        ("employers", {"monthly_income": "1e3"}, "/monthly_income"),
        ("employers", {"start_date": "0001-01-01"}, "/start_date"),
        ("employers", {"start_date": "2020-W03-4"}, "/start_date"),
        ("employers", {"is_primary": "yes"}, "/is_primary"),
        ("credit-scores", {"score": "700"}, "/score"),
        ("references", {"name": "\u0007"}, "/name"),
        ("credit-scores", {"score": 901}, "/score"),
        ("credit-scores", {"bureau": "mine"}, "/bureau"),
    ],
)
async def test_a_wrong_entry_is_refused_at_its_pointer(
    loan_officer: ApiClient, segment: str, change: dict[str, Any], pointer: str
) -> None:
    path = f"{BORROWERS}/{await make_borrower(loan_officer)}/{segment}"
    refused = await loan_officer.post(path, json={**ENTRIES[segment], **change})
    assert (refused.status_code, pointers(refused)) == (422, {pointer})


async def test_a_changed_entry_is_read_as_strictly_as_a_new_one(loan_officer: ApiClient) -> None:
    path = f"{BORROWERS}/{await make_borrower(loan_officer)}/employers"
    own = f"{path}/{(await loan_officer.post(path, json=ENTRIES['employers'])).json()['id']}"
    for change in ({"is_primary": 1}, {"is_primary": "yes"}, {"start_date": "2020-W03-4"}):
        refused = await loan_officer.patch(own, json=change)
        assert (refused.status_code, pointers(refused)) == (422, {f"/{name}" for name in change})


async def test_a_wrong_entry_of_a_new_borrower_is_named_where_it_was_sent(loan_officer: ApiClient) -> None:
    body = {"first_name": "A", "last_name": "B", "addresses": [ADDRESS, {**ADDRESS, "state": "ZZ"}]}
    refused = await loan_officer.post(BORROWERS, json=body)
    assert (refused.status_code, pointers(refused)) == (422, {"/addresses/1/state"})


async def test_one_entry_of_a_kind_is_primary(loan_officer: ApiClient) -> None:
    path = f"{BORROWERS}/{await make_borrower(loan_officer)}/phones"
    first = (await loan_officer.post(path, json={"number": "+12125550001"})).json()
    second = (await loan_officer.post(path, json={"number": "+12125550002", "is_primary": True})).json()
    await loan_officer.patch(f"{path}/{first['id']}", json={"phone_type": "home"})
    flags = {item["id"]: item["is_primary"] for item in (await loan_officer.get(path)).json()["items"]}
    assert flags == {first["id"]: False, second["id"]: True}


async def test_another_borrowers_entry_is_not_found(loan_officer: ApiClient) -> None:
    mine, other = await make_borrower(loan_officer), await make_borrower(loan_officer)
    entry = (await loan_officer.post(f"{BORROWERS}/{mine}/phones", json={"number": "+12125550001"})).json()
    assert (await loan_officer.delete(f"{BORROWERS}/{other}/phones/{entry['id']}")).status_code == 404
    assert (await loan_officer.get(f"{BORROWERS}/{new_id()}/phones")).status_code == 404
