"""Webhook endpoints, deliveries and the event feed over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text, update

from domain.webhooks import SUBSCRIBABLE, WebhookType
from infra.db.models.processes import workflow_intents
from infra.db.models.webhooks import webhook_deliveries, webhook_endpoints
from infra.ids import new_id
from infra.webhook_sender import Answer, WebhookSender
from services import webhook_delivery
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import make_loan, pointers
from tests.receiver import Receiver, receiving
from tests.services.lending import UowOf, counts

ENDPOINTS, DELIVERIES, EVENTS = "/api/v1/webhook-endpoints", "/api/v1/webhook-deliveries", "/api/v1/events"
URL = "https://example.com/hooks"


async def add(admin: ApiClient, **fields: Any) -> dict[str, Any]:
    response = await admin.post(ENDPOINTS, json={"url": URL, **fields})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


class TestEndpoints:
    async def test_is_added_with_a_secret_that_is_shown_once_and_kept_encrypted(
        self, admin: ApiClient, uow_of: UowOf
    ) -> None:
        made = await add(admin, description="the ledger", event_types=["payment.settled", "payment.recorded"])
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert len(secret) > 40
        assert made["event_types"] == ["payment.recorded", "payment.settled"]
        assert (made["status"], made["url"]) == ("active", URL)
        assert (await admin.get(f"{ENDPOINTS}/{made['id']}")).json() == made
        assert (await admin.get(ENDPOINTS)).json() == {"items": [made], "next_cursor": None}
        async with uow_of(admin.tenant_id) as uow:
            row = await uow.one(select(webhook_endpoints), "endpoint")
            audited = (await uow.execute(text("SELECT string_agg(audit_log::text, ' ') FROM audit_log"))).scalar_one()
        assert secret.encode() not in bytes(row["secret"])
        assert secret not in audited

    async def test_a_repeated_request_makes_one_and_does_not_keep_the_secret(self, admin: ApiClient, uow_of: UowOf) -> None:
        headers = {"Idempotency-Key": new_id().hex}
        first = await admin.post(ENDPOINTS, json={"url": URL}, headers=headers)
        again = await admin.post(ENDPOINTS, json={"url": URL}, headers=headers)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert again.json() == {**first.json(), "secret": None}
        async with uow_of(admin.tenant_id) as uow:
            kept = (await uow.execute(text("SELECT string_agg(body::text, ' ') FROM idempotency_keys"))).scalar_one()
            assert first.json()["id"] in kept
            assert first.json()["secret"] not in kept
            assert (await counts(uow))["webhook_endpoints"] == 1

    async def test_is_changed_disabled_and_made_active_again(self, admin: ApiClient) -> None:
        path = f"{ENDPOINTS}/{(await add(admin))['id']}"
        changed = await admin.patch(path, json={"url": "https://example.com/new", "event_types": ["loan.paid_off"]})
        assert changed.status_code == 200
        assert (changed.json()["url"], changed.json()["event_types"]) == ("https://example.com/new", ["loan.paid_off"])
        off = (await admin.patch(path, json={"status": "disabled"})).json()
        assert (off["status"], off["disabled_reason"], off["event_types"]) == ("disabled", "by hand", ["loan.paid_off"])
        on = (await admin.patch(path, json={"status": "active", "event_types": None})).json()
        assert (on["status"], on["disabled_reason"], on["event_types"]) == ("active", None, None)
        audit = (await admin.get("/api/v1/audit", params={"object_type": "webhook_endpoint"})).json()["items"]
        assert [entry["action"].partition(".")[2] for entry in audit] == ["changed", "changed", "changed", "added"]
        assert audit[1]["before"] == {"status": "active", "disabled_reason": None}

    async def test_is_removed_and_then_is_not_there(self, admin: ApiClient) -> None:
        path = f"{ENDPOINTS}/{(await add(admin))['id']}"
        assert (await admin.delete(path)).status_code == 204
        for response in (
            await admin.get(path),
            await admin.delete(path),
            await admin.patch(path, json={"status": "active"}),
            await admin.post(f"{path}/test"),
            await admin.post(f"{path}/rotate-secret", json={}),
        ):
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert (await admin.get(ENDPOINTS)).json()["items"] == []

    async def test_there_are_at_most_twenty(self, admin: ApiClient) -> None:
        for _ in range(20):
            await add(admin)
        response = await admin.post(ENDPOINTS, json={"url": URL})
        assert (response.status_code, response.json()["code"]) == (409, "too_many_endpoints")

    async def test_of_many_that_come_at_once_no_more_than_fit_are_added(self, admin: ApiClient) -> None:
        for _ in range(18):
            await add(admin)
        responses = await asyncio.gather(*(admin.post(ENDPOINTS, json={"url": URL}) for _ in range(6)))
        assert sorted(response.status_code for response in responses) == [201, 201, 409, 409, 409, 409]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/url"),
            ({"url": None}, "/url"),
            ({"url": 7}, "/url"),
            ({"url": ""}, "/url"),
            ({"url": "x" * 3000}, "/url"),
            ({"url": "http://example.com/"}, "/url"),
            ({"url": "https://127.0.0.1/"}, "/url"),
            ({"url": "https://169.254.169.254/latest"}, "/url"),
            ({"url": "https://[::ffff:10.0.0.1]/"}, "/url"),
            ({"url": "https://localhost:8000/"}, "/url"),
            ({"url": "https://user:pw@example.com/"}, "/url"),
            ({"url": URL, "event_types": []}, "/event_types"),
            ({"url": URL, "event_types": ["ping"]}, "/event_types/0"),
            ({"url": URL, "event_types": ["payment.recorded", "payment.lost"]}, "/event_types/1"),
            ({"url": URL, "event_types": "payment.recorded"}, "/event_types"),
            ({"url": URL, "event_types": ["ping"] * 10_000}, "/event_types"),
            ({"url": URL, "description": "x" * 201}, "/description"),
            ({"url": URL, "description": "two\nlines"}, "/description"),
            ({"url": URL, "secret": "mine"}, "/secret"),
            ({"url": URL, "status": "active"}, "/status"),
        ],
    )
    async def test_what_is_refused(self, admin: ApiClient, uow_of: UowOf, body: dict[str, Any], pointer: str) -> None:
        async with uow_of(admin.tenant_id) as uow:
            before = await counts(uow)
        response = await admin.post(ENDPOINTS, json=body)
        assert response.status_code == 422, response.text
        assert pointer in pointers(response) or any(at.startswith(pointer) for at in pointers(response))
        assert len(response.content) < 20_000
        async with uow_of(admin.tenant_id) as uow:
            assert await counts(uow) == before

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"url": None}, "/url"),
            ({"url": "http://example.com/"}, "/url"),
            ({"status": None}, "/status"),
            ({"status": "removed"}, "/status"),
            ({"event_types": []}, "/event_types"),
            ({"secret": "mine"}, "/secret"),
            ({}, None),
        ],
    )
    async def test_what_a_change_is_refused_for(self, admin: ApiClient, body: dict[str, Any], pointer: str | None) -> None:
        made = await add(admin)
        response = await admin.patch(f"{ENDPOINTS}/{made['id']}", json=body)
        assert response.status_code == 422, response.text
        assert pointers(response) == ({pointer} if pointer else set())

    @pytest.mark.parametrize("hours", [-1, 169, "24", 1.5, True, None])
    async def test_an_overlap_that_is_none(self, admin: ApiClient, hours: Any) -> None:
        made = await add(admin)
        response = await admin.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", json={"overlap_hours": hours})
        assert (response.status_code, pointers(response)) == (422, {"/overlap_hours"})

    async def test_loan_officers_see_the_feed_and_no_endpoint(self, loan_officer: ApiClient) -> None:
        for path in (ENDPOINTS, DELIVERIES):
            assert (await loan_officer.get(path)).status_code == 403
        assert (await loan_officer.get(EVENTS)).status_code == 200


class TestRotation:
    async def signatures(self, app: FastAPI, admin: ApiClient, uow_of: UowOf, endpoint_id: str, after: timedelta) -> int:
        """How many signatures a ping has that is sent some time from now."""
        delivery = (await admin.post(f"{ENDPOINTS}/{endpoint_id}/test")).json()
        async with uow_of(admin.tenant_id) as uow:
            uow._recorded_at = app.state.clock() + after
            message = await webhook_delivery.prepare(uow, app.state.vault, UUID(delivery["id"]))
        assert isinstance(message, webhook_delivery.Message)
        return message.headers["Perdiem-Signature"].count("v1=")

    async def test_both_secrets_sign_while_it_overlaps(self, app: FastAPI, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin)
        path = f"{ENDPOINTS}/{made['id']}/rotate-secret"
        rotated = await admin.post(path, json={"overlap_hours": 2})
        assert rotated.status_code == 200
        assert rotated.json()["secret"] not in (None, made["secret"])
        assert rotated.json()["previous_secret_until"] is not None
        assert await self.signatures(app, admin, uow_of, made["id"], timedelta(hours=1)) == 2
        assert await self.signatures(app, admin, uow_of, made["id"], timedelta(hours=3)) == 1

    async def test_without_an_overlap_only_the_new_one_does(self, app: FastAPI, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin)
        rotated = await admin.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", json={"overlap_hours": 0})
        assert rotated.json()["previous_secret_until"] is None
        assert await self.signatures(app, admin, uow_of, made["id"], timedelta(0)) == 1


class TestDeliveries:
    async def test_a_ping_is_a_delivery_with_a_process(self, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin, event_types=["loan.paid_off"])
        response = await admin.post(f"{ENDPOINTS}/{made['id']}/test")
        assert response.status_code == 202
        delivery = response.json()
        assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == ("ping", "pending", 0)
        async with uow_of(admin.tenant_id) as uow:
            workflow_id = f"webhook-delivery/{delivery['id']}"
            intent = await uow.one(select(workflow_intents).where(workflow_intents.c.workflow_id == workflow_id), "intent")
        assert intent["payload"] == {"tenant_id": str(admin.tenant_id), "delivery_id": delivery["id"]}
        detail = (await admin.get(f"{DELIVERIES}/{delivery['id']}")).json()
        assert detail == {**delivery, "history": []}

    async def test_a_disabled_endpoint_is_not_tested(self, admin: ApiClient) -> None:
        made = await add(admin)
        await admin.patch(f"{ENDPOINTS}/{made['id']}", json={"status": "disabled"})
        response = await admin.post(f"{ENDPOINTS}/{made['id']}/test")
        assert (response.status_code, response.json()["code"]) == (409, "endpoint_disabled")
        assert response.json()["allowed"] == ["active"]

    async def test_a_loan_is_delivered_to_who_listens_and_lists_are_narrowed(self, admin: ApiClient) -> None:
        everything, some = await add(admin), await add(admin, event_types=["loan.disbursed"])
        off = await add(admin)
        await admin.patch(f"{ENDPOINTS}/{off['id']}", json={"status": "disabled"})
        await make_loan(admin)

        async def found(**query: str) -> list[tuple[str, str]]:
            items = (await admin.get(DELIVERIES, params=query)).json()["items"]
            return sorted((item["event_type"], item["endpoint_id"]) for item in items)

        booked, disbursed = ("loan.booked", everything["id"]), ("loan.disbursed", everything["id"])
        assert await found() == sorted([booked, disbursed, ("loan.disbursed", some["id"])])
        assert await found(endpoint_id=everything["id"]) == [booked, disbursed]
        assert await found(event_type="loan.booked") == [booked]
        assert await found(status="failed") == []
        assert len(await found(status="pending", limit="1")) == 1

    async def test_is_replayed_once_it_is_over(self, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin)
        delivery = (await admin.post(f"{ENDPOINTS}/{made['id']}/test")).json()
        path = f"{DELIVERIES}/{delivery['id']}/replay"
        early = await admin.post(path)
        assert (early.status_code, early.json()["code"], early.json()["state"]) == (409, "delivery_pending", "pending")
        async with uow_of(admin.tenant_id) as uow:
            sent_at = uow.recorded_at
            answer = Answer(200, "accepted", 12)
            await webhook_delivery.conclude(uow, UUID(delivery["id"]), sent_at, answer)
            await uow.commit()
        headers = {"Idempotency-Key": new_id().hex}
        replayed = await admin.post(path, headers=headers)
        assert replayed.status_code == 202
        assert replayed.json()["replay_of"] == delivery["id"]
        assert replayed.json()["event_id"] == delivery["event_id"]
        assert (await admin.post(path, headers=headers)).json() == replayed.json()
        detail = (await admin.get(f"{DELIVERIES}/{delivery['id']}")).json()
        assert detail["status"] == "delivered"
        assert [(at["number"], at["status_code"], at["latency_ms"], at["reason"]) for at in detail["history"]] == [
            (1, 200, 12, "accepted")
        ]
        both = (await admin.get(DELIVERIES, params={"event_id": delivery["event_id"]})).json()["items"]
        assert [item["id"] for item in both] == [replayed.json()["id"], delivery["id"]]
        await admin.patch(f"{ENDPOINTS}/{made['id']}", json={"status": "disabled"})
        late = await admin.post(path)
        assert (late.status_code, late.json()["code"]) == (409, "endpoint_disabled")

    async def test_one_that_nobody_tries_any_more_can_be_replayed(self, admin: ApiClient, uow_of: UowOf) -> None:
        """Its process was ended by an operator: it stays pending, and would for ever."""
        made = await add(admin)
        delivery = (await admin.post(f"{ENDPOINTS}/{made['id']}/test")).json()
        async with uow_of(admin.tenant_id) as uow:
            long_ago = uow.recorded_at - timedelta(minutes=61)
            await uow.execute(update(webhook_deliveries).values(next_attempt_at=long_ago))
            await uow.commit()
        assert (await admin.post(f"{DELIVERIES}/{delivery['id']}/replay")).status_code == 202

    async def test_two_attempts_at_once_are_both_recorded_and_delivered_stays(self, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin)
        delivery_id = UUID((await admin.post(f"{ENDPOINTS}/{made['id']}/test")).json()["id"])
        for answer in (Answer(200, "accepted", 1), Answer(500, "answered 500", 2)):
            async with uow_of(admin.tenant_id) as uow:
                progress = await webhook_delivery.conclude(uow, delivery_id, uow.recorded_at, answer)
                await uow.commit()
            assert progress.status == "delivered"
        assert (await admin.get(f"{DELIVERIES}/{delivery_id}")).json()["attempts"] == 2

    async def test_what_is_sent_is_the_event_and_nothing_of_the_answer_is_kept(
        self, app: FastAPI, admin: ApiClient, uow_of: UowOf
    ) -> None:
        await add(admin, event_types=["loan.disbursed"])
        await make_loan(admin)
        (delivery,) = (await admin.get(DELIVERIES)).json()["items"]
        insecure = app.state.settings.model_copy(update={"webhook_insecure": True})
        async with uow_of(admin.tenant_id) as uow:
            message = await webhook_delivery.prepare(uow, app.state.vault, UUID(delivery["id"]))
            assert isinstance(message, webhook_delivery.Message)
            with receiving(Receiver([500])) as receiver:
                answer = await WebhookSender(insecure).post(receiver.url, message.body, message.headers)
            await webhook_delivery.conclude(uow, UUID(delivery["id"]), message.sent_at, answer)
            await uow.commit()
        (got,) = receiver.received
        event = (await admin.get(f"{EVENTS}/{delivery['event_id']}")).json()
        assert json.loads(got.body) == event
        assert "secret of the other side" not in (await admin.get(f"{DELIVERIES}/{delivery['id']}")).text

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=201", "cursor=x", "status=lost", "event_type=lost", "endpoint_id=7", "event_id=x"]
    )
    async def test_lists_refuse_bad_parameters(self, admin: ApiClient, query: str) -> None:
        response = await admin.get(f"{DELIVERIES}?{query}")
        assert (response.status_code, pointers(response)) == (422, {f"/{query.split('=')[0]}"})

    async def test_the_database_lets_an_event_go_to_an_endpoint_once(self, admin: ApiClient, uow_of: UowOf) -> None:
        made = await add(admin)
        await admin.post(f"{ENDPOINTS}/{made['id']}/test")
        async with uow_of(admin.tenant_id) as uow:
            row = dict(await uow.one(select(webhook_deliveries), "delivery"))
            with pytest.raises(Exception, match="uq_webhook_deliveries_first"):
                await uow.execute(webhook_deliveries.insert().values({**row, "id": new_id()}))


async def feed(client: ApiClient, count: int, **query: Any) -> Any:
    """A page of the feed, once what is left of it from there has `count` events: a transaction that still writes holds
    it back, in whichever database of the server."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        everything = (await client.get(EVENTS, params={**query, "limit": 200})).json()
        if len(everything["items"]) >= count or asyncio.get_running_loop().time() > deadline:
            return (await client.get(EVENTS, params=query)).json()
        await asyncio.sleep(0.05)


