"""Everything that is done with payments, under input of bad intent: a clear refusal, never a 5xx, nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from services.corrections import equivalence
from tests.api.conftest import ApiClient, LoginAs
from tests.api.test_bad_input import send
from tests.conftest import MakeTenant
from tests.domain.loans import under
from tests.services.lending import UowOf, active_loan, assert_consistent, counts, jump, pay
from tests.services.refunding import limit

REASON = {"reason": "x"}
ROUTES: dict[str, dict[str, Any]] = {
    "/loans/{loan}/payments": {
        "amount": "1.00",
        "payment_method": "ach",
        "effective_date": "2020-10-01",
        "external_id": "e",
        "payment_instrument_id": None,
    },
    "/loans/{loan}/payments/preview": {"amount": "1.00", "effective_date": "2020-10-01"},
    "/payments/{payment}/reverse": {**REASON, "assess_nsf_fee": False},
    "/payments/{payment}/reverse/preview": {**REASON, "assess_nsf_fee": False},
    "/payments/{waiting}/reversal/approve": REASON,
    "/payments/{waiting}/reversal/reject": REASON,
    "/payments/{payment}/refund": {**REASON, "amount": "1.00", "override": True},
    "/payments/{payment}/refund/preview": {**REASON, "amount": "1.00", "override": True},
    "/payments/{payment}/backdate": {**REASON, "effective_date": "2020-10-01"},
    "/payments/{payment}/backdate/preview": {**REASON, "effective_date": "2020-10-01"},
    "/loans/{loan}/payments/reimbursement": {**REASON, "amount": "1.00"},
    "/loans/{loan}/payments/reimbursement/preview": {**REASON, "amount": "1.00"},
    "/refunds/{payout}/reject": REASON,
    "/payouts/{payout}/cancel": REASON,
    "/loans/{loan}/events/{event}/void": REASON,
}
"""What is posted where, and taken there."""

HOSTILE: dict[str, Any] = {
    "null": None,
    "a list": ["1.00"],
    "an object": {"$ne": ""},
    "true": True,
    "a number": 1,
    "a huge number": 10**400,
    "a tiny number": 1e-320,
    "empty": "",
    "blank": " \u2003",
    "a huge amount": "9" * 40 + ".99",
    "an exponent": "1e5",
    "a sign": "+1.00",
    "other digits": "\u0661.\u0660\u0660",
    "the year 1": "0001-01-01",
    "the year 9999": "9999-12-31",
    "the year 0": "0000-00-00",
    "a leap day that is none": "2021-02-29",
    "a week date": "2020-W40-1",
    "right to left": "\u202e00.1",
    "an emoji": "\U0001f4b8" * 3_000,
    "combining marks": "a" + "\u0301" * 2_500,
    "a tag": "<script>alert(1)</script>" * 100,
    "a formula": "=cmd|' /C calc'!A0" * 200,
    "sql": "'; DROP TABLE payments; --",
}
TEXT = {"sql", "a week date", "an exponent", "a sign", "other digits", "right to left"} | {
    name for name in HOSTILE if name.startswith(("the year", "a leap", "a huge amount"))
}
"""What is text like any other where text is asked for."""


OPTIONAL = {"effective_date", "external_id", "payment_instrument_id"}
"""Fields that may be null where they are not all that is asked for."""


def cases(route: str) -> Iterator[tuple[str, str]]:
    """The fields of a route, each with the names of what it does not take."""
    for field in ROUTES[route]:
        for name in HOSTILE:
            text = field in ("reason", "external_id") and name in TEXT
            flag = field in ("override", "assess_nsf_fee") and name == "true"
            null = name == "null" and (
                (field in OPTIONAL and "backdate" not in route)
                or (field == "reason" and ("backdate" in route or route.endswith("/approve")))
            )
            if not (text or flag or null):
                yield field, name


@dataclass(frozen=True, slots=True)
class Target:
    """A lender's loan with a payment, a payment whose reversal waits, a refund that waits; and who asks."""

    tenant: UUID
    officer: ApiClient
    ids: dict[str, str]

    def url(self, route: str, **others: object) -> str:
        return "/api/v1" + route.format(**self.ids | others)


@pytest.fixture(scope="module")
async def target(make_tenant: MakeTenant, login_as: LoginAs, engine: AsyncEngine) -> Target:
    return await a_target(make_tenant, login_as, engine)


