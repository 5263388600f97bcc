"""The terms of an autopay over HTTP: cadences, amounts, accounts, in words; what cannot be meant; skip and change."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.ach_returns import SUSPENDING, Action
from infra.db.models.processes import workflow_intents
from infra.db.models.tenancy import audit_log
from infra.db.repositories import autopay as repository
from infra.ids import new_id
from services import suspensions
from tests.api.conftest import ApiClient, LoginAs
from tests.api.lending import pointers
from tests.services.lending import UowOf, open_dates
from tests.workflows.platform import ACCOUNT, VAULT, Borrowed, Rows


@pytest.fixture
def rows(engine: Any, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


@pytest.fixture
async def borrowed(rows: Rows) -> Borrowed:
    """A loan of 9 September 2020, today, with 297.47 due on the 9th of each month."""
    return await rows.borrowed()


@pytest.fixture
async def savings(rows: Rows, borrowed: Borrowed) -> str:
    """Another account of the borrower."""
    from services import instruments

    borrower = (await rows.loan(borrowed.loan_id))["borrower_id"]
    other = {**ACCOUNT, "account_number": "555554321", "account_type": "savings"}
    async with rows.uow() as uow:
        added = await instruments.add(uow, VAULT, borrower, other)
        await uow.commit()
    return str(added)


@pytest.fixture
async def own(rows: Rows, borrowed: Borrowed, login_as: LoginAs, tenant: UUID) -> ApiClient:
    """The borrower's own client."""
    return await login_as(tenant, "borrower", borrower_id=(await rows.loan(borrowed.loan_id))["borrower_id"])


def url_of(borrowed: Borrowed, *, portal: bool = False) -> str:
    return f"/api/v1/{'portal/' if portal else ''}loans/{borrowed.loan_id}/autopay"


def terms(borrowed: Borrowed, **others: Any) -> dict[str, Any]:
    return {"payment_instrument_id": str(borrowed.instrument_id), **others}


CHECKING = "from the checking account ending in 6789"
SAID: list[tuple[dict[str, Any], str, str]] = [
    ({}, "what is due on each due date of the loan", f"297.47 on 2020-10-09 {CHECKING}"),
    (
        {"amount_type": "static", "amount": "100.00", "frequency": "weekly", "start_date": "2020-09-12"},
        "100.00 every week on Saturday, from 2020-09-12 on",
        f"100.00 on 2020-09-14 {CHECKING}, counting on 2020-09-12",
    ),
    (
        {"amount_type": "static", "amount": "100.00", "frequency": "biweekly", "number_of_periods": 6},
        "100.00 every two weeks on Wednesday, from 2020-09-09 on, 6 times",
        f"100.00 on 2020-09-09 {CHECKING}",
    ),
    (
        {"amount_type": "next_period", "frequency": "semimonthly", "start_date": "2020-09-15"},
        "the instalment of the period twice a month, on the 15th and the last day",
        f"297.47 on 2020-09-15 {CHECKING}",
    ),
    (
        {"frequency": "monthly", "start_date": "2020-09-30", "last_day_of_month": True, "end_date": "2021-03-31"},
        "what is due every month on the last day, from 2020-09-30 on, until 2021-03-31",
        f"297.47 on 2020-09-30 {CHECKING}",
    ),
    (
        {"amount_type": "past_due", "frequency": "quarterly", "start_date": "2020-09-22"},
        "what is past due, with fees every three months on the 22nd, from 2020-09-22 on",
        "nothing on 2020-09-22: nothing is due",
    ),
    (
        {"amount_type": "static", "amount": "500.00", "frequency": "semiannual", "payoff_rule": "do_not_process"},
        "500.00 every six months on the 9th, from 2020-09-09 on, and not at all when it is more than pays the loan off",
        f"500.00 on 2020-09-09 {CHECKING}",
    ),
    (
        {"amount_type": "fees_due", "frequency": "annual", "start_date": "2020-10-01", "number_of_periods": 1},
        "the fees that are due every year on the 1st, from 2020-10-01 on, once",
        "nothing on 2020-10-01: nothing is due",
    ),
    (
        {"amount_type": "static", "amount": "42.00", "frequency": "custom", "dates": ["2020-09-11", "2020-12-01"]},
        "42.00 on 2020-09-11, 2020-12-01",
        f"42.00 on 2020-09-11 {CHECKING}",
    ),
    (
        {"amount_type": "static", "amount": "42.00", "frequency": "single", "start_date": "2020-09-10"},
        "42.00 once, on 2020-09-10",
        f"42.00 on 2020-09-10 {CHECKING}",
    ),
    (
        {"process_days_after": 2, "scheduling": "business_day"},
        "what is due on each due date of the loan, going out 2 banking days after the date it counts on",
        f"297.47 on 2020-10-14 {CHECKING}, counting on 2020-10-09",
    ),
    (
        {
            "amount_type": "static",
            "amount": "42.00",
            "frequency": "monthly",
            "date_anchor": "process_date",
            "process_days_after": 1,
            "start_date": "2020-10-02",
            "post_payment_update": True,
        },
        "42.00 every month on the 2nd, from 2020-10-02 on, counting 1 day before it goes out",
        f"42.00 on 2020-10-02 {CHECKING}",
    ),
]


