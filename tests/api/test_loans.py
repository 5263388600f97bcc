"""Loans over HTTP: booked as the program allows, disbursed once, read as they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.chart import Account
from infra.db.models.servicing import booked_schedules, loans
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import ledger
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import EXAMPLE_TERMS, loan_body, make_borrower, make_loan, make_program, pointers

LOANS = "/api/v1/loans"

UowOf = Callable[[UUID], UnitOfWork]


async def test_a_loan_is_booked_with_its_schedule_and_disclosures(admin: ApiClient) -> None:
    loan = await make_loan(admin, disbursed=False)
    expected = {
        "loan_number": "LN-0001",
        "status": "boarding",
        "principal_amount": "10000.00",
        "principal_balance": "0.00",
        "interest_rate": "0.045",
        "term_months": 36,
        "term_periods": 36,
        "remaining_term": 36,
        "payment_amount": "297.47",
        "finance_charge": "708.31",
        "total_of_payments": "10708.31",
        "apr": "4.4966",
        "apr_reason": None,
        "maturity_date": "2023-09-09",
        "payoff": None,
        "source": "api",
    }
    assert {name: loan[name] for name in expected} == expected
    booked = (await admin.get(f"{LOANS}/{loan['id']}/schedule", params={"booked": "true"})).json()
    assert (booked["kind"], len(booked["items"])) == ("booked", 36)
    first, last = booked["items"][0], booked["items"][-1]
    assert (first["due_date"], first["interest"], first["payment"]) == ("2020-10-09", "36.99", "297.47")
    assert (last["due_date"], last["payment"], last["balance"]) == ("2023-09-09", "296.86", "0.00")


async def test_a_loan_without_an_apr_says_why(admin: ApiClient) -> None:
    """A cent is financed of 10,000,000.00: what is paid a month later is more than 10 ** 9 times as much."""
    program = await make_program(admin, {**EXAMPLE_TERMS, "limits": {}})
    fee = {"principal_amount": "10000000.00", "prepaid_finance_charge": "9999999.99", "term_months": 1}
    loan = await make_loan(admin, program_id=program, disbursed=False, **fee)
    reason = "No annual percentage rate: no rate makes the payments worth the advances."
    assert (loan["apr"], loan["apr_reason"]) == (None, reason)
    assert (await admin.get(f"{LOANS}/{loan['id']}")).json()["apr_reason"] == reason


async def test_a_loan_is_booked_with_what_shapes_its_schedule(admin: ApiClient) -> None:
    program = await make_program(admin, {**EXAMPLE_TERMS, "first_period": "regular"})
    shaped = {
        "balloon": "2000.00",
        "interest_only_periods": 6,
        "deferred_periods": 2,
        "due_days": [31],
        "prepaid_finance_charge": "150.00",
    }
    dates = {"origination_date": "2020-08-31", "first_payment_date": "2020-11-30"}
    loan = await make_loan(admin, program_id=program, **dates, **shaped)
    assert {name: loan[name] for name in shaped} == shaped
    assert (loan["amount_financed"], loan["maturity_date"]) == ("9850.00", "2023-10-31")
    assert Decimal(loan["amount_financed"]) + Decimal(loan["finance_charge"]) == Decimal(loan["total_of_payments"])
    current = (await admin.get(f"{LOANS}/{loan['id']}/schedule")).json()["items"]
    booked = (await admin.get(f"{LOANS}/{loan['id']}/schedule", params={"booked": "true"})).json()["items"]
    agreed = ("due_date", "payment", "principal", "interest")
    assert [[row[name] for name in agreed] for row in current] == [[row[name] for name in agreed] for row in booked]
    assert [row["due_date"] for row in booked[:4]] == ["2020-11-30", "2020-12-31", "2021-01-31", "2021-02-28"]
    assert [row["payment"] for row in booked[:6]] == ["112.50"] + ["37.50"] * 5, "three months' interest, then one's"
    level, last = Decimal(booked[6]["payment"]), Decimal(booked[-1]["payment"])
    assert abs(last - level - 2000) <= Decimal("0.18")


async def test_a_loan_with_a_stated_payment_keeps_it(admin: ApiClient) -> None:
    loan = await make_loan(admin, level_payment="290.00")
    assert loan["payment_amount"] == "290.00"
    booked = (await admin.get(f"{LOANS}/{loan['id']}/schedule", params={"booked": "true"})).json()["items"]
    assert {row["payment"] for row in booked[:-1]} == {"290.00"}
    assert booked[-1]["balance"] == "0.00"


async def test_a_disbursed_loan_stands_as_the_reference_shows_one(admin: ApiClient, uow_of: UowOf) -> None:
    loan = await make_loan(admin)
    expected = {
        "status": "active",
        "principal_balance": "10000.00",
        "remaining_term": 36,
        "next_payment_date": "2020-10-09",
        "next_payment_amount": "297.47",
        "total_paid": "0.00",
        "origination_date": "2020-09-09",
        "accrued_interest": "0.00",
        "per_diem": "1.23",
        "payoff": "10001.23",
        "days_past_due": 0,
        "delinquency_bucket": "current",
        "as_of": "2020-09-09",
    }
    assert {name: loan[name] for name in expected} == expected
    assert (await admin.get(f"{LOANS}/{loan['id']}")).json() == loan
    async with uow_of(admin.tenant_id) as uow:
        nets = {b.account: b.net for b in await ledger.trial_balance(uow, await uow.business_date()) if b.net}
    assert nets == {Account.PRINCIPAL: 1_000_000, Account.CASH: -1_000_000}


async def test_a_loan_with_everything_that_can_be_expanded(admin: ApiClient) -> None:
    loan = await make_loan(admin)
    path = f"{LOANS}/{loan['id']}"
    paid = await admin.post(f"{path}/payments", json={"amount": "297.47", "payment_method": "ach"})
    assert paid.status_code == 201, paid.text
    full = (await admin.get(path, params={"expand": "borrower,program,schedule,payments"})).json()
    assert full["borrower"]["id"] == loan["borrower_id"]
    assert full["program"]["terms"]["late_fee"]["flat"] == "30.00"
    assert [payment["amount"] for payment in full["payments"]] == ["297.47"]
    assert (full["schedule"]["items"][0]["status"], full["remaining_term"]) == ("paid", 35)
    assert full["total_paid"] == "297.47"
    current = (await admin.get(f"{path}/schedule")).json()
    assert current == full["schedule"]
    assert current["items"][-1]["balance"] == "0.00"
    booked = (await admin.get(f"{path}/schedule", params={"booked": "true"})).json()
    assert booked["items"][0]["status"] is None, "what was agreed knows nothing of payments"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"principal_amount": "999.99"}, "/principal_amount"),
        ({"principal_amount": "40000.01"}, "/principal_amount"),
        ({"principal_amount": "-5.00"}, "/principal_amount"),
        ({"principal_amount": "0.00"}, "/principal_amount"),
        ({"principal_amount": 5000}, "/principal_amount"),
        ({"interest_rate": "0.37"}, "/interest_rate"),
        ({"interest_rate": "1e-2"}, "/interest_rate"),
        ({"term_months": 61}, "/term_periods"),
        ({"term_months": 0}, "/term_months"),
        ({"term_periods": 36}, "/term_months"),
        ({"term_months": None}, "/term_months"),
        ({"origination_date": "0001-01-01"}, "/origination_date"),
        ({"origination_date": "2020-02-30"}, "/origination_date"),
        ({"origination_date": "2022-01-01", "first_payment_date": "2022-02-01"}, "/origination_date"),
        ({"first_payment_date": "2020-09-09"}, "/first_payment_date"),
        ({"first_payment_date": "2022-09-09"}, "/first_payment_date"),
        ({"origination_date": "2200-01-01", "first_payment_date": "2200-02-01"}, "/first_payment_date"),
        ({"borrower_id": str(new_id())}, "/borrower_id"),
        ({"program_id": str(new_id())}, "/program_id"),
        ({"loan_number": "a\u0007b"}, "/loan_number"),
        ({"loan_number": "LN-" + "9" * 20}, "/loan_number"),
        ({"term_months": True}, "/term_months"),
        ({"term_months": "36"}, "/term_months"),
        ({"term_months": 36.0}, "/term_months"),
        ({"loan_number": " "}, "/loan_number"),
        ({"loan_number": "x" * 51}, "/loan_number"),
        ({"principal": "5000.00"}, "/principal"),
        ({"level_payment": "0.00"}, "/level_payment"),
        ({"level_payment": 300}, "/level_payment"),
        ({"level_payment": "30.00"}, "/level_payment"),
        ({"level_payment": "9999999999999.99"}, "/level_payment"),
        ({"balloon": "10000.01"}, "/balloon"),
        ({"balloon": "-1.00"}, "/balloon"),
        ({"balloon": "1.00", "level_payment": "300.00"}, "/balloon"),
        ({"interest_only_periods": 36}, "/interest_only_periods"),
        ({"interest_only_periods": -1}, "/interest_only_periods"),
        ({"interest_only_periods": True}, "/interest_only_periods"),
        ({"deferred_periods": 2}, "/deferred_periods"),
        ({"deferred_periods": 10**9}, "/deferred_periods"),
        ({"due_days": [31]}, "/due_days"),
        ({"due_days": [9, 24]}, "/due_days"),
        ({"due_days": [0]}, "/due_days"),
        ({"due_days": [10**30]}, "/due_days"),
        ({"due_days": ["9"]}, "/due_days/0"),
        ({"due_days": [1, 2, 3]}, "/due_days"),
        ({"due_days": 9}, "/due_days"),
        ({"prepaid_finance_charge": "10000.00"}, "/prepaid_finance_charge"),
        ({"prepaid_finance_charge": "-0.01"}, "/prepaid_finance_charge"),
    ],
)
async def test_what_program_or_calendar_forbid_is_refused_and_nothing_written(
    admin: ApiClient, uow_of: UowOf, changes: dict[str, Any], pointer: str
) -> None:
    refused = await admin.post(LOANS, json=await loan_body(admin, **changes))
    assert refused.status_code == 422, refused.text
    assert pointers(refused) == {pointer}
    async with uow_of(admin.tenant_id) as uow:
        assert await uow.all(select(loans.c.id)) == []
        assert await uow.all(select(booked_schedules.c.loan_id)) == []


async def test_every_wrong_term_is_named_at_once(admin: ApiClient) -> None:
    body = await loan_body(admin, principal_amount="1.00", interest_rate="0.99", first_payment_date="2020-01-01")
    refused = await admin.post(LOANS, json=body)
    assert pointers(refused) == {"/principal_amount", "/interest_rate", "/first_payment_date"}


async def test_terms_follow_the_programs_frequency(admin: ApiClient) -> None:
    biweekly = await make_program(admin, {"frequency": "biweekly"})
    loan = await make_loan(admin, program_id=biweekly, term_months=12, first_payment_date="2020-09-23")
    assert (loan["term_periods"], loan["term_months"]) == (26, 12)
    single = await make_program(admin, {"frequency": "single"})
    loan = await make_loan(admin, program_id=single, term_months=None, term_periods=1, first_payment_date="2021-03-09")
    assert (loan["term_periods"], loan["term_months"], loan["maturity_date"]) == (1, None, "2021-03-09")
    quarterly = await make_program(admin, {"frequency": "quarterly"})
    refused = await admin.post(LOANS, json=await loan_body(admin, program_id=quarterly, term_months=10))
    assert pointers(refused) == {"/term_months"}


async def test_a_loan_number_is_taken_once(admin: ApiClient) -> None:
    await make_loan(admin, loan_number="A-1")
    refused = await admin.post(LOANS, json=await loan_body(admin, loan_number="A-1"))
    assert (refused.status_code, refused.json()["code"], pointers(refused)) == (
        409,
        "loan_number_taken",
        {"/loan_number"},
    )


async def test_loans_booked_at_the_same_time_get_different_numbers(admin: ApiClient) -> None:
    await make_loan(admin, loan_number="LN-0007", disbursed=False)
    program, borrower = await make_program(admin), await make_borrower(admin)
    body = await loan_body(admin, program_id=program, borrower_id=borrower)
    answers = await asyncio.gather(*(admin.post(LOANS, json=body) for _ in range(6)))
    numbers = sorted(answer.json()["loan_number"] for answer in answers)
    assert numbers == [f"LN-{n:04d}" for n in range(8, 14)]


async def test_a_repeated_request_with_a_key_books_one_loan(admin: ApiClient) -> None:
    body = await loan_body(admin)
    headers = {"Idempotency-Key": new_id().hex}
    answers = [await admin.post(LOANS, json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await admin.get(LOANS)).json()["items"]) == 1


async def test_a_loan_is_disbursed_once(admin: ApiClient) -> None:
    loan = await make_loan(admin, disbursed=False)
    path = f"{LOANS}/{loan['id']}/disburse"
    headers = {"Idempotency-Key": new_id().hex}
    answers = [await admin.post(path, json={"date": "2020-09-09"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    again = await admin.post(path, json={})
    assert again.status_code == 409
    assert (again.json()["state"], again.json()["allowed"]) == ("active", ["boarding"])


@pytest.mark.parametrize("day", ["2020-09-08", "2020-09-10", "2020-10-09", "0001-01-01", "tomorrow"])
async def test_a_loan_is_not_disbursed_before_origination_or_in_the_future(admin: ApiClient, day: str) -> None:
    loan = await make_loan(admin, disbursed=False)
    refused = await admin.post(f"{LOANS}/{loan['id']}/disburse", json={"date": day})
    assert (refused.status_code, pointers(refused)) == (422, {"/date"})
    assert (await admin.get(f"{LOANS}/{loan['id']}")).json()["status"] == "boarding"


async def test_a_loan_that_could_never_be_disbursed_is_not_booked(admin: ApiClient) -> None:
    """Its leap year's interest is more than the level payment: refused while it can still be changed."""
    terms = {"frequency": "annually", "period_interest": "day_count"}
    body = await loan_body(
        admin,
        program_id=await make_program(admin, terms),
        interest_rate="0.3599",
        principal_amount="1234.56",
        term_months=None,
        term_periods=36,
        first_payment_date="2021-09-09",
    )
    refused = await admin.post(LOANS, json=body)
    assert (refused.status_code, pointers(refused)) == (422, {"/interest_rate"})
    assert (await admin.get(LOANS)).json()["items"] == []
    booked = await admin.post(LOANS, json={**body, "interest_rate": "0.2"})
    disbursed = await admin.post(f"{LOANS}/{booked.json()['id']}/disburse", json={})
    assert disbursed.status_code == 200, disbursed.text