async def a_target(make_tenant: MakeTenant, login_as: LoginAs, engine: AsyncEngine) -> Target:
    def uow_of(tenant: UUID) -> UnitOfWork:
        return UnitOfWork(engine, tenant, Actor(ActorKind.OPERATOR))

    tenant = await make_tenant(date(2020, 9, 9))
    officer = await login_as(tenant, "admin")
    loan_id = await active_loan(uow_of, tenant, under(nsf_fee=25_00))
    await jump(uow_of, tenant, date(2020, 10, 12))
    payment, waiting = [await pay(uow_of, tenant, loan_id, 300_00, date(2020, 10, 5)) for _ in range(2)]
    await limit(uow_of, tenant, 50_00)
    reversal = await officer.post(f"/api/v1/payments/{waiting.id}/reverse", json={"reason": "nsf"})
    assert reversal.status_code == 202, reversal.text
    payout = await officer.post(
        f"/api/v1/payments/{payment.id}/refund", json={"amount": "60.00", "reason": "x", "override": True}
    )
    assert payout.json()["status"] == "pending_approval", payout.text
    ids = {"loan": loan_id, "payment": payment.id, "waiting": waiting.id, "payout": payout.json()["id"], "event": 1}
    return Target(tenant, officer, {name: str(value) for name, value in ids.items()})


@asynccontextmanager
async def nothing_written(target: Target, uow_of: UowOf) -> AsyncIterator[None]:
    """The database is then what it was."""
    async with uow_of(target.tenant) as uow:
        before = await counts(uow)
    yield
    async with uow_of(target.tenant) as uow:
        assert await counts(uow) == before


async def refused(
    target: Target, route: str, body: Any, client: ApiClient | None = None, **others: object
) -> dict[str, Any]:
    """A refusal that says what is wrong."""
    status, problem = await send(client or target.officer, target.url(route, **others), body)
    assert 400 <= status < 500, problem
    return {**problem, "status": status}


@pytest.mark.parametrize("route", ROUTES)
async def test_every_field_of_every_kind(target: Target, uow_of: UowOf, route: str) -> None:
    tried = list(cases(route))
    assert len(tried) >= 8
    async with nothing_written(target, uow_of):
        problems = [await refused(target, route, {**ROUTES[route], field: HOSTILE[name]}) for field, name in tried]
    for (field, name), problem in zip(tried, problems, strict=True):
        where = [error["pointer"] for error in problem["errors"]]
        assert where == [f"/{field}"] or problem["code"] in ("invalid_json", "not_unapplied"), (field, name, problem)


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_not_asked_for(target: Target, uow_of: UowOf, route: str) -> None:
    async with nothing_written(target, uow_of):
        for extra in ("tenant_id", "status", "id", "actor", "__proto__", "amount\u200b", "REASON"):
            problem = await refused(target, route, {**ROUTES[route], extra: "x"})
            assert [error["pointer"] for error in problem["errors"]] == [f"/{extra}"]
        for body in (b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"reason":"a","reason":"b"}', b"[" * 5000):
            if not (route.endswith("/approve") and body in (b"", b"null")):
                await refused(target, route, body)


@pytest.mark.parametrize("route", ROUTES)
async def test_ids_of_nobody_and_of_others(
    target: Target, uow_of: UowOf, make_tenant: MakeTenant, login_as: LoginAs, route: str
) -> None:
    """What another lender has is not there, to the letter; and other roles, or nobody, may not."""
    others = {name: str(new_id()) for name in target.ids if name != "event"}
    stranger = await login_as(await make_tenant(), "owner")
    lower = [await login_as(target.tenant, role) for role in ("viewer", "borrower")]
    async with nothing_written(target, uow_of):
        unknown = await refused(target, route, ROUTES[route], **others)
        assert unknown["status"] == 404
        assert await refused(target, route, ROUTES[route], stranger) == unknown
        for wrong in ("1", "null", "..%2f..", "%00", "' OR 1=1 --", "\u0661" * 36, "f" * 5000):
            bad = await refused(target, route, ROUTES[route], **dict.fromkeys(others, wrong))
            assert bad["status"] in (400, 404, 422)
        for client in lower:
            assert (await refused(target, route, ROUTES[route], client))["status"] == 403


KEYED = [
    "/loans/{loan}/payments",
    "/payments/{payment}/reverse",
    "/payments/{payment}/refund",
    "/payments/{payment}/backdate",
    "/loans/{loan}/payments/reimbursement",
]


