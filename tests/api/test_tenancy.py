"""Two lenders share the tables and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.roles import Role
from infra.db.models import metadata
from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.db.models.processes import autopay_drafts, autopay_enrolments, autopay_notices, payment_reversals, payouts
from infra.db.models.rails import cases, rail_cutoffs, rail_files, rail_return_files
from infra.db.models.servicing import (
    borrower_details,
    borrowers,
    loan_flags,
    loans,
    payment_instruments,
    payments,
    programs,
)
from infra.db.models.tenancy import date_advances, tenants
from infra.db.models.webhooks import webhook_deliveries, webhook_endpoints, webhook_events
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.api.routes import ROUTES, Route, as_sent, sample_body
from tests.conftest import MakeTenant

TENANT_TABLES = sorted(name for name, table in metadata.tables.items() if table.info.get("tenant"))
MARK = "Unmistakable"
DAY = date(2020, 9, 9)
WORDS = {"flag": "fraud"}
"""Parameters of addresses that are a word of ours, the same for every lender."""


async def _fill(uow: UnitOfWork) -> dict[str, UUID]:
    """A row of each kind that an address or a body can name; the name of the parameter -> its id."""
    borrower = await uow.add(borrowers, first_name=MARK, last_name=MARK, email=f"{MARK}@example.com")
    program = await uow.add(programs, name=MARK, current_version=1)
    instrument = await uow.add(
        payment_instruments,
        borrower_id=borrower,
        instrument_type="bank_account",
        account_holder_name=MARK,
        account_number_last_four="6789",
    )
    loan = await uow.add(
        loans,
        loan_number=MARK,
        borrower_id=borrower,
        program_id=program,
        program_version=1,
        status="active",
        principal_amount=100_000,
        annual_rate=0,
        term_periods=12,
        origination_date=DAY,
        first_due_date=DAY + timedelta(days=30),
        maturity_date=DAY + timedelta(days=365),
        level_payment=8_334,
    )
    payment = await uow.add(
        payments,
        loan_id=loan,
        amount=50_000,
        payment_method="ach",
        status="completed",
        settlement_status="not_applicable",
        source="staff",
        effective_date=DAY,
        principal_applied=50_000,
        interest_applied=0,
        fees_applied=0,
        unapplied_amount=0,
        recorded_business_date=DAY,
    )
    enrolment = await uow.add(autopay_enrolments, loan_id=loan, status="active", amount_type="next_due", start_date=DAY)
    recurring = await uow.add(
        autopay_enrolments,
        loan_id=loan,
        kind="recurring",
        status="active",
        amount_type="static",
        amount=1_000,
        frequency="weekly",
        start_date=DAY,
        next_process_date=DAY,
    )
    draft = await uow.add(
        autopay_drafts,
        enrolment_id=enrolment,
        loan_id=loan,
        process_date=DAY,
        apply_date=DAY,
        attempt=1,
        amount=8_334,
        status="pending",
    )
    notice = {"process_date": DAY, "number": 1, "amount": 8_334, "sent_on": DAY}
    await uow.add(autopay_notices, enrolment_id=enrolment, **notice)
    payout = await uow.add(
        payouts,
        loan_id=loan,
        payment_id=payment,
        kind="refund",
        amount=1_000,
        reason=MARK,
        override=False,
        status="pending_approval",
        requested_on=DAY,
    )
    detail = await uow.add(borrower_details, borrower_id=borrower, kind="note", data={"text": MARK})
    await uow.add(
        payment_reversals,
        payment_id=payment,
        loan_id=loan,
        amount=50_000,
        reason=MARK,
        assess_nsf_fee=False,
        status="pending_approval",
        step="approval",
        requested_on=DAY,
    )
    advance = await uow.add(date_advances, from_date=DAY, to_date=DAY + timedelta(days=1))
    event = await uow.add(webhook_events, type="ping", loan_id=loan, business_date=DAY, data={"text": MARK})
    endpoint = await uow.add(webhook_endpoints, url=f"https://{MARK}.example", status="active", secret=MARK.encode())
    delivery = await uow.add(
        webhook_deliveries,
        event_id=event,
        endpoint_id=endpoint,
        status="failed",
        last_reason=MARK,
        finished_at=uow.recorded_at,
    )
    batch = await uow.add(
        payment_batches,
        file_hash=MARK.encode(),
        columns=["external_id"],
        status="previewed",
        business_date=DAY,
        rows=1,
        control_total=0,
    )
    cutoff = await uow.add(
        rail_cutoffs,
        business_date=DAY,
        number=1,
        status="acknowledged",
        rail="nacha",
        acknowledged_at=uow.recorded_at,
    )
    file = await uow.add(
        rail_files,
        cutoff_id=cutoff,
        name=MARK,
        storage_key=MARK,
        sha256=MARK,
        size=1,
        entries=1,
        amount=1,
        created_on=DAY,
        id_modifier="A",
        effective_date=DAY,
    )
    return_file = await uow.add(
        rail_return_files,
        sha256=MARK,
        size=1,
        origin=MARK[:10],
        created_on=DAY,
        id_modifier="A",
        content_encrypted=MARK.encode(),
        status="received",
        received_on=DAY,
    )
    case = await uow.add(
        cases, kind="draft_in_transit", loan_id=loan, payment_id=payment, status="open", opened_on=DAY, detail=MARK
    )
    rejected = {"outcome": "rejected", "code": MARK, "reason": MARK}
    await uow.add(payment_batch_rows, batch_id=batch, line=2, cells=[MARK], **rejected)
    await uow.add(loan_flags, loan_id=loan, flag=WORDS["flag"], set_on=DAY, reason=MARK)
    await uow.audit("test", "loan", loan, reason=MARK)
    return {
        "borrower_id": borrower,
        "program_id": program,
        "payment_instrument_id": instrument,
        "instrument_id": instrument,
        "loan_id": loan,
        "payment_id": payment,
        "enrolment_id": enrolment,
        "autopay_id": enrolment,
        "recurring_payment_id": recurring,
        "draft_id": draft,
        "payout_id": payout,
        "detail_id": detail,
        "advance_id": advance,
        "event_id": event,
        "endpoint_id": endpoint,
        "delivery_id": delivery,
        "batch_id": batch,
        "file_id": file,
        "return_file_id": return_file,
        "case_id": case,
    }


@pytest.fixture(scope="session")
async def theirs(make_tenant: MakeTenant, login_as: LoginAs, engine: AsyncEngine) -> dict[str, str]:
    """What another lender has: parameter name -> id."""
    tenant = await make_tenant()
    async with UnitOfWork(engine, tenant, Actor(ActorKind.OPERATOR)) as uow:
        ids = await _fill(uow)
        await uow.commit()
    ids |= {"tenant_id": tenant, "user_id": (await login_as(tenant, "owner")).user_id}
    return {name: str(value) for name, value in ids.items()}


@pytest.fixture(scope="session")
async def ours(make_tenant: MakeTenant, login_as: LoginAs) -> dict[str, ApiClient]:
    """The most powerful users of our lender: one of the staff, one borrower."""
    tenant = await make_tenant()
    return {"staff": await login_as(tenant, "owner"), "portal": await login_as(tenant, "borrower")}


def who(ours: dict[str, ApiClient], route: Route) -> ApiClient:
    return ours["portal" if route.accesses and route.accesses[0] == {Role.BORROWER} else "staff"]


async def ask(client: ApiClient, route: Route, ids: dict[str, str], fallback: str) -> httpx.Response:
    path = route.path.format(**{name: (ids | WORDS).get(name, fallback) for name in route.parameters})
    parts = route.operation.get("parameters", [])
    params = {part["name"]: "sample" for part in parts if part["in"] == "query" and part["required"]}
    return await client.request(route.method, path, params=params, **as_sent(route, sample_body(route, ids, fallback)))


PROTECTED = [route for route in ROUTES if not route.public]


@pytest.mark.parametrize("route", [route for route in PROTECTED if route.parameters], ids=str)
async def test_what_another_lender_has_does_not_exist(
    route: Route, ours: dict[str, ApiClient], theirs: dict[str, str]
) -> None:
    """The very answer that an id nobody has gets."""
    client = who(ours, route)
    some_of_theirs = theirs["loan_id"]
    response = await ask(client, route, theirs, some_of_theirs)
    nobodys = await ask(client, route, {name: str(new_id()) for name in theirs}, str(new_id()))
    assert (response.status_code, response.text) == (nobodys.status_code, nobodys.text)
    assert response.status_code in {404, 409, 422}
    assert MARK not in response.text


@pytest.mark.parametrize("route", [route for route in PROTECTED if route.method != "GET" and not route.parameters], ids=str)
async def test_a_body_cannot_name_what_another_lender_has(
    route: Route, ours: dict[str, ApiClient], theirs: dict[str, str], login_as: LoginAs
) -> None:
    client = who(ours, route)
    if route.path.startswith("/api/v1/auth/"):
        client = await login_as(client.tenant_id, "owner")
    body = sample_body(route, theirs, theirs["loan_id"])
    response = await client.request(route.method, route.path, **as_sent(route, body))
    assert response.status_code < 500
    assert MARK not in response.text
    if any(value in str(body) for value in theirs.values()):
        assert response.status_code in {404, 409, 422}


@pytest.mark.parametrize("route", [route for route in PROTECTED if route.method == "GET"], ids=str)
async def test_no_list_shows_what_another_lender_has(
    route: Route, ours: dict[str, ApiClient], theirs: dict[str, str]
) -> None:
    """Neither plain nor filtered by their ids."""
    filters = {part["name"] for part in route.operation.get("parameters", []) if part["in"] == "query"}
    client = who(ours, route)
    path = route.path.format(**{name: theirs.get(name, theirs["loan_id"]) for name in route.parameters})
    for params in ({}, {name: theirs[name] for name in filters & set(theirs)}, {"object_id": theirs["loan_id"]}):
        known = {name: value for name, value in params.items() if name in filters}
        response = await client.get(path, params=known)
        assert response.status_code < 500
        assert MARK not in response.text
        echoed = set(known.values()) | {theirs.get(name, theirs["loan_id"]) for name in route.parameters}
        assert not [value for value in theirs.values() if value not in echoed and value in response.text]


async def test_a_token_of_one_lender_is_worth_nothing_at_another(
    client: ApiClient, ours: dict[str, ApiClient], theirs: dict[str, str], app: FastAPI
) -> None:
    """A forger who has the session of one lender and the name of another still needs the key."""
    import jwt

    claims = jwt.decode(ours["staff"].tokens.access, options={"verify_signature": False})
    ours_at_theirs = jwt.encode({**claims, "tid": theirs["tenant_id"]}, app.state.vault.access_token_key)
    response = await client.get("/api/v1/users", headers={"Authorization": f"Bearer {ours_at_theirs}"})
    assert response.status_code == 401


class TestBareSql:
    """Whoever gets a database session of the application role, and forgets every WHERE."""

    @pytest.fixture
    async def session(self, engine: AsyncEngine, ours: dict[str, ApiClient]) -> AsyncIterator[Any]:
        async with UnitOfWork(engine, ours["staff"].tenant_id, Actor(ActorKind.OPERATOR)) as uow:
            await uow.business_date()
            yield uow.connection

    @pytest.mark.parametrize("table", TENANT_TABLES)
    async def test_reads_and_changes_no_row_of_another(self, session: Any, theirs: dict[str, str], table: str) -> None:
        other = {"tenant": theirs["tenant_id"]}
        query = text(f"SELECT count(*) FROM {table} WHERE tenant_id = :tenant")
        assert (await session.execute(query, other)).scalar_one() == 0
        tenant_ids = await session.execute(text(f"SELECT DISTINCT tenant_id FROM {table}"))
        assert theirs["tenant_id"] not in {str(row[0]) for row in tenant_ids}
        for statement in (f"UPDATE {table} SET tenant_id = tenant_id", f"DELETE FROM {table}"):
            changed, refusal = 0, "permission denied"
            try:
                async with session.begin_nested():
                    changed = (await session.execute(text(f"{statement} WHERE tenant_id = :tenant"), other)).rowcount
            except DBAPIError as refused:  # append-only, or without the privilege
                refusal = str(refused.orig)
            assert changed == 0
            assert "permission denied" in refusal

    async def test_cannot_become_more(self, session: Any, theirs: dict[str, str]) -> None:
        assert (await session.execute(select(tenants.c.id))).scalars().all() != []
        escapes = (
            "SET LOCAL ROLE perdiem_owner",
            "SET LOCAL SESSION AUTHORIZATION perdiem_owner",
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
            "CREATE TABLE mine AS SELECT 1",
            "TRUNCATE users CASCADE",
            "SELECT * FROM tenant_directory",
            "SELECT * FROM login_directory",
            "SET LOCAL row_security = off; SELECT * FROM users",
        )
        for statement in escapes:
            with pytest.raises(DBAPIError):
                async with session.begin_nested():
                    for part in statement.split("; "):
                        await session.execute(text(part))
        rights = "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        assert (await session.execute(text(rights))).scalar_one() is False

    async def test_a_session_without_a_tenant_sees_no_row_of_anybody(
        self, engine: AsyncEngine, theirs: dict[str, str]
    ) -> None:
        async with engine.connect() as connection:
            for table in [*TENANT_TABLES, "tenants"]:
                assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