@pytest.mark.parametrize(("given", "in_words", "upcoming"), SAID)
async def test_terms_are_shown_as_given_and_in_words_with_the_next_draft(
    loan_officer: ApiClient, borrowed: Borrowed, given: dict[str, Any], in_words: str, upcoming: str
) -> None:
    response = await loan_officer.post(url_of(borrowed), json=terms(borrowed, **given))
    assert response.status_code == 201, response.text
    body = response.json()
    assert {name: body[name] for name in given} == given
    assert (body["in_words"], body["next_draft"]["in_words"]) == (in_words, upcoming)
    assert (await loan_officer.get(url_of(borrowed))).json() == body


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"frequency": "fortnightly"}, "/frequency"),
    ({"frequency": "custom"}, "/dates"),
    ({"frequency": "custom", "dates": []}, "/dates"),
    ({"frequency": "custom", "dates": ["2020-10-01", "2020-10-01"]}, "/dates/1"),
    ({"frequency": "custom", "dates": ["soon"]}, "/dates/0"),
    ({"frequency": "monthly", "dates": ["2020-10-01"]}, "/dates"),
    ({"frequency": "monthly", "last_day_of_month": True}, "/start_date"),
    ({"frequency": "weekly", "last_day_of_month": True}, "/last_day_of_month"),
    ({"number_of_periods": 0}, "/number_of_periods"),
    ({"number_of_periods": 2, "end_date": "2021-01-01"}, "/number_of_periods"),
    ({"date_anchor": "process_date"}, "/date_anchor"),
    ({"process_days_after": -1}, "/process_days_after"),
    ({"process_days_after": "2"}, "/process_days_after"),
    ({"process_time": "16:00"}, "/process_time"),
    ({"process_time": "6:00"}, "/process_time"),
    ({"process_time": "24:00"}, "/process_time"),
    ({"process_zero_or_negative": False}, "/process_zero_or_negative"),
    ({"retry_days": 6}, "/retry_days"),
    ({"amount_type": "fees_due", "amount": "1.00"}, "/amount"),
    ({"payoff_rule": "pay_more"}, "/payoff_rule"),
    ({"extra_towards": "interest"}, "/extra_towards"),
    ({"fallback_instrument_ids": [str(new_id())]}, "/fallback_instrument_ids/0"),
    ({"fallback_instrument_ids": [str(new_id())] * 3}, "/fallback_instrument_ids"),
    ({"frequency": "monthly", "start_date": "2200-12-31", "process_days_after": 15, "end_date": "2200-12-31"}, "/end_date"),
]


