"""Payment instruments over HTTP: what is shown, what is sealed, what is the same twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import select, update

from infra.crypto import Vault
from infra.db.models.servicing import payment_instruments
from infra.db.models.tenancy import audit_log, idempotency_keys, tenants
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from services.instruments import sealed_place
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import make_borrower, pointers
from tests.api.paying import CARD, NUMBER, OTHER_NUMBER, REFERENCE, TOKEN, WITH_NUMBER, add, path_of
from tests.api.routes import DOCUMENT

PORTAL = "/api/v1/portal/payment-instruments"

UowOf = Callable[[UUID], UnitOfWork]


@pytest.fixture
async def path(loan_officer: ApiClient) -> str:
    """Where the instruments of a fresh borrower are."""
    return path_of(await make_borrower(loan_officer))


async def test_the_reference_is_accepted_and_says_why_it_cannot_be_drafted_until_its_number_is_known(
    loan_officer: ApiClient, path: str
) -> None:
    added = await add(loan_officer, path, REFERENCE)
    assert {name: added[name] for name in REFERENCE} == REFERENCE
    assert (added["ach_draftable"], added["has_account_number"]) == (False, False)
    assert "only the last four digits" in added["ach_reason"]
    assert added["verification"] == {"status": "unverified", "method": None, "changed_on": None}
    own = f"{path}/{added['id']}"
    assert (await loan_officer.get(own)).json() == added

    changed = await loan_officer.patch(own, json={"account_number": NUMBER})
    assert changed.status_code == 200, changed.text
    shown = changed.json()
    assert (shown["ach_draftable"], shown["ach_reason"], shown["has_account_number"]) == (True, None, True)
    cleared = await loan_officer.patch(own, json={"account_number": None, "processor_token": TOKEN})
    assert [cleared.json()[name] for name in ("has_account_number", "has_processor_token", "ach_draftable")] == [
        False,
        True,
        True,
    ]


async def test_instruments_are_listed_changed_and_removed(loan_officer: ApiClient, path: str) -> None:
    bank, card = await add(loan_officer, path, WITH_NUMBER), await add(loan_officer, path, CARD)
    assert [item["id"] for item in (await loan_officer.get(path)).json()["items"]] == [card["id"], bank["id"]]
    changed = await loan_officer.patch(f"{path}/{bank['id']}", json={"account_holder_name": "J Doe", "bank_name": None})
    assert (changed.json()["account_holder_name"], changed.json()["bank_name"]) == ("J Doe", None)
    own = f"{path}/{bank['id']}"
    assert [(await loan_officer.delete(own)).status_code for _ in range(2)] == [204, 404]
    assert [(await loan_officer.request(method, own, json=body)).status_code for method, body in GONE] == [404] * 2
    assert [item["instrument_type"] for item in (await loan_officer.get(path)).json()["items"]] == ["card"]


GONE: list[tuple[str, Any]] = [("GET", None), ("PATCH", {"bank_name": "Chase"})]


async def test_a_number_and_a_token_are_sealed_in_their_row_and_are_nowhere_else(
    loan_officer: ApiClient,
    path: str,
    uow_of: UowOf,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    borrower_id, key = path.split("/")[-2], {"Idempotency-Key": "sealed"}
    body = {**WITH_NUMBER, "processor_token": TOKEN}
    answers = [await loan_officer.post(path, json=body, headers=key), await loan_officer.post(path, json=body, headers=key)]
    instrument_id = answers[0].json()["id"]
    own = f"{path}/{instrument_id}"
    answers += [
        await loan_officer.post(path, json=WITH_NUMBER),
        await loan_officer.patch(own, json={"account_number": OTHER_NUMBER}),
        await loan_officer.patch(own, json={"account_number": NUMBER, "account_number_last_four": "0000"}),
        await loan_officer.post(path, json={**CARD, "account_number": NUMBER, "processor_token": f" {TOKEN} x"}),
        await loan_officer.patch(own, json={"account_number": [NUMBER], "processor_token": {"a": TOKEN}}),
        await loan_officer.get(own),
        await loan_officer.get(path),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 409, 200, 422, 422, 422, 200, 200]

    vault, tenant = Vault.of(settings), loan_officer.tenant_id
    async with uow_of(tenant) as uow:
        row = await uow.one(select(payment_instruments), "instrument")
        trail = await uow.all(
            select(audit_log).where(audit_log.c.object_id == UUID(borrower_id)).order_by(audit_log.c.recorded_at)
        )
        kept = await uow.all(select(idempotency_keys))
    place = {name: sealed_place(name, tenant, UUID(instrument_id)) for name in ("account_number", "processor_token")}
    assert vault.decrypt(row["account_number_encrypted"], place["account_number"]) == OTHER_NUMBER
    assert vault.decrypt(row["processor_token_encrypted"], place["processor_token"]) == TOKEN
    with pytest.raises(InvalidTag):
        vault.decrypt(row["account_number_encrypted"], sealed_place("account_number", tenant, new_id()))
    with pytest.raises(InvalidTag):
        vault.decrypt(row["account_number_encrypted"], sealed_place("account_number", new_id(), UUID(instrument_id)))

    assert [entry["action"] for entry in trail if "instrument" in entry["action"]] == [
        "payment_instrument.added",
        "payment_instrument.changed",
    ]
    everywhere = [answer.text for answer in answers] + [str(row), str(trail), str(kept), caplog.text]
    everywhere += [str(record.__dict__) for record in caplog.records]
    for text in everywhere:
        for secret in (NUMBER, OTHER_NUMBER, TOKEN):
            assert secret not in text
            assert secret.encode().hex() not in text


@pytest.mark.parametrize(
    ("body", "change", "pointer"),
    [
        (REFERENCE, {"routing_number": "021000022"}, "/routing_number"),
        (REFERENCE, {"routing_number": "000000000"}, "/routing_number"),
        (REFERENCE, {"routing_number": None}, "/routing_number"),
        (REFERENCE, {"account_number_last_four": "123456789"}, "/account_number_last_four"),
        (REFERENCE, {"account_number_last_four": None}, "/account_number_last_four"),
        (REFERENCE, {"account_type": "brokerage"}, "/account_type"),
        (REFERENCE, {"instrument_type": "cash"}, "/instrument_type"),
        (REFERENCE, {"account_number": "1234567890"}, "/account_number"),
        (REFERENCE, {"account_number": "123"}, "/account_number"),
        (REFERENCE, {"account_number": "000000000000006789"}, "/account_number"),
        (REFERENCE, {"account_number": 123456789}, "/account_number"),
        (REFERENCE, {"processor_token": "tok"}, "/processor_token"),
        (REFERENCE, {"card_brand": "visa"}, "/card_brand"),
        (REFERENCE, {"nickname": "mine"}, "/nickname"),
        (CARD, {"account_number": "4242424242424242"}, "/account_number"),
        (CARD, {"processor_token": "4242424242424242"}, "/processor_token"),
        (CARD, {"routing_number": "021000021"}, "/routing_number"),
        (CARD, {"card_brand": "shop"}, "/card_brand"),
        (CARD, {"card_expiry_month": "9"}, "/card_expiry_month"),
        (CARD, {"card_expiry_month": 10**30}, "/card_expiry_month"),
        (CARD, {"card_expiry_year": None}, "/card_expiry_year"),
        (CARD, {"card_expiry_month": 8}, "/card_expiry_year"),
    ],
)
async def test_a_wrong_instrument_is_refused_at_its_pointer_and_nothing_is_written(
    loan_officer: ApiClient, path: str, body: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    refused = await loan_officer.post(path, json={**body, **change})
    assert refused.status_code == 422
    assert pointer in pointers(refused)
    assert (await loan_officer.get(path)).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"account_number": "000123450000"}, "/account_number"),
        ({"account_holder_name": None}, "/account_holder_name"),
        ({"routing_number": "1"}, "/routing_number"),
        ({"instrument_type": "card"}, "/instrument_type"),
        ({"card_expiry_month": 1}, "/card_expiry_month"),
    ],
)
async def test_a_wrong_change_is_refused_at_its_pointer(
    loan_officer: ApiClient, path: str, change: dict[str, Any], pointer: str
) -> None:
    added = await add(loan_officer, path, REFERENCE)
    own = f"{path}/{added['id']}"
    refused = await loan_officer.patch(own, json=change)
    assert (refused.status_code, pointers(refused)) == (422, {pointer})
    assert (await loan_officer.get(own)).json() == added


async def test_a_card_is_shown_as_expired_by_the_business_date(loan_officer: ApiClient, path: str, uow_of: UowOf) -> None:
    added = await add(loan_officer, path, CARD)
    assert (added["card_expired"], added["ach_draftable"]) == (False, False)
    assert "a card cannot be drafted" in added["ach_reason"]
    async with uow_of(loan_officer.tenant_id) as uow:
        await uow.execute(update(tenants).values(business_date=date(2020, 10, 1)))
        await uow.commit()
    own = f"{path}/{added['id']}"
    assert (await loan_officer.get(own)).json()["card_expired"] is True
    assert (await loan_officer.patch(own, json={"card_expiry_year": 2024})).json()["card_expired"] is False


class TestTheSameTwice:
    @pytest.mark.parametrize("body", [WITH_NUMBER, REFERENCE, CARD], ids=["number", "last four", "card"])
    async def test_of_twenty_at_once_one_is_added_and_the_others_name_it(
        self, loan_officer: ApiClient, path: str, body: dict[str, Any]
    ) -> None:
        answers = await asyncio.gather(*(loan_officer.post(path, json=body) for _ in range(20)))
        added = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        refused = [answer.json() for answer in answers if answer.status_code == 409]
        assert (len(added), len(refused)) == (1, 19)
        assert {refusal["code"] for refusal in refused} == {"instrument_exists"}
        assert all(added[0] in refusal["detail"] for refusal in refused)
        assert len((await loan_officer.get(path)).json()["items"]) == 1

    async def test_the_number_tells_two_accounts_apart_that_look_alike(self, loan_officer: ApiClient, path: str) -> None:
        first = await add(loan_officer, path, WITH_NUMBER)
        await add(loan_officer, path, {**REFERENCE, "account_number": "555556789"})
        alike = await loan_officer.post(path, json={**WITH_NUMBER, "account_type": "savings", "bank_name": "Other"})
        assert (alike.status_code, first["id"] in alike.json()["detail"]) == (409, True)
        unknown = await loan_officer.post(path, json=REFERENCE)
        assert (unknown.status_code, first["id"] in unknown.json()["detail"]) == (409, True)

    async def test_one_whose_number_is_not_known_is_given_it_and_not_added_again(
        self, loan_officer: ApiClient, path: str
    ) -> None:
        first = await add(loan_officer, path, REFERENCE)
        again = await loan_officer.post(path, json=WITH_NUMBER)
        assert (again.status_code, first["id"] in again.json()["detail"]) == (409, True)
        assert (await loan_officer.patch(f"{path}/{first['id']}", json={"account_number": NUMBER})).status_code == 200

    async def test_a_change_into_another_one_is_refused_and_to_itself_is_none(
        self, loan_officer: ApiClient, path: str, uow_of: UowOf
    ) -> None:
        first = await add(loan_officer, path, WITH_NUMBER)
        second = await add(loan_officer, path, {**REFERENCE, "account_number": "555556789"})
        into = await loan_officer.patch(f"{path}/{second['id']}", json={"account_number": NUMBER})
        assert (into.status_code, first["id"] in into.json()["detail"]) == (409, True)
        same = await loan_officer.patch(f"{path}/{first['id']}", json={"account_number": NUMBER, "bank_name": "Chase"})
        assert same.json() == first
        async with uow_of(loan_officer.tenant_id) as uow:
            changes = await uow.all(select(audit_log.c.id).where(audit_log.c.action == "payment_instrument.changed"))
        assert changes == []

    async def test_one_that_was_removed_may_come_again_and_another_borrower_may_have_it(
        self, loan_officer: ApiClient, path: str, uow_of: UowOf
    ) -> None:
        first = await add(loan_officer, path, WITH_NUMBER)
        await loan_officer.delete(f"{path}/{first['id']}")
        assert (await add(loan_officer, path, WITH_NUMBER))["id"] != first["id"]
        await add(loan_officer, path_of(await make_borrower(loan_officer)), WITH_NUMBER)
        async with uow_of(loan_officer.tenant_id) as uow:
            rows = await uow.all(select(payment_instruments.c.borrower_id, payment_instruments.c.identity_hash))
        assert len({(row["borrower_id"], row["identity_hash"]) for row in rows}) == 2
        assert len({row["identity_hash"] for row in rows}) == 2, "the hash does not tell that two share an account"

    async def test_those_from_before_numbers_were_kept_are_told_apart_by_what_is_seen(
        self, loan_officer: ApiClient, path: str, uow_of: UowOf
    ) -> None:
        """They have no hash, and there may be two that look the same."""
        first, second = await add(loan_officer, path, REFERENCE), await add(loan_officer, path, CARD)
        async with uow_of(loan_officer.tenant_id) as uow:
            old = {name: None for name in second if name.startswith("card_") and name != "card_expired"}
            alike = {**old, **{name: value for name, value in REFERENCE.items() if value}}
            await uow.execute(
                update(payment_instruments).where(payment_instruments.c.id == UUID(second["id"])).values(alike)
            )
            await uow.execute(update(payment_instruments).values(identity_hash=None))
            await uow.commit()
        again = await loan_officer.post(path, json=REFERENCE)
        assert (again.status_code, first["id"] in again.json()["detail"]) == (409, True)
        for one in (first, second):
            renamed = await loan_officer.patch(f"{path}/{one['id']}", json={"account_holder_name": "J Doe"})
            assert renamed.status_code == 200, "which of two is the account is no question of its holder's name"
        assert (await loan_officer.delete(f"{path}/{second['id']}")).status_code == 204
        known = await loan_officer.patch(f"{path}/{first['id']}", json={"account_number": NUMBER})
        assert known.json()["ach_draftable"] is True


class TestVerification:
    async def verify(self, client: ApiClient, own: str, **body: Any) -> Any:
        return await client.post(f"{own}/verification", json={"reason": "as the bank says", **body})

    async def test_it_goes_step_by_step_with_a_reason_and_starts_again_with_another_number(
        self, loan_officer: ApiClient, path: str, uow_of: UowOf
    ) -> None:
        own = f"{path}/{(await add(loan_officer, path, WITH_NUMBER))['id']}"
        early = await self.verify(loan_officer, own, status="verified", method="prenote")
        assert (early.status_code, early.json()["state"]) == (409, "unverified")
        assert early.json()["allowed"] == ["pending", "failed"]
        assert (await self.verify(loan_officer, own, status="pending", method="prenote")).status_code == 200
        done = await self.verify(loan_officer, own, status="verified")
        assert done.json()["verification"] == {"status": "verified", "method": "prenote", "changed_on": "2020-09-09"}

        kept = await loan_officer.patch(own, json={"account_number": NUMBER, "account_holder_name": "J Doe"})
        assert kept.json()["verification"]["status"] == "verified", "the same number"
        again = await loan_officer.patch(own, json={"account_number": OTHER_NUMBER})
        assert again.json()["verification"] == {"status": "unverified", "method": None, "changed_on": "2020-09-09"}

        async with uow_of(loan_officer.tenant_id) as uow:
            trail = await uow.all(select(audit_log).order_by(audit_log.c.id))
        steps = [row for row in trail if row["action"] == "payment_instrument.verification"]
        assert [(row["before"]["status"], row["after"]["status"], row["reason"]) for row in steps] == [
            ("unverified", "pending", "as the bank says"),
            ("pending", "verified", "as the bank says"),
        ]
        assert trail[-1]["before"]["verification_status"] == "verified"
        assert (trail[-1]["after"]["account_number"], trail[-1]["after"]["verification_status"]) == ("set", "unverified")

    @pytest.mark.parametrize(
        "change", [{"routing_number": "011401533"}, {"account_type": "savings"}, {"processor_token": TOKEN}]
    )
    async def test_it_starts_again_with_whatever_else_money_moves_by(
        self, loan_officer: ApiClient, path: str, change: dict[str, Any]
    ) -> None:
        own = f"{path}/{(await add(loan_officer, path, WITH_NUMBER))['id']}"
        assert (await self.verify(loan_officer, own, status="verified", method="instant")).status_code == 200
        assert (await loan_officer.patch(own, json=change)).json()["verification"]["status"] == "unverified"

    async def test_an_account_that_failed_is_not_drafted(self, loan_officer: ApiClient, path: str) -> None:
        own = f"{path}/{(await add(loan_officer, path, WITH_NUMBER))['id']}"
        failed = (await self.verify(loan_officer, own, status="failed", method="manual")).json()
        assert (failed["ach_draftable"], failed["ach_reason"]) == (False, "the verification of the account has failed")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"status": "pending", "method": "prenote"}, "/method"),
            ({"status": "verified"}, "/method"),
            ({"status": "sure", "method": "manual"}, "/status"),
            ({"status": "verified", "method": "guess"}, "/method"),
            ({"status": "verified", "method": "manual", "reason": " "}, "/reason"),
            ({"status": "verified", "method": "manual", "reason": None}, "/reason"),
        ],
    )
    async def test_what_does_not_fit_is_refused_at_its_pointer(
        self, loan_officer: ApiClient, path: str, body: dict[str, Any], pointer: str
    ) -> None:
        """The account is known by its last four only, so nothing can be sent to it."""
        added = await add(loan_officer, path, REFERENCE)
        refused = await self.verify(loan_officer, f"{path}/{added['id']}", **body)
        assert (refused.status_code, pointers(refused)) == (422, {pointer})


class TestPortal:
    async def test_a_borrower_keeps_their_own(self, borrower: ApiClient) -> None:
        added = await add(borrower, PORTAL, REFERENCE)
        own = f"{PORTAL}/{added['id']}"
        assert (await borrower.get(own)).json() == added
        assert (await borrower.patch(own, json={"account_number": NUMBER})).json()["ach_draftable"] is True
        assert [item["id"] for item in (await borrower.get(PORTAL)).json()["items"]] == [added["id"]]
        twin = await borrower.post(PORTAL, json=WITH_NUMBER)
        assert (twin.status_code, added["id"] in twin.json()["detail"]) == (409, True)
        assert (await borrower.delete(own)).status_code == 204
        assert (await borrower.get(PORTAL)).json()["items"] == []

    async def test_another_borrowers_is_not_there(
        self, borrower: ApiClient, login_as: LoginAs, loan_officer: ApiClient
    ) -> None:
        theirs = await add(await login_as(borrower.tenant_id, "borrower"), PORTAL, WITH_NUMBER)
        for method, body in (("GET", None), ("PATCH", {"bank_name": "Mine"}), ("DELETE", None)):
            answers = [await borrower.request(method, f"{PORTAL}/{name}", json=body) for name in (theirs["id"], new_id())]
            assert (answers[0].status_code, answers[0].json()) == (404, answers[1].json())
        staff = f"{path_of(str(borrower.borrower_id))}/{theirs['id']}"
        assert (await loan_officer.get(staff)).status_code == 404, "of another borrower"
        verified = await borrower.post(f"{PORTAL}/{theirs['id']}/verification", json={"status": "verified"})
        assert verified.status_code == 404, "borrowers do not verify their own accounts"


def test_the_reference_is_the_example_of_the_document() -> None:
    assert DOCUMENT["components"]["schemas"]["InstrumentRequest"]["examples"][0] == REFERENCE
    shown = DOCUMENT["components"]["schemas"]["Instrument"]["properties"]
    assert not {"account_number", "processor_token"} & set(shown)
