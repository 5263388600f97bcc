"""Flags of a loan over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.models.tenancy import audit_log
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import make_loan
from tests.services.lending import UowOf, counts
from tests.workflows.platform import Borrowed, Rows

LETTER = {"reason": "the court's letter of 9 September"}


@pytest.fixture
async def rows(engine: AsyncEngine, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


@pytest.fixture
async def borrowed(rows: Rows) -> Borrowed:
    return await rows.borrowed()


@pytest.fixture
def url(borrowed: Borrowed) -> str:
    return f"/api/v1/loans/{borrowed.loan_id}/flags"


async def trail(rows: Rows, borrowed: Borrowed) -> Sequence[Any]:
    table = audit_log
    found = select(table).where(table.c.object_id == borrowed.loan_id, table.c.action.like("loan.flag%"))
    return await rows.all(found.order_by(table.c.id))


async def test_it_is_set_once_shown_and_cleared_and_the_trail_keeps_it(
    loan_officer: ApiClient, admin: ApiClient, viewer: ApiClient, rows: Rows, borrowed: Borrowed, url: str
) -> None:
    assert (await viewer.get(url)).json() == []
    put = await loan_officer.put(f"{url}/bankruptcy", json=LETTER)
    assert put.status_code == 200, put.text
    today, officer = (await rows.business_date()).isoformat(), str(loan_officer.user_id)
    assert put.json() == {"flag": "bankruptcy", "set_on": today, "set_by": officer, **LETTER}

    again = await admin.put(f"{url}/bankruptcy", json={"reason": "once more"})
    assert (again.status_code, again.json()) == (200, put.json())
    fraud = await loan_officer.put(f"{url}/fraud", json={"reason": "the police"})
    assert (await viewer.get(url)).json() == [put.json(), fraud.json()]

    cleared = await admin.delete(f"{url}/bankruptcy", params={"reason": "dismissed"})
    assert (cleared.status_code, cleared.content) == (204, b"")
    assert (await viewer.get(url)).json() == [fraud.json()]
    again = await admin.delete(f"{url}/bankruptcy", params={"reason": "dismissed"})
    assert (again.status_code, again.json()["detail"]) == (404, "No such flag on this loan.")

    said = [(row["action"], row["before"], row["after"], row["reason"]) for row in await trail(rows, borrowed)]
    assert said == [
        ("loan.flag_set", {"flags": []}, {"flags": ["bankruptcy"]}, LETTER["reason"]),
        ("loan.flag_set", {"flags": ["bankruptcy"]}, {"flags": ["bankruptcy", "fraud"]}, "the police"),
        ("loan.flag_cleared", {"flags": ["bankruptcy", "fraud"]}, {"flags": ["fraud"]}, "dismissed"),
    ]
    assert [row["actor_id"] for row in await trail(rows, borrowed)] == [
        loan_officer.user_id,
        loan_officer.user_id,
        admin.user_id,
    ]


async def test_set_by_many_at_once_it_is_set_once(loan_officer: ApiClient, rows: Rows, borrowed: Borrowed, url: str) -> None:
    answers = await asyncio.gather(*(loan_officer.put(f"{url}/fraud", json={"reason": f"call {n}"}) for n in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await trail(rows, borrowed)) == 1


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": None}, {"reason": "x" * 2001}, {**LETTER, "until": "now"}])
async def test_without_a_reason_it_is_not_set(
    loan_officer: ApiClient, uow_of: UowOf, tenant: UUID, url: str, body: dict[str, Any]
) -> None:
    async with uow_of(tenant) as uow:
        before = await counts(uow)
    refused = await loan_officer.put(f"{url}/deceased", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] in ("/reason", "/until")
    async with uow_of(tenant) as uow:
        assert await counts(uow) == before


@pytest.mark.parametrize("params", [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 2001}, {"reason": "\0"}])
async def test_without_a_reason_it_is_not_cleared(loan_officer: ApiClient, url: str, params: dict[str, str]) -> None:
    put = await loan_officer.put(f"{url}/deceased", json=LETTER)
    refused = await loan_officer.delete(f"{url}/deceased", params=params)
    assert refused.status_code in (400, 422), refused.text
    assert (await loan_officer.get(url)).json() == [put.json()]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_word_that_is_no_flag_is_refused_with_those_that_are(loan_officer: ApiClient, url: str, method: str) -> None:
    sent: dict[str, Any] = {"json": LETTER} if method == "PUT" else {"params": LETTER}
    for word in ("bankrupt", "FRAUD", "scra", "%20", "%00", "fraud%00"):
        refused = await loan_officer.request(method, f"{url}/{word}", **sent)
        assert refused.status_code in (400, 422), refused.text
    refused = await loan_officer.request(method, f"{url}/bankrupt", **sent)
    (error,) = refused.json()["errors"]
    assert all(flag in error["message"] for flag in ("bankruptcy", "deceased", "fraud"))


async def test_who_may_and_of_which_loan(
    viewer: ApiClient, borrower: ApiClient, loan_officer: ApiClient, rows: Rows, borrowed: Borrowed, url: str
) -> None:
    for nobody in (viewer, borrower):
        assert (await nobody.put(f"{url}/fraud", json=LETTER)).status_code == 403
        assert (await nobody.delete(f"{url}/fraud", params=LETTER)).status_code == 403
    assert (await borrower.get(url)).status_code == 403
    missing = f"/api/v1/loans/{new_id()}/flags"
    for answer in (
        await viewer.get(missing),
        await loan_officer.put(f"{missing}/fraud", json=LETTER),
        await loan_officer.delete(f"{missing}/fraud", params=LETTER),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (404, "No such loan.")
    assert await trail(rows, borrowed) == []


async def test_the_loan_shows_staff_all_that_are_set_and_its_borrower_no_suspicion(
    admin: ApiClient, viewer: ApiClient, login_as: LoginAs
) -> None:
    before = await make_loan(admin)
    assert before["flags"] == []
    loan, portal = (f"/api/v1/{where}loans/{before['id']}" for where in ("", "portal/"))
    own = await login_as(admin.tenant_id, "borrower", borrower_id=UUID(before["borrower_id"]))
    for flag in ("fraud", "bankruptcy"):
        await admin.put(f"{loan}/flags/{flag}", json=LETTER)
    assert (await viewer.get(loan)).json() == {**before, "flags": ["bankruptcy", "fraud"]}
    shown = await own.get(portal)
    assert shown.json() == {**before, "flags": ["bankruptcy"]}
    then = await viewer.get(loan, params={"known_as_of": before["updated_at"]})
    assert then.json()["flags"] == ["bankruptcy", "fraud"], "they are of now"
    await admin.delete(f"{loan}/flags/bankruptcy", params=LETTER)
    assert (await viewer.get(loan)).json() == {**before, "flags": ["fraud"]}
    assert (await own.get(portal)).json() == before


async def test_the_autopay_says_why_its_next_draft_is_nothing(loan_officer: ApiClient, borrowed: Borrowed, url: str) -> None:
    autopay = f"/api/v1/loans/{borrowed.loan_id}/autopay"
    enrolled = await loan_officer.post(autopay, json={"payment_instrument_id": str(borrowed.instrument_id)})
    assert enrolled.json()["next_draft"]["reason"] is None
    await loan_officer.put(f"{url}/deceased", json=LETTER)
    shown = (await loan_officer.get(autopay)).json()
    planned = shown["next_draft"]
    assert (shown["status"], planned["amount"], planned["reason"]) == ("active", "0.00", "the loan is flagged deceased")
    assert "the loan is flagged deceased" in planned["in_words"]
