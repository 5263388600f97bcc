"""The books over HTTP."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.models.servicing import instalments, loans, payments
from services.payments import RecordPayment, record
from tests.api.conftest import ApiClient, LoginAs
from tests.conftest import MakeTenant
from tests.services.lending import UowOf, active_loan, jump, run_date


async def get(client: ApiClient, url: str, **params: Any) -> Any:
    response = await client.get(f"/api/v1{url}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
async def backdated(uow_of: UowOf, tenant: UUID) -> UUID:
    """A loan whose late fee of 2020-10-20 vanished on 10-21, when the payment of 10-05 was recorded."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 20))
    await run_date(uow_of, tenant, date(2020, 10, 21))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 297_47, "check", date(2020, 10, 5)))
        await uow.commit()
    return loan_id


class TestLoanJournal:
    async def test_an_entry_names_its_accounts_and_a_mirror_what_it_takes_back(
        self, viewer: ApiClient, backdated: UUID
    ) -> None:
        items = (await get(viewer, f"/loans/{backdated}/journal", limit=200))["items"]
        fee, mirror = sorted((i for i in items if i["key"] == "late_fee:2020-10-09"), key=lambda i: i["revision"])
        receivable = {"code": 1120, "name": "Late fees receivable"}
        income = {"code": 4010, "name": "Late fee income"}
        assert fee["transfers"] == [{"debit": receivable, "credit": income, "amount": "30.00"}]
        assert mirror["transfers"] == [{"debit": income, "credit": receivable, "amount": "30.00"}]
        assert (fee["reversed_by_id"], mirror["reverses_id"]) == (mirror["id"], fee["id"])
        assert (mirror["kind"], mirror["posting_date"], mirror["business_date"]) == ("mirror", "2020-10-20", "2020-10-21")

    async def test_dates_and_pages(self, viewer: ApiClient, backdated: UUID) -> None:
        url = f"/loans/{backdated}/journal"
        days = await get(viewer, url, posted_from="2020-09-30", posted_to="2020-10-05")
        assert sorted(i["kind"] for i in days["items"]) == ["accrual", "payment", "settlement"]
        whole = [i["id"] for i in (await get(viewer, url, limit=200))["items"]]
        paged: list[str] = []
        cursor: str | None = None
        while True:
            page = await get(viewer, url, limit=3, **({"cursor": cursor} if cursor else {}))
            paged += [i["id"] for i in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert paged == whole
        assert len(whole) == len(set(whole)) == 8

    async def test_an_unknown_loan(self, viewer: ApiClient, tenant: UUID) -> None:
        assert (await viewer.get(f"/api/v1/loans/{tenant}/journal")).status_code == 404


class TestTrialBalance:
    async def test_it_sums_to_zero_and_is_one_query(
        self, viewer: ApiClient, backdated: UUID, app: Any, tenant: UUID
    ) -> None:
        statements: list[str] = []
        engine: AsyncEngine = app.state.engine

        def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            statements.append(statement)

        event.listen(engine.sync_engine, "before_cursor_execute", note)
        try:
            body = await get(viewer, "/gl/trial-balance")
        finally:
            event.remove(engine.sync_engine, "before_cursor_execute", note)
        assert len([s for s in statements if "journal_transfers" in s]) == 1
        assert (body["as_of"], body["total"]) == ("2020-10-21", "0.00")
        assert body["total_debit"] == body["total_credit"]
        balances = {a["code"]: (a["debit"], a["credit"], a["balance"]) for a in body["accounts"]}
        assert balances[1000] == ("297.47", "10000.00", "-9702.53")
        assert balances[1100] == ("10000.00", "260.48", "9739.52")
        assert balances[4010] == ("30.00", "30.00", "0.00")
        assert balances[5000] == ("0.00", "0.00", "0.00")

    async def test_as_of_a_past_date(self, viewer: ApiClient, backdated: UUID) -> None:
        body = await get(viewer, "/gl/trial-balance", as_of="2020-10-04")
        balances = {a["code"]: a["balance"] for a in body["accounts"]}
        assert (balances[1100], balances[1000], body["total"]) == ("10000.00", "-10000.00", "0.00")

    @pytest.mark.parametrize("as_of", ["yesterday", "0001-01-01", "2020-02-30"])
    async def test_a_date_that_is_none(self, viewer: ApiClient, as_of: str) -> None:
        response = await viewer.get("/api/v1/gl/trial-balance", params={"as_of": as_of})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/as_of")

    async def test_another_tenant_s_books_are_not_in_it(
        self, login_as: LoginAs, make_tenant: MakeTenant, backdated: UUID
    ) -> None:
        stranger = await login_as(await make_tenant(), "viewer")
        assert (await get(stranger, "/gl/trial-balance"))["total_debit"] == "0.00"


class TestExport:
    async def rows(self, viewer: ApiClient, first: str, last: str) -> list[dict[str, str]]:
        response = await viewer.get("/api/v1/gl/export", params={"from": first, "to": last})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/csv")
        assert f"ledger-{first}-{last}.csv" in response.headers["content-disposition"]
        return list(csv.DictReader(io.StringIO(response.text)))

    async def test_its_sums_are_the_trial_balance(self, viewer: ApiClient, backdated: UUID) -> None:
        rows = await self.rows(viewer, "2020-09-01", "2020-10-21")
        net: Counter[int] = Counter()
        for row in rows:
            cents = int(row["amount"].replace(".", ""))
            net[int(row["debit_account"])] += cents
            net[int(row["credit_account"])] -= cents
        body = await get(viewer, "/gl/trial-balance")
        stated = {line["code"]: int(line["balance"].replace(".", "")) for line in body["accounts"]}
        assert {code: amount for code, amount in stated.items() if amount} == {c: n for c, n in net.items() if n}

    async def test_a_line_a_transfer(self, viewer: ApiClient, backdated: UUID) -> None:
        rows = await self.rows(viewer, "2020-10-20", "2020-10-20")
        fee, mirror = [row for row in rows if row["entry_key"] == "late_fee:2020-10-09"]
        assert list(fee) == [
            "posting_date",
            "effective_date",
            "entry_id",
            "entry_key",
            "revision",
            "kind",
            "loan_number",
            "debit_account",
            "credit_account",
            "amount",
            "reverses",
        ]
        assert (fee["kind"], fee["debit_account"], fee["credit_account"], fee["amount"]) == (
            "late_fee",
            "1120",
            "4010",
            "30.00",
        )
        assert (mirror["kind"], mirror["debit_account"], mirror["reverses"]) == ("mirror", "4010", fee["entry_id"])
        assert (fee["reverses"], fee["loan_number"][:2]) == ("", "L-")

    async def test_no_cell_is_a_formula(self, viewer: ApiClient, backdated: UUID, uow_of: UowOf, tenant: UUID) -> None:
        for number in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1"):
            async with uow_of(tenant) as uow:
                await uow.execute(update(loans).where(loans.c.id == backdated).values(loan_number=number))
                await uow.commit()
            assert {row["loan_number"] for row in await self.rows(viewer, "2020-09-01", "2020-10-21")} == {f"'{number}"}

    async def test_days_without_postings_are_the_header_alone(self, viewer: ApiClient, tenant: UUID) -> None:
        assert await self.rows(viewer, "2020-09-01", "2020-09-08") == []

    @pytest.mark.parametrize(
        ("params", "pointer"),
        [
            ({"from": "2020-10-02", "to": "2020-10-01"}, "/to"),
            ({"from": "2020-10-02"}, "/to"),
            ({"from": "x", "to": "2020-10-01"}, "/from"),
        ],
    )
    async def test_days_that_are_none(self, viewer: ApiClient, params: dict[str, str], pointer: str) -> None:
        response = await viewer.get("/api/v1/gl/export", params=params)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)

    async def test_a_connection_is_given_back(self, viewer: ApiClient, backdated: UUID, app: Any) -> None:
        engine: AsyncEngine = app.state.engine
        for _ in range(40):
            await self.rows(viewer, "2020-09-01", "2020-10-21")
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