@pytest.mark.parametrize(("given", "pointer"), WRONG)
async def test_terms_that_cannot_be_meant_are_refused_with_the_field_and_nothing_is_written(
    loan_officer: ApiClient, borrowed: Borrowed, given: dict[str, Any], pointer: str
) -> None:
    response = await loan_officer.post(url_of(borrowed), json=terms(borrowed, **given))
    assert response.status_code == 422, response.text
    assert pointer in [error["pointer"] for error in response.json()["errors"]]
    assert (await loan_officer.get(url_of(borrowed))).status_code == 404


async def test_an_account_is_not_named_twice(loan_officer: ApiClient, borrowed: Borrowed, savings: str) -> None:
    for accounts, pointer in (([str(borrowed.instrument_id)], 0), ([savings, savings], 1)):
        response = await loan_officer.post(url_of(borrowed), json=terms(borrowed, fallback_instrument_ids=accounts))
        assert response.status_code == 422, response.text
        assert response.json()["errors"][0]["pointer"] == f"/fallback_instrument_ids/{pointer}"


@pytest.mark.parametrize("portal", [False, True])
async def test_amount_accounts_and_rules_can_be_changed(
    loan_officer: ApiClient, own: ApiClient, borrowed: Borrowed, savings: str, portal: bool
) -> None:
    client, url = own if portal else loan_officer, url_of(borrowed, portal=portal)
    assert (await client.post(url, json=terms(borrowed, process_time="05:30"))).json()["process_time"] == "05:30"

    fixed = {"amount_type": "static", "amount": "350.00", "process_zero_or_negative": False, "payoff_rule": "do_not_process"}
    changed = await client.patch(url, json=fixed)
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in fixed} == fixed
    assert changed.json()["next_draft"]["amount"] == "350.00"

    rules = {"fallback_instrument_ids": [savings], "retry_days": 3, "post_payment_update": True, "process_time": "07:00"}
    rules["extra_towards"] = "coming_dues"
    changed = await client.patch(url, json=rules)
    assert {name: changed.json()[name] for name in rules} == rules
    moved = {"payment_instrument_id": savings, "fallback_instrument_ids": []}
    changed = await client.patch(url, json=moved)
    assert {name: changed.json()[name] for name in moved} == moved
    assert "the savings account ending in 4321" in changed.json()["next_draft"]["in_words"]

    back = await client.patch(url, json={"amount_type": "next_due"})
    assert (back.json()["amount"], back.json()["process_zero_or_negative"]) == (None, True)
    for wrong, pointer in (
        ({"amount_type": "static"}, "/amount"),
        ({"amount": "1.00"}, "/amount"),
        ({"retry_days": 9}, "/retry_days"),
        ({"process_zero_or_negative": False}, "/process_zero_or_negative"),
        ({"fallback_instrument_ids": [savings]}, "/fallback_instrument_ids/0"),
        ({"frequency": "weekly"}, "/frequency"),
    ):
        refused = await client.patch(url, json=wrong)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), refused.text
    assert (await client.patch(url, json={})).json()["code"] == "nothing_to_change"


@pytest.mark.parametrize("portal", [False, True])
@pytest.mark.parametrize(("name", "value"), [("extra_towards", "principal_only"), ("process_time", "05:30")])
async def test_null_takes_a_rule_back_to_its_default(
    loan_officer: ApiClient, own: ApiClient, rows: Rows, borrowed: Borrowed, portal: bool, name: str, value: str
) -> None:
    client, url = own if portal else loan_officer, url_of(borrowed, portal=portal)
    assert (await client.post(url, json=terms(borrowed, **{name: value}))).json()[name] == value
    assert (await client.patch(url, json={"retry_days": 1})).json()[name] == value

    back = await client.patch(url, json={name: None})

    assert back.status_code == 200, back.text
    assert (back.json()[name], back.json()["retry_days"]) == (None, 1)
    *_, trail = await rows.all(select(audit_log).where(audit_log.c.action == "autopay.changed").order_by(audit_log.c.id))
    assert trail["after"] == {name: None}
    assert list(trail["before"]) == [name]
    assert (await client.patch(url, json={"retry_days": None})).json()["code"] == "nothing_to_change"


