"""The sandbox's bank: the last four digits of an account say what becomes of its drafts. And cases of what takes long."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.ach_returns import RETURN_CODES
from domain.errors import WrongState
from domain.sandbox_bank import Message, Script, script
from infra.calendar import bank_holidays
from infra.db.models.processes import payment_reversals
from infra.db.models.rails import cases, rail_answers, rail_entries
from infra.db.models.servicing import payment_instruments
from infra.settings import Settings
from services import cases as service
from services import returns, reversals
from services.cases import open_once
from tests.conftest import MakeTenant
from tests.rails.lender import Lender
from tests.services import lending, sending
from tests.services.lending import assert_consistent, counts
from tests.workflows.platform import Rows

DUE = date(2020, 10, 9)


@pytest.fixture
async def sandbox(engine: AsyncEngine, settings: Settings, make_tenant: MakeTenant) -> Lender:
    return Lender(Rows(engine, await make_tenant(DUE)), settings)


async def move(lender: Lender, to: date) -> None:
    """Move the date as its workflow does, with what is tried again and what follows from reversals."""
    async with lender.rows.uow() as uow:
        current = await uow.business_date()
    for ordinal in range(current.toordinal() + 1, to.toordinal() + 1):
        await lending.run_date(lambda _: lender.rows.uow(), lender.rows.tenant, date.fromordinal(ordinal))
        for reversal in await lender.rows.all(select(payment_reversals).where(payment_reversals.c.step == "autopay")):
            async with lender.rows.uow() as uow:
                await reversals.replan_autopay(uow, reversal["id"])
                await uow.commit()
        async with lender.rows.uow() as uow:
            waiting = await sending.waiting(uow)
        if waiting:
            await sending.run(lender.rows)


def test_the_usual_account_settles_on_the_next_banking_day() -> None:
    assert script("6789", DUE, 1, bank_holidays()) == Script(date(2020, 10, 13))


@pytest.mark.parametrize("code", [code for code in RETURN_CODES if code <= "R85"])
def test_every_return_code_has_its_account(code: str) -> None:
    found = script(f"99{code[1:]}", DUE, 1, bank_holidays())
    assert found == Script(date(2020, 10, 13), (Message(code, date(2020, 10, 14)),))


OUTCOMES = {
    "anything else": ("000123456789", [("settled", None)], ["settled"]),
    "R01, then it settles": ("000000009801", [("returned", "R01"), ("settled", None)], ["failed", "settled"]),
    "R02": ("000000009902", [("returned", "R02")], ["failed"]),
    "never answers": ("000000009800", [("in_transit", None)], ["sent"]),
    "too late": ("000000009805", [("returned", "R08")], ["failed"]),
    "out of order": ("000000009804", [("returned", "R01"), ("returned", "R01")], ["failed", "failed"]),
}


@pytest.mark.parametrize("what", OUTCOMES)
async def test_a_draft_comes_to_what_the_account_says(sandbox: Lender, what: str) -> None:
    account, entries, drafts = OUTCOMES[what]
    loan, enrolment_id, _ = await sandbox.enrolled(account)
    await sending.run(sandbox.rows)

    await move(sandbox, date(2020, 10, 20))

    found = await sandbox.rows.all(select(rail_entries).order_by(rail_entries.c.id))
    assert [(row["status"], row["return_code"]) for row in found][: len(entries)] == entries
    assert [row["status"] for row in await sandbox.rows.drafts(enrolment_id)][: len(drafts)] == drafts
    async with sandbox.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def test_an_answer_given_twice_counts_once(sandbox: Lender) -> None:
    loan, _, _ = await sandbox.enrolled("000000009803")
    await sending.run(sandbox.rows)
    await lending.advance(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 14))

    answers = await sandbox.rows.all(select(rail_answers).order_by(rail_answers.c.id))
    assert [(row["code"], row["outcome"]) for row in answers] == [("R01", "posted"), ("R01", "repeated")]
    assert len(await sandbox.rows.all(select(payment_reversals))) == 1
    async with sandbox.rows.uow() as uow:
        before = await counts(uow)
        assert await returns.due(uow, date(2020, 10, 14), 10) == []
        assert await counts(uow) == before
        await assert_consistent(uow, loan.loan_id)


async def test_a_return_sixty_days_later_takes_completed_money_back(sandbox: Lender) -> None:
    loan, enrolment_id, _ = await sandbox.enrolled("000000009860")
    await sending.run(sandbox.rows)
    await lending.jump(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 12, 7))
    (payment,) = await sandbox.rows.payments(loan.loan_id)
    assert payment["status"] == "completed"

    await lending.jump(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 12, 8))

    (payment,) = await sandbox.rows.payments(loan.loan_id)
    assert (payment["status"], payment["return_code"]) == ("returned", "R10")
    assert (await sandbox.rows.enrolment(enrolment_id))["suspended_for"] == "new_authorization"


async def test_a_notification_of_change_corrects_the_account(sandbox: Lender) -> None:
    loan, _, _ = await sandbox.enrolled("000000009701")
    await sending.run(sandbox.rows)
    await lending.advance(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 13))
    (account,) = await sandbox.rows.all(select(payment_instruments))
    assert (account["account_number_last_four"], account["id"]) == ("2222", loan.instrument_id)


class TestCases:
    async def test_clearing_older_than_expected_opens_a_case_once(self, sandbox: Lender) -> None:
        """Handed over on Friday the 9th; the 12th is a holiday, so the fifth banking day after is the 19th."""
        loan, _, draft_id = await sandbox.enrolled("000000009800")
        await sending.run(sandbox.rows)
        await lending.advance(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 19))
        assert await sandbox.rows.all(select(cases)) == []

        await lending.advance(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 23))

        (case,) = await sandbox.rows.all(select(cases))
        assert (case["kind"], case["status"], case["opened_on"]) == ("draft_in_transit", "open", date(2020, 10, 20))
        assert (case["loan_id"], case["payment_id"]) == (loan.loan_id, draft_id)

    async def test_it_closes_itself_when_the_money_settles(self, sandbox: Lender) -> None:
        await sandbox.enrolled("000000009800")
        await sending.run(sandbox.rows)
        await lending.jump(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 20))
        async with sandbox.rows.uow() as uow:
            await uow.execute(rail_entries.update().values(settles_on=date(2020, 10, 21)))
            await uow.commit()
        await lending.jump(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 21))
        (case,) = await sandbox.rows.all(select(cases))
        assert (case["status"], case["ended_on"]) == ("closed", date(2020, 10, 21))
        assert case["resolution"] == "the money has settled"

    async def test_a_return_after_the_deadline_opens_one(self, sandbox: Lender) -> None:
        """Settled on the 13th, so the 15th is the last day for it; it comes on the 19th."""
        loan, _, draft_id = await sandbox.enrolled("000000009805")
        await sending.run(sandbox.rows)
        await lending.advance(lambda _: sandbox.rows.uow(), sandbox.rows.tenant, date(2020, 10, 19))
        (case,) = await sandbox.rows.all(select(cases))
        assert (case["kind"], case["loan_id"], case["payment_id"]) == ("late_return", loan.loan_id, draft_id)
        assert "it came 4 days late" in case["detail"]

    async def test_a_person_resolves_one_once(self, sandbox: Lender) -> None:
        loan, _, draft_id = await sandbox.enrolled()
        await sending.run(sandbox.rows)
        async with sandbox.rows.uow() as uow:
            for _ in range(2):
                await open_once(uow, service.CaseKind.RETURN_TO_REVIEW, loan.loan_id, draft_id, "look")
            await uow.commit()
        (case,) = await sandbox.rows.all(select(cases))
        async with sandbox.rows.uow() as uow:
            await service.resolve(uow, case["id"], "called the bank")
            with pytest.raises(WrongState) as refused:
                await service.resolve(uow, case["id"], "again")
            await uow.commit()
        assert refused.value.state == "resolved"
        (case,) = await sandbox.rows.all(select(cases))
        assert (case["status"], case["resolution"]) == ("resolved", "called the bank")