class TestCacheCheck:
    async def test_all_is_well(self, admin: ApiClient, backdated: UUID) -> None:
        assert await get(admin, "/gl/cache-check") == {"checked": 1, "items": [], "next_cursor": None}

    async def test_a_cache_that_is_wrong_is_named(
        self, admin: ApiClient, backdated: UUID, uow_of: UowOf, tenant: UUID
    ) -> None:
        forged = (
            (loans, loans.c.id, {"fees_balance": 7_00}, "fees_balance"),
            (instalments, instalments.c.loan_id, {"interest_paid": 1}, "schedule"),
            (payments, payments.c.loan_id, {"interest_applied": 0, "unapplied_amount": 36_99}, "payments"),
        )
        for table, key, values, name in forged:
            async with uow_of(tenant) as uow:
                await uow.execute(update(table).where(key == backdated).values(**values))
                await uow.commit()
            (item,) = (await get(admin, "/gl/cache-check"))["items"]
            assert (item["loan_id"], name in item["differing"]) == (str(backdated), True)

    async def test_pages(self, admin: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        for _ in range(3):
            await active_loan(uow_of, tenant)
        first = await get(admin, "/gl/cache-check", limit=2)
        second = await get(admin, "/gl/cache-check", limit=2, cursor=first["next_cursor"])
        assert (first["checked"], second["checked"], second["next_cursor"]) == (2, 1, None)


async def test_the_chart_of_accounts(viewer: ApiClient) -> None:
    chart = {a["code"]: a for a in await get(viewer, "/gl/accounts")}
    assert chart[1110] == {"code": 1110, "name": "Accrued interest receivable", "kind": "asset", "normal_side": "debit"}
    assert chart[1190]["normal_side"] == "credit"
    assert len(chart) >= 30


async def test_the_reconciliation_names_a_loan_that_differs(
    viewer: ApiClient, backdated: UUID, uow_of: UowOf, tenant: UUID
) -> None:
    assert (await get(viewer, "/gl/reconciliation"))["reconciled"] is True
    async with uow_of(tenant) as uow:
        await uow.execute(update(loans).where(loans.c.id == backdated).values(late_fees=7_00))
        await uow.commit()
    body = await get(viewer, "/gl/reconciliation")
    (fees,) = [a for a in body["accounts"] if a["code"] == 1120]
    assert body["reconciled"] is False
    assert (fees["ledger"], fees["loans"], fees["difference"], fees["loan_ids"]) == (
        "0.00",
        "7.00",
        "-7.00",
        [str(backdated)],
    )