@pytest.mark.parametrize("action", sorted(SUSPENDING))
async def test_a_suspended_autopay_says_for_what(
    loan_officer: ApiClient, own: ApiClient, rows: Rows, borrowed: Borrowed, action: Action
) -> None:
    url = url_of(borrowed)
    enrolled = (await loan_officer.post(url, json=terms(borrowed))).json()
    assert (enrolled["status"], enrolled["suspended_for"]) == ("active", None)
    async with rows.uow() as uow:
        row = await repository.lock_enrolment(uow, UUID(enrolled["id"]))
        await suspensions.suspend(uow, row, action, "the bank said so")
        await uow.commit()
    for shown in (await loan_officer.get(url), await own.get(url_of(borrowed, portal=True))):
        assert (shown.json()["status"], shown.json()["suspended_for"]) == ("suspended", action)


@pytest.mark.parametrize("portal", [False, True])
async def test_the_next_draft_can_be_skipped_and_the_one_after_it_stays(
    loan_officer: ApiClient, own: ApiClient, borrowed: Borrowed, portal: bool
) -> None:
    client, url = own if portal else loan_officer, url_of(borrowed, portal=portal)
    await client.post(url, json=terms(borrowed, number_of_periods=2))
    skipped = (await client.post(f"{url}/skip-next")).json()
    assert (skipped["status"], skipped["next_process_date"]) == ("active", "2020-11-09")
    (draft,) = skipped["drafts"]
    said = "skipped: by the borrower" if portal else "skipped: by staff"
    assert (draft["process_date"], draft["status"], draft["amount"], draft["reason"]) == (
        "2020-10-09",
        "not_drafted",
        "0.00",
        said,
    )
    assert skipped["next_draft"]["amount"] == "624.94"  # with what is past due by then, and its late fee
    assert (skipped["skipped_process_date"], skipped["skipped_before"]) == ("2020-10-09", False)
    last = (await client.post(f"{url}/skip-next", json={"process_date": "2020-11-09"})).json()
    assert (last["skipped_process_date"], last["skipped_before"]) == ("2020-11-09", False)
    assert (last["next_process_date"], last["next_draft"], len(last["drafts"])) == (None, None, 2)
    none = await client.post(f"{url}/skip-next", json={"process_date": "2020-12-09"})
    assert (none.status_code, none.json()["code"]) == (409, "autopay_wrong_state")


@pytest.mark.parametrize("portal", [False, True])
async def test_skipping_again_skips_nothing_more_until_that_day_has_passed(
    loan_officer: ApiClient, own: ApiClient, borrowed: Borrowed, rows: Rows, uow_of: UowOf, portal: bool
) -> None:
    """A double click, or a colleague who was asked the same: who means the draft after it says its date."""
    client, url = own if portal else loan_officer, url_of(borrowed, portal=portal)
    await client.post(url, json=terms(borrowed))
    answers = [answer.json() for answer in await asyncio.gather(*(client.post(f"{url}/skip-next") for _ in range(4)))]
    assert {(each["skipped_process_date"], each["next_process_date"]) for each in answers} == {("2020-10-09", "2020-11-09")}
    assert sorted(each["skipped_before"] for each in answers) == [False, True, True, True]
    assert [len(each["drafts"]) for each in answers] == [1, 1, 1, 1]
    async with rows.uow() as uow:
        changed = select(workflow_intents.c.id).where(workflow_intents.c.action == "signal")
        assert len(await uow.all(changed)) == 1, "the workflow is told of one skip"

    wrong = await client.post(f"{url}/skip-next", json={"process_date": "2020-12-09"})
    assert (wrong.status_code, pointers(wrong), wrong.json()["code"]) == (422, {"/process_date"}, "not_the_next_draft")
    assert "2020-11-09" in wrong.json()["detail"]
    for before in (False, True):
        named = (await client.post(f"{url}/skip-next", json={"process_date": "2020-11-09"})).json()
        assert (named["skipped_process_date"], named["skipped_before"]) == ("2020-11-09", before)
        assert (named["next_process_date"], len(named["drafts"])) == ("2020-12-09", 2)

    await open_dates(uow_of, loan_officer.tenant_id, date(2020, 11, 9))
    on_its_day = (await client.post(f"{url}/skip-next")).json()
    assert (on_its_day["skipped_process_date"], on_its_day["skipped_before"]) == ("2020-11-09", True)
    await open_dates(uow_of, loan_officer.tenant_id, date(2020, 11, 10))
    passed = (await client.post(f"{url}/skip-next")).json()
    assert (passed["skipped_process_date"], passed["skipped_before"]) == ("2020-12-09", False)