@pytest.mark.parametrize("route", KEYED)
async def test_a_key_that_was_used_for_something_else(
    make_tenant: MakeTenant, login_as: LoginAs, engine: AsyncEngine, uow_of: UowOf, route: str
) -> None:
    target = await a_target(make_tenant, login_as, engine)
    headers = {"Idempotency-Key": f"key-{new_id()}"}
    body = {name: value for name, value in ROUTES[route].items() if value is not None}
    changed = "reason" if "reason" in body else "external_id"
    first = await target.officer.post(target.url(route), json=body, headers=headers)
    assert first.status_code < 300, first.text
    async with nothing_written(target, uow_of):
        again = await target.officer.post(target.url(route), json=body, headers=headers)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        for url, sent in (
            (target.url(route), {**body, changed: "another"}),
            (target.url(route) + "?x=1", body),
            (target.url("/payments/{waiting}/backdate"), {"effective_date": "2020-10-02"}),
        ):
            refusal = await target.officer.post(url, json=sent, headers=headers)
            assert (refusal.status_code, refusal.json()["code"]) == (422, "idempotency_key_reused")
        for key in ("", " ", "x" * 201, "\u00e9".encode()):
            malformed = await target.officer.post(target.url(route), json=body, headers={"Idempotency-Key": key})
            assert (malformed.status_code, malformed.json()["code"]) == (422, "invalid_idempotency_key")


async def test_everything_at_once_on_one_loan(
    make_tenant: MakeTenant, login_as: LoginAs, engine: AsyncEngine, uow_of: UowOf
) -> None:
    """Payments, backdatings, reversals, refunds, decisions and cancellations of several people in the same moments: each is
    done or refused, nothing waits for each other, and the books hold."""
    target = await a_target(make_tenant, login_as, engine)
    second = await login_as(target.tenant, "admin")
    for turn in range(3):
        calls = [
            (target.officer, "/loans/{loan}/payments", {"amount": f"{n + 1}.00", "payment_method": "ach"}) for n in range(4)
        ]
        calls += [
            (who, "/payments/{payment}/backdate", {"effective_date": f"2020-10-0{n}"})
            for n, who in ((1 + turn, second), (4 + turn, target.officer))
        ]
        calls += [(second, f"/payments/{{waiting}}/reversal/{verb}", REASON) for verb in ("approve", "reject")]
        calls += [(second, "/refunds/{payout}/approve", {}), (second, "/refunds/{payout}/reject", REASON)]
        calls += [(second, "/payouts/{payout}/cancel", REASON), (second, "/payments/{payment}/reverse", REASON)]
        calls += [(second, "/payments/{payment}/refund", {**REASON, "amount": "2.00", "override": True})]
        answers = await asyncio.gather(*(who.post(target.url(route), json=body) for who, route, body in calls))
        assert [answer.text for answer in answers if answer.status_code >= 500] == []
        assert [answer.status_code for answer in answers[:4]] == [201] * 4, "a payment of today is always taken"
    async with uow_of(target.tenant) as uow:
        await assert_consistent(uow, UUID(target.ids["loan"]))
        assert (await equivalence(uow, UUID(target.ids["loan"]))).equal


LISTS = (
    "/payments",
    "/loans/{loan}/payments",
    "/loans/{loan}/payouts",
    "/loans/{loan}/events",
    "/loans/{loan}/corrections",
    "/approvals",
)
QUERIES: list[tuple[str, str]] = [
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "201"),
    ("limit", "1e2"),
    ("limit", "9" * 400),
    ("cursor", "!"),
    ("cursor", "A" * 65),
    ("cursor", "\u202e"),
    ("status", "paid"),
    ("payment_method", "barter"),
    ("effective_from", "0001-01-01"),
    ("effective_to", "9999-12-31"),
    ("effective_from", "yesterday"),
    ("external_id", ""),
    ("external_id", "x" * 256),
    ("loan_id", "1"),
    ("kind", "x"),
]


@pytest.mark.parametrize("route", LISTS)
async def test_queries(target: Target, route: str) -> None:
    for name, value in QUERIES:
        response = await target.officer.get(target.url(route), params={name: value})
        assert response.status_code in (200, 422), (name, value, response.text)
        if response.status_code == 422:
            assert response.json()["errors"][0]["pointer"] == f"/{name}"
    assert (await target.officer.get(target.url(route) + "?external_id=%00")).status_code == 400


@pytest.mark.parametrize(
    "route", ["/payments/{id}", "/payments/{id}/reversal", "/payouts/{id}", "/corrections/{id}", "/loans/{id}/payouts"]
)
async def test_reads_of_what_is_not_there(target: Target, route: str) -> None:
    for wrong, status in ((str(new_id()), 404), ("1", 422), ("f" * 4000, 422), ("%00", 400)):
        assert (await target.officer.get(f"/api/v1{route.format(id=wrong)}")).status_code == status, wrong
