"""Removing a payment instrument that an autopay draws on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from infra.db.models.processes import autopay_enrolments, workflow_intents
from infra.db.models.servicing import payments
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from tests.api.conftest import ApiClient
from tests.api.lending import make_borrower, make_loan, pointers
from tests.api.paying import CARD, REFERENCE, TOKEN, WITH_NUMBER, add, path_of

UowOf = Callable[[UUID], UnitOfWork]


@pytest.fixture
async def enrolled(admin: ApiClient) -> tuple[dict[str, Any], str, str]:
    """The autopay, where the borrower's instruments are, and the one it draws on."""
    loan = await make_loan(admin)
    path = path_of(loan["borrower_id"])
    instrument = (await add(admin, path, WITH_NUMBER))["id"]
    autopay = await admin.post(f"/api/v1/loans/{loan['id']}/autopay", json={"payment_instrument_id": instrument})
    assert autopay.status_code == 201, autopay.text
    return autopay.json(), path, instrument


async def test_it_stays_and_the_refusal_names_the_autopay_and_what_is_allowed(
    admin: ApiClient, enrolled: tuple[dict[str, Any], str, str]
) -> None:
    autopay, path, instrument = enrolled
    refused = await admin.delete(f"{path}/{instrument}")
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (409, "instrument_in_use", "in_use")
    assert refused.json()["allowed"] == ["remove with replace_with", "cancel the autopay"]
    assert autopay["id"] in refused.json()["detail"]
    await admin.delete(f"/api/v1/loans/{autopay['loan_id']}/autopay")
    assert (await admin.delete(f"{path}/{instrument}")).status_code == 204


async def test_with_another_one_the_autopay_goes_on_and_its_workflow_is_told(
    admin: ApiClient, enrolled: tuple[dict[str, Any], str, str], uow_of: UowOf
) -> None:
    autopay, path, instrument = enrolled
    paid = await admin.post(
        f"/api/v1/loans/{autopay['loan_id']}/payments",
        json={"amount": "10.00", "payment_method": "ach", "payment_instrument_id": instrument},
    )
    other = (await add(admin, path, {**WITH_NUMBER, "account_number": "555556789"}))["id"]
    removed = await admin.delete(f"{path}/{instrument}", params={"replace_with": other})
    assert removed.status_code == 204, removed.text

    async with uow_of(admin.tenant_id) as uow:
        enrolment = await uow.one(select(autopay_enrolments), "enrolment")
        told = await uow.all(select(workflow_intents).where(workflow_intents.c.action == "signal"))
        trail = await uow.all(select(audit_log).order_by(audit_log.c.id.desc()).limit(2))
        kept = await uow.one(select(payments).where(payments.c.id == UUID(paid.json()["id"])), "payment")
    assert (str(enrolment["payment_instrument_id"]), enrolment["status"]) == (other, "active")
    assert [(row["workflow_id"], row["message_name"], row["payload"]) for row in told] == [
        (autopay["workflow_id"], "changed", {})
    ]
    assert [row["action"] for row in trail] == ["payment_instrument.removed", "autopay.changed"]
    assert trail[0]["after"] == {"replaced_with": other}
    assert trail[1]["after"] == {"payment_instrument_id": other}
    assert str(kept["payment_instrument_id"]) == instrument, "payments keep referring to it"


@pytest.mark.parametrize("wrong", ["itself", "nobody's", "another borrower's", "a card", "of its last four only"])
async def test_one_that_cannot_take_its_place_is_refused_and_nothing_changes(
    admin: ApiClient, enrolled: tuple[dict[str, Any], str, str], wrong: str
) -> None:
    _, path, instrument = enrolled
    stranger = path_of(await make_borrower(admin))
    choices = {
        "itself": instrument,
        "nobody's": str(new_id()),
        "another borrower's": (await add(admin, stranger, WITH_NUMBER))["id"],
        "a card": (await add(admin, path, CARD))["id"],
        "of its last four only": (await add(admin, path, {**REFERENCE, "account_number_last_four": "1111"}))["id"],
    }
    refused = await admin.delete(f"{path}/{instrument}", params={"replace_with": choices[wrong]})
    assert (refused.status_code, pointers(refused)) == (422, {"/replace_with"})
    assert (await admin.get(f"{path}/{instrument}")).status_code == 200


async def test_removing_and_enrolling_at_once_leave_no_autopay_without_its_instrument(admin: ApiClient) -> None:
    for _ in range(5):
        loan = await make_loan(admin)
        path = path_of(loan["borrower_id"])
        instrument = (await add(admin, path, WITH_NUMBER))["id"]
        body = {"payment_instrument_id": instrument}
        enrol, remove = await asyncio.gather(
            admin.post(f"/api/v1/loans/{loan['id']}/autopay", json=body), admin.delete(f"{path}/{instrument}")
        )
        assert (enrol.status_code, remove.status_code) in {(201, 409), (422, 204)}


async def test_two_that_replace_each_other_at_once_leave_one(admin: ApiClient) -> None:
    """The locks are taken in one order, so neither waits for the other for ever."""
    for _ in range(5):
        path = path_of(await make_borrower(admin))
        one, two = [(await add(admin, path, {**WITH_NUMBER, "account_number": f"{n}6789"}))["id"] for n in "12"]
        answers = await asyncio.gather(
            admin.delete(f"{path}/{one}", params={"replace_with": two}),
            admin.delete(f"{path}/{two}", params={"replace_with": one}),
        )
        assert sorted(answer.status_code for answer in answers) in ([204, 404], [204, 422])
        assert len((await admin.get(path)).json()["items"]) == 1


async def test_what_it_is_drafted_by_stays_too(admin: ApiClient, enrolled: tuple[dict[str, Any], str, str]) -> None:
    """Without the account number nothing could be drafted, as if it was removed."""
    autopay, path, instrument = enrolled
    refused = await admin.patch(f"{path}/{instrument}", json={"account_number": None})
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (409, "instrument_in_use", "in_use")
    assert refused.json()["allowed"] == ["change the autopay's account", "cancel the autopay"]
    assert (await admin.get(f"{path}/{instrument}")).json()["has_account_number"] is True
    by_token = await admin.patch(f"{path}/{instrument}", json={"account_number": None, "processor_token": TOKEN})
    assert (by_token.status_code, by_token.json()["ach_draftable"]) == (200, True)
    await admin.delete(f"/api/v1/loans/{autopay['loan_id']}/autopay")
    cleared = await admin.patch(f"{path}/{instrument}", json={"processor_token": None})
    assert (cleared.status_code, cleared.json()["ach_draftable"]) == (200, False)