class TestFeed:
    async def test_a_consumer_goes_on_where_it_was(self, admin: ApiClient, viewer: ApiClient) -> None:
        assert (await viewer.get(EVENTS)).json() == {"items": [], "next_cursor": None, "has_more": False}
        loan = await make_loan(admin)
        first = await feed(viewer, 2, limit=1)
        assert ([item["type"] for item in first["items"]], first["has_more"]) == (["loan.booked"], True)
        rest = (await viewer.get(EVENTS, params={"cursor": first["next_cursor"]})).json()
        assert ([item["type"] for item in rest["items"]], rest["has_more"]) == (["loan.disbursed"], False)
        end = (await viewer.get(EVENTS, params={"cursor": rest["next_cursor"]})).json()
        assert end == {"items": [], "next_cursor": rest["next_cursor"], "has_more": False}
        body = {"amount": "50.00", "payment_method": "check"}
        await admin.post(f"/api/v1/loans/{loan['id']}/payments", json=body)
        after = (await feed(viewer, 2, cursor=rest["next_cursor"]))["items"]
        assert [item["type"] for item in after] == ["payment.recorded", "payment.settled"]
        assert {item["loan_event_number"] for item in after} == {3}
        one = (await viewer.get(EVENTS, params={"type": "payment.settled", "loan_id": loan["id"]})).json()["items"]
        assert one == after[1:]
        assert (await viewer.get(EVENTS, params={"loan_id": str(new_id())})).json()["items"] == []

    async def test_is_the_tenants_own(self, admin: ApiClient, login_as: LoginAs, make_tenant: Any) -> None:
        await make_loan(admin)
        event = (await feed(admin, 2))["items"][0]
        other = await login_as(await make_tenant(), "owner")
        assert (await other.get(EVENTS)).json()["items"] == []
        assert (await other.get(f"{EVENTS}/{event['id']}")).status_code == 404

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=201", "cursor=x", "cursor=" + "_" * 32, "cursor=%00", "type=lost", "loan_id=7"]
    )
    async def test_refuses_bad_parameters(self, viewer: ApiClient, query: str) -> None:
        response = await viewer.get(f"{EVENTS}?{query}")
        assert response.status_code in (400, 422)
        assert response.status_code == 400 or pointers(response) == {f"/{query.split('=')[0]}"}


def test_every_type_but_the_ping_can_be_chosen() -> None:
    assert sorted([*SUBSCRIBABLE, WebhookType.PING]) == sorted(WebhookType)