async def test_a_paused_autopay_has_nothing_to_skip(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    url = url_of(borrowed)
    assert (await loan_officer.post(f"{url}/skip-next")).status_code == 404
    await loan_officer.post(url, json=terms(borrowed))
    paused = (await loan_officer.post(f"{url}/pause")).json()
    assert paused["next_draft"] is None
    refused = await loan_officer.post(f"{url}/skip-next", json={"reason": "on holiday"})
    assert (refused.status_code, refused.json()["state"], refused.json()["allowed"]) == (409, "paused", ["active"])


async def test_roles(viewer: ApiClient, borrower: ApiClient, own: ApiClient, borrowed: Borrowed) -> None:
    url, portal = url_of(borrowed), url_of(borrowed, portal=True)
    for method, path in (("PATCH", url), ("POST", f"{url}/skip-next")):
        assert (await viewer.request(method, path, json={"retry_days": 1} if method == "PATCH" else {})).status_code == 403
        assert (await own.request(method, path, json={})).status_code == 403
    assert (await own.post(portal, json=terms(borrowed))).status_code == 201
    for method, path in (("PATCH", portal), ("POST", f"{portal}/skip-next"), ("GET", f"{portal}/preview")):
        stranger = await borrower.request(method, path, json={"retry_days": 1} if method == "PATCH" else None)
        assert stranger.status_code == 404, stranger.text


@pytest.mark.parametrize("portal", [False, True])
async def test_the_next_twelve_drafts_are_previewed_in_figures_and_words(
    loan_officer: ApiClient, own: ApiClient, borrowed: Borrowed, portal: bool
) -> None:
    client, url = own if portal else loan_officer, url_of(borrowed, portal=portal)
    assert (await client.get(f"{url}/preview")).status_code == 404
    enrolled = (await client.post(url, json=terms(borrowed))).json()
    preview = (await client.get(f"{url}/preview")).json()
    assert (preview["autopay_id"], len(preview["drafts"]), preview["end_reason"]) == (enrolled["id"], 12, None)
    assert preview["drafts"][0] == enrolled["next_draft"]
    january = preview["drafts"][3]  # the 9th is a Saturday
    assert january == {
        "process_date": "2021-01-11",
        "apply_date": "2021-01-09",
        "effective_date": "2021-01-09",
        "amount": "297.47",
        "payment_instrument_id": str(borrowed.instrument_id),
        "reason": None,
        "in_words": f"297.47 on 2021-01-11 {CHECKING}, counting on 2021-01-09",
    }
    await client.delete(url)
    ended = (await client.get(f"{url}/preview")).json()
    said = "cancelled by the borrower" if portal else "cancelled by staff"
    assert (ended["drafts"], ended["end_reason"]) == ([], said)


async def test_a_preview_says_why_nothing_is_drafted_and_when_it_ends(loan_officer: ApiClient, borrowed: Borrowed) -> None:
    url = url_of(borrowed)
    stops = {"amount_type": "static", "amount": "6000.00", "payoff_rule": "do_not_process", "number_of_periods": 3}
    await loan_officer.post(url, json=terms(borrowed, frequency="monthly", start_date="2020-10-01", **stops))
    preview = (await loan_officer.get(f"{url}/preview")).json()
    assert [draft["amount"] for draft in preview["drafts"]] == ["6000.00", "0.00", "0.00"]
    reason = "it is more than what pays the loan off, and such a draft is not to be processed"
    assert preview["drafts"][1]["in_words"] == f"nothing on 2020-11-02: {reason}"
    assert preview["end_reason"] == "nothing is left to draft"
