"""The preview of a correction says what then happens: to bills, fees, interest, payments, books and archived days."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from api.schemas.corrections import preview_of
from domain.correction import correction
from domain.day_by_day import day_by_day
from domain.events import ChargedFee, FeeCharged, PaymentReceived
from domain.program import InterestMethod
from domain.replay import replay
from domain.restatement import RestatedDay, days_to_compare, differing, restatement
from domain.status_archive import status_of
from infra.db.models.archive import loan_corrections
from infra.ids import new_id
from services.corrections import Corrected
from services.periods import close
from services.replaying import apply_event, lock_loan
from tests.api.conftest import ApiClient, LoginAs
from tests.api.correcting import assert_kept, assert_restated, stored
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE, history, under
from tests.properties.budget import tries
from tests.services.lending import UowOf, active_loan, advance, assert_consistent, counts, jump, pay

DUE = date(2020, 10, 9)


async def post(client: ApiClient, url: str, body: dict[str, Any], status: int = 200) -> Any:
    response = await client.post(f"/api/v1{url}", json=body)
    assert response.status_code == status, response.text
    return response.json()


class TestBackdate:
    async def test_it_says_what_changes_and_by_how_much(self, loan_officer: ApiClient, uow_of: UowOf, tenant: UUID) -> None:
        """The instalment of 9 October, paid on the 21st after a late fee; the cheque had been there on the 9th."""
        loan_id = await active_loan(uow_of, tenant)
        await advance(uow_of, tenant, date(2020, 10, 21))
        paid = await pay(uow_of, tenant, loan_id, 297_47)
        await advance(uow_of, tenant, date(2020, 10, 24))
        body = {"effective_date": "2020-10-09", "reason": "The cheque was here on the 9th"}

        found = await post(loan_officer, f"/payments/{paid.id}/backdate/preview", body)

        bill = found["instalments"][0]
        assert (bill["number"], bill["before"]["status"], bill["after"]["status"]) == (1, "past_due", "paid")
        assert (bill["before"]["principal_paid"], bill["after"]["principal_paid"]) == ("230.48", "260.48")
        assert bill["after"]["paid_on"] == "2020-10-09"
        (fee,) = found["fees"]
        assert (fee["key"], fee["change"], fee["after"]) == ("late_fee:2020-10-09", "vanished", None)
        (allocation,) = found["allocations"]
        assert allocation["before"]["fees_applied"] == "30.00"
        totals = found["totals"]
        assert totals["allocations"] == {
            "count": 1,
            "fees_applied": "-30.00",
            "interest_applied": "0.00",
            "principal_applied": "30.00",
            "overpayment": "0.00",
        }
        assert (totals["fees"]["vanished"], totals["fees"]["assessed"]) == ("30.00", "0.00")
        accounts = {line["code"]: line["net"] for line in totals["accounts"]}
        assert (accounts[1100], accounts[4010]) == ("-30.00", "30.00")
        assert {entry["period"] for entry in found["journal"]} == {"2020-10"}
        archive = found["archive"]
        assert (archive["archived_days"], archive["compared_days"], archive["complete"]) == (16, 16, True)
        assert (archive["days"], archive["first"], archive["last"]) == (16, "2020-10-09", "2020-10-24")
        first, last = archive["key_days"]
        principal = next(figure for figure in last["figures"] if figure["figure"] == "principal_balance")
        assert principal == {"figure": "principal_balance", "archived": "9769.52", "now": "9739.52", "change": "-30.00"}
        recency = next(figure for figure in last["figures"] if figure["figure"] == "loan_recency")
        assert (recency["archived"], recency["now"], recency["change"]) == (3, 15, 12)
        assert first["as_of"] == "2020-10-09"

    @pytest.mark.parametrize("closed", [False, True])
    async def test_the_effect_is_the_preview(
        self, loan_officer: ApiClient, uow_of: UowOf, tenant: UUID, closed: bool
    ) -> None:
        """Also where the month it belongs to is closed, so that it is posted on the business date."""
        loan_id = await active_loan(uow_of, tenant)
        await advance(uow_of, tenant, date(2020, 10, 21))
        paid = await pay(uow_of, tenant, loan_id, 297_47)
        await advance(uow_of, tenant, date(2020, 11, 3))
        if closed:
            async with uow_of(tenant) as uow:
                for month in (date(2020, 9, 1), date(2020, 10, 1)):
                    await close(uow, month)
                await uow.commit()
        async with uow_of(tenant) as uow:
            before, rows = await stored(uow, loan_id), await counts(uow)
        body = {"effective_date": "2020-10-09"}
        promised = await post(loan_officer, f"/payments/{paid.id}/backdate/preview", body)
        async with uow_of(tenant) as uow:
            assert await counts(uow) == rows, "a preview writes nothing"
        assert {entry["period"] for entry in promised["journal"]} == {"2020-11" if closed else "2020-10"}

        done = await post(loan_officer, f"/payments/{paid.id}/backdate", body)

        assert {name: done[name] for name in done if name in promised} == {
            name: promised[name] for name in promised if name != "archive"
        }
        await assert_kept(uow_of, tenant, loan_id, promised, before)
        await assert_restated(uow_of, tenant, loan_id, UUID(done["correction_id"]), promised)
        shown = (await loan_officer.get(f"/api/v1/corrections/{done['correction_id']}")).json()
        assert (shown["kind"], shown["since"], shown["applied_on"]) == ("backdate", "2020-10-09", "2020-11-03")
        assert shown["restated"]["days"] == promised["archive"]["days"] == 26
        assert shown["finished_at"] is not None
        (line,) = (await loan_officer.get(f"/api/v1/loans/{loan_id}/corrections")).json()["items"]
        figures = shown["restated"].pop("figures")
        assert line == shown
        assert "principal_balance" in figures
        process = (await loan_officer.get(done["status_url"])).json()
        assert process["workflow_type"] == "RestatementWorkflow"


def test_the_preview_of_a_loan_of_thirty_years_is_of_bounded_size() -> None:
    """Its first of 360 payments is taken back: a hundred entries of each list, the totals of all, a choice of the days."""
    terms = replace(EXAMPLE, periods=360, principal=300_000_00)
    months = [date(2020 + (9 + n) // 12, (9 + n) % 12 + 1, 9) for n in range(350)]
    before = history(*((on, PaymentReceived(1_520_06, str(UUID(int=n)))) for n, on in enumerate(months)), terms=terms)
    after = [event for event in before if event.sequence != 2]
    through = months[-1] + timedelta(days=30)
    then, now = (replay(terms, events, through) for events in (before, after))
    change = correction(then, now, then)
    days = [date(2020, 10, 9) + timedelta(days=n) for n in range((through - date(2020, 10, 8)).days)]
    compared = days_to_compare(days)
    statuses = [[status_of(terms, one) for one in day_by_day(terms, events, compared)] for events in (before, after)]
    restated = [RestatedDay(was, is_, differing(was, is_)) for was, is_ in zip(*statuses, strict=True)]
    summed_up = restatement(len(days), len(compared), restated)
    corrected = Corrected(new_id(), change, tuple((e, e.effective_date) for e in change.entries), restatement=summed_up)

    found = preview_of(corrected).model_dump(mode="json")

    assert len(json.dumps(found)) < 300_000
    lists = ("instalments", "allocations", "fees", "accruals", "journal")
    assert [len(found[name]) for name in lists] == [100, 100, 100, 0, 100]
    totals = found["totals"]
    assert totals["instalments"] > 300
    assert totals["allocations"]["count"] == 350
    assert (totals["fees"]["count"], totals["fees"]["assessed"]) == (350, "10500.00")
    assert totals["journal"] == len(change.entries) > 1_000
    archive = found["archive"]
    assert (archive["archived_days"], archive["compared_days"], archive["complete"]) == (len(days), len(compared), False)
    assert len(compared) < 600
    assert (archive["days"], archive["first"]) == (len(compared), "2020-10-09")
    assert archive["last"] == through.isoformat()
    assert len(archive["key_days"]) == 12


METHODS = st.sampled_from(list(InterestMethod))
GAPS = st.lists(st.integers(1, 18), min_size=3, max_size=6)
ACTS = st.sampled_from(["pay", "pay", "pay late", "fee", "nothing"])
CORRECTIONS = st.sampled_from(["backdate", "reverse", "void", "refund"])


@given(data=st.data(), method=METHODS, gaps=GAPS, kind=CORRECTIONS)
@settings(parent=tries(25), deadline=None, suppress_health_check=list(HealthCheck))
async def test_whatever_happened_the_effect_of_a_correction_is_its_preview(
    data: st.DataObject,
    method: InterestMethod,
    gaps: list[int],
    kind: str,
    make_tenant: MakeTenant,
    login_as: LoginAs,
    uow_of: UowOf,
) -> None:
    """Random histories with payments in time, late and recorded late, fees, days closed one by one or caught up with."""
    terms = under(interest_method=method, nsf_fee=25_00, non_accrual_days=None)
    tenant = await make_tenant(terms.contract_date)
    admin = await login_as(tenant, "admin")
    loan_id = await active_loan(uow_of, tenant, terms)
    paid = [await _lived(uow_of, tenant, loan_id, gap, data) for gap in gaps]
    async with uow_of(tenant) as uow:
        today = await uow.business_date()
        before = await stored(uow, loan_id)
    urls = await _correction(uow_of, tenant, loan_id, kind, [one for one in paid if one is not None], today, data)
    if urls is None:
        return
    url, body = urls
    response = await admin.post(f"/api/v1{url}/preview", json=body)
    if response.status_code != 200:
        refused = await admin.post(f"/api/v1{url}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (response.status_code, response.json()["code"])
        return
    promised = response.json()
    done = await admin.post(f"/api/v1{url}", json=body)
    assert done.status_code in (200, 201), done.text
    promised = promised.get("correction", promised)
    await assert_kept(uow_of, tenant, loan_id, promised, before)
    async with uow_of(tenant) as uow:
        rows = await uow.all(select(loan_corrections))
        await assert_consistent(uow, loan_id)
    if not rows:
        assert promised["archive"]["days"] == 0, "a refund of unapplied funds corrects nothing that was"
        return
    await assert_restated(uow_of, tenant, loan_id, rows[0]["id"], promised)


async def _lived(uow_of: UowOf, tenant: UUID, loan_id: UUID, gap: int, data: st.DataObject) -> UUID | None:
    """Some days pass, then something happens; the payment, where it was one."""
    async with uow_of(tenant) as uow:
        to = await uow.business_date() + timedelta(days=gap)
    await (advance if data.draw(st.booleans()) else jump)(uow_of, tenant, to)
    act = data.draw(ACTS)
    if act == "nothing":
        return None
    if act == "fee":
        async with uow_of(tenant) as uow:
            fee = FeeCharged(f"f{to}", ChargedFee.NSF, 25_00)
            await apply_event(uow, await lock_loan(uow, loan_id), fee, to)
            await uow.commit()
        return None
    on = to - timedelta(days=data.draw(st.integers(1, 20))) if act == "pay late" else to
    amount = data.draw(st.sampled_from([50_00, 297_47, 297_47, 350_00, 1_000_00]))
    return (await pay(uow_of, tenant, loan_id, amount, max(on, EXAMPLE.contract_date))).id


async def _correction(
    uow_of: UowOf, tenant: UUID, loan_id: UUID, kind: str, paid: list[UUID], today: date, data: st.DataObject
) -> tuple[str, dict[str, Any]] | None:
    """Where a correction of what happened is posted, and what."""
    if kind == "void":
        async with uow_of(tenant) as uow:
            loan = await lock_loan(uow, loan_id)
            fees = [record.number for record in loan.records if isinstance(record.body, FeeCharged)]
        return (f"/loans/{loan_id}/events/{data.draw(st.sampled_from(fees))}/void", {"reason": "x"}) if fees else None
    if not paid:
        return None
    url = f"/payments/{data.draw(st.sampled_from(paid))}"
    if kind == "backdate":
        on = today - timedelta(days=data.draw(st.integers(0, 45)))
        return f"{url}/backdate", {"effective_date": max(on, EXAMPLE.contract_date).isoformat()}
    if kind == "reverse":
        return f"{url}/reverse", {"reason": "nsf", "assess_nsf_fee": data.draw(st.booleans())}
    return f"{url}/refund", {"amount": "40.00", "reason": "x", "override": True}