async def test_the_series_of_loan_numbers_goes_on_after_the_largest_given_one(admin: ApiClient) -> None:
    await make_loan(admin, disbursed=False, loan_number="LN-999999999999")
    numbers = [(await make_loan(admin, disbursed=False))["loan_number"] for _ in range(2)]
    assert numbers == ["LN-1000000000000", "LN-1000000000001"]


async def test_a_loan_of_the_future_waits_for_its_day(admin: ApiClient) -> None:
    dates = {"origination_date": "2020-09-20", "first_payment_date": "2020-10-20"}
    loan = await make_loan(admin, disbursed=False, **dates)
    refused = await admin.post(f"{LOANS}/{loan['id']}/disburse", json={})
    assert (refused.status_code, pointers(refused)) == (422, {"/date"})


async def test_loans_are_narrowed_and_paged(admin: ApiClient) -> None:
    borrower = await make_borrower(admin)
    program = await make_program(admin)
    mine = await make_loan(admin, borrower_id=borrower)
    waiting = await make_loan(admin, program_id=program, disbursed=False)

    async def found(**params: str) -> list[str]:
        response = await admin.get(LOANS, params=params)
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    assert await found() == [waiting["id"], mine["id"]]
    assert await found(status="boarding") == [waiting["id"]]
    assert await found(borrower_id=borrower) == [mine["id"]]
    assert await found(program_id=program) == [waiting["id"]]
    assert await found(loan_number=mine["loan_number"]) == [mine["id"]]
    assert await found(next_due_from="2020-10-09", next_due_to="2020-10-09") == [mine["id"]]
    assert await found(next_due_from="2020-10-10") == []
    assert await found(delinquency_bucket="dpd_30_59") == []
    page = (await admin.get(LOANS, params={"limit": 1})).json()
    rest = (await admin.get(LOANS, params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [page["items"][0]["id"], rest["items"][0]["id"]] == [waiting["id"], mine["id"]]
    assert rest["next_cursor"] is None
    assert (await admin.get(LOANS, params={"status": "sleeping"})).status_code == 422


async def test_a_payoff_is_quoted_from_today_on(admin: ApiClient) -> None:
    path = f"{LOANS}/{(await make_loan(admin))['id']}/payoff"
    today = (await admin.get(path)).json()
    assert (today["date"], today["principal"], today["total"]) == ("2020-09-09", "10000.00", "10001.23")
    later = (await admin.get(path, params={"date": "2020-09-19"})).json()
    assert (later["interest"], later["per_diem"]) == ("13.56", "1.23")
    late = (await admin.get(path, params={"date": "2020-10-20"})).json()
    assert late["fees"] == "30.00", "the late fee that would be assessed by then"
    for day in ("2020-09-08", "2030-01-01"):
        refused = await admin.get(path, params={"date": day})
        assert (refused.status_code, pointers(refused)) == (422, {"/date"})
    waiting = await make_loan(admin, disbursed=False)
    refused = await admin.get(f"{LOANS}/{waiting['id']}/payoff")
    assert (refused.status_code, refused.json()["state"]) == (409, "boarding")


async def test_a_borrower_sees_their_own_loans_only(admin: ApiClient, login_as: LoginAs) -> None:
    mine = await make_loan(admin)
    other = await make_loan(admin)
    borrower = await login_as(admin.tenant_id, "borrower", borrower_id=UUID(mine["borrower_id"]))
    listed = (await borrower.get("/api/v1/portal/loans")).json()["items"]
    assert [loan["id"] for loan in listed] == [mine["id"]]
    for tail in ("", "/schedule", "/payoff"):
        own = await borrower.get(f"/api/v1/portal/loans/{mine['id']}{tail}")
        assert own.status_code == 200, own.text
        foreign = await borrower.get(f"/api/v1/portal/loans/{other['id']}{tail}")
        missing = await borrower.get(f"/api/v1/portal/loans/{new_id()}{tail}")
        assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert (await borrower.get(f"{LOANS}/{mine['id']}")).status_code == 403


async def test_a_viewer_reads_and_does_not_write(admin: ApiClient, viewer: ApiClient) -> None:
    loan = await make_loan(admin, disbursed=False)
    assert (await viewer.get(f"{LOANS}/{loan['id']}")).status_code == 200
    assert (await viewer.post(f"{LOANS}/{loan['id']}/disburse", json={})).status_code == 403
    assert (await viewer.post(LOANS, json={})).status_code == 403
