"""A borrower is told beforehand of a draft that takes another amount than the one before: once, ten days ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.cadence import DraftFrequency, Scheduling
from domain.draft_amounts import AmountType
from domain.events import ChargedFee, FeeCharged
from domain.program import Frequency, LateFee, LateFeeKind
from infra.db.models.processes import autopay_notices
from infra.db.models.servicing import borrowers, loans
from infra.notifier import Mail
from services import autopay, draft_notices
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE, LEVEL
from tests.services import drafting, lending
from tests.workflows.platform import Borrowed, Rows

BEGINS, DUE = date(2020, 9, 9), date(2020, 10, 9)
SECOND_DUE, THIRD_DUE = date(2020, 11, 9), date(2020, 12, 9)
FEE = 15_00
EMAIL = "john@example.com"


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    return Rows(engine, await make_tenant(BEGINS))


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    borrowed = await rows.borrowed()
    await address(rows, borrowed, EMAIL)
    return borrowed


async def address(rows: Rows, loan: Borrowed, email: str | None) -> None:
    async with rows.uow() as uow:
        found = await uow.one(select(loans.c.borrower_id).where(loans.c.id == loan.loan_id), "loan")
        await uow.execute(update(borrowers).where(borrowers.c.id == found["borrower_id"]).values(email=email))
        await uow.commit()


async def enrol(rows: Rows, loan: Borrowed, **terms: Any) -> UUID:
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, **terms))
        await uow.commit()
    return enrolment_id


async def charge(rows: Rows, loan: Borrowed, amount: int = FEE, key: str = "f") -> None:
    async with rows.uow() as uow:
        fee = FeeCharged(key, ChargedFee.OTHER, amount)
        await apply_event(uow, await lock_loan(uow, loan.loan_id), fee, await uow.business_date())
        await uow.commit()


async def tell(rows: Rows) -> list[Mail]:
    """What is sent on the business date, as its step sends it."""
    mails = []
    async with rows.uow() as uow:
        looked = await draft_notices.look(uow, None)
    for enrolment_id in looked.candidates:
        async with rows.uow() as uow:
            notice = await draft_notices.due(uow, enrolment_id)
            if notice is not None:
                mails.append(notice.mail)
                await draft_notices.note_sent(uow, notice)
            await uow.commit()
    return mails


async def pass_to(rows: Rows, to: date) -> list[tuple[date, Mail]]:
    """Each date passes as in life: what is due happens, then notices are sent. Returns these."""
    told = []
    while True:
        today = await rows.business_date()
        await drafting.act(rows)
        told += [(today, mail) for mail in await tell(rows)]
        if today == to:
            return told
        await lending.jump(lambda _: rows.uow(), rows.tenant, today + timedelta(days=1))


async def notices(rows: Rows) -> Sequence[RowMapping]:
    return await rows.all(select(autopay_notices).order_by(autopay_notices.c.process_date, autopay_notices.c.number))


async def pay(rows: Rows, loan: Borrowed, amount: int) -> None:
    async with rows.uow() as uow:
        await record(uow, RecordPayment(loan.loan_id, amount, "check"))
        await uow.commit()


async def test_a_draft_with_a_fee_is_told_of_once_with_the_amount_that_is_then_drafted(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    await charge(rows, loan)
    told = await pass_to(rows, DUE)
    ((on, mail),) = told
    assert on == DUE - timedelta(days=14)
    (draft,) = await rows.drafts(own)
    assert draft["amount"] == LEVEL + FEE
    (row,) = await notices(rows)
    assert (row["enrolment_id"], row["process_date"], row["amount"], row["sent_on"]) == (own, DUE, draft["amount"], on)
    assert mail.to == EMAIL
    for said in (f"{draft['amount'] / 100:.2f}", "2020-10-09", "6789", "three business days"):
        assert said in mail.body


async def test_a_change_within_the_window_is_told_of_the_next_day(rows: Rows, loan: Borrowed) -> None:
    await enrol(rows, loan)
    changed = DUE - timedelta(days=11)
    assert await pass_to(rows, changed) == []
    await charge(rows, loan)
    told = await pass_to(rows, DUE - timedelta(days=1))
    assert [on for on, _ in told] == [changed]


async def test_the_same_amount_as_before_is_not_told_of_and_the_one_after_a_fee_is(rows: Rows, loan: Borrowed) -> None:
    """The first draft is the contract's instalment, the second has a fee, the third is the instalment again."""
    own = await enrol(rows, loan)
    assert await pass_to(rows, DUE + timedelta(days=1)) == []
    await charge(rows, loan)
    told = await pass_to(rows, SECOND_DUE)
    assert [on for on, _ in told] == [SECOND_DUE - timedelta(days=14)]
    await pass_to(rows, THIRD_DUE)
    told_of = [(row["process_date"], row["amount"]) for row in await notices(rows)]
    assert told_of == [(SECOND_DUE, LEVEL + FEE), (THIRD_DUE, LEVEL)]
    assert [(DUE, LEVEL), *told_of] == [(draft["process_date"], draft["amount"]) for draft in await rows.drafts(own)]


async def test_twice_on_a_date_is_once(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    await charge(rows, loan)
    await lending.jump(lambda _: rows.uow(), rows.tenant, DUE - timedelta(days=12))
    async with rows.uow() as uow:
        first, again = await draft_notices.due(uow, own), await draft_notices.due(uow, own)
        assert first is not None
        assert again is not None
        assert first.mail.key == again.mail.key  # a crash before the row: one message to whoever gets both
        for notice in (first, again):
            await draft_notices.note_sent(uow, notice)
        await uow.commit()
    assert await tell(rows) == []
    assert len(await notices(rows)) == 1


async def test_an_amount_that_changes_after_its_notice_is_told_again_while_ten_days_are_left(
    rows: Rows, loan: Borrowed
) -> None:
    """More, less, and what it was at first: the mail a borrower has last is always right, and no two are one message."""
    own = await enrol(rows, loan)
    await charge(rows, loan)
    told = await pass_to(rows, DUE - timedelta(days=14))
    await pay(rows, loan, 100_00)
    told += await pass_to(rows, DUE - timedelta(days=13))
    await pay(rows, loan, 50_00)
    told += await pass_to(rows, DUE - timedelta(days=12))
    await charge(rows, loan, 50_00, "again")
    told += await pass_to(rows, DUE - timedelta(days=10))
    amounts = [LEVEL + FEE, LEVEL + FEE - 100_00, LEVEL + FEE - 150_00, LEVEL + FEE - 100_00]
    assert [on for on, _ in told] == [DUE - timedelta(days=days) for days in (14, 14, 13, 12)]
    assert [row["amount"] for row in await notices(rows)] == amounts
    for (_, mail), amount in zip(told, amounts, strict=True):
        assert f"{amount / 100:.2f}" in mail.body
    assert ["wrote of before" in mail.body for _, mail in told] == [False, True, True, True]
    assert len({mail.key for _, mail in told}) == 4
    await pass_to(rows, DUE)
    assert [draft["amount"] for draft in await rows.drafts(own)] == amounts[-1:]


async def test_a_draft_that_takes_what_the_one_before_took_after_all_is_told_of_again(rows: Rows, loan: Borrowed) -> None:
    await enrol(rows, loan)
    await charge(rows, loan)
    assert len(await pass_to(rows, DUE - timedelta(days=14))) == 1
    await pay(rows, loan, FEE)
    assert [on for on, _ in await pass_to(rows, DUE - timedelta(days=10))] == [DUE - timedelta(days=14)]
    assert [row["amount"] for row in await notices(rows)] == [LEVEL + FEE, LEVEL]


async def test_a_mail_sent_before_a_crash_and_one_of_another_amount_after_it_are_two_messages(
    rows: Rows, loan: Borrowed
) -> None:
    own = await enrol(rows, loan)
    await charge(rows, loan)
    await pass_to(rows, DUE - timedelta(days=15))
    await lending.jump(lambda _: rows.uow(), rows.tenant, DUE - timedelta(days=14))
    async with rows.uow() as uow:
        lost = await draft_notices.due(uow, own)
    await pay(rows, loan, 100_00)
    (mail,) = await tell(rows)
    assert lost is not None
    assert lost.mail.key != mail.key
    assert [row["amount"] for row in await notices(rows)] == [LEVEL + FEE - 100_00]


@pytest.mark.parametrize("days", [7, 10, 15])
@pytest.mark.parametrize("scheduling", Scheduling)
async def test_the_last_instalment_of_a_weekly_loan_is_told_of_where_drafts_go_out_when_the_next_is_due(
    rows: Rows, days: int, scheduling: Scheduling
) -> None:
    program = replace(EXAMPLE.program, frequency=Frequency.WEEKLY, late_fee=LateFee(LateFeeKind.NONE))
    loan = await rows.borrowed(replace(EXAMPLE, program=program, periods=6, first_due_date=date(2020, 9, 16)))
    await address(rows, loan, EMAIL)
    own = await enrol(rows, loan, process_days_after=days, scheduling=scheduling)
    await pass_to(rows, date(2020, 10, 21) + timedelta(days=2 * days + 5))
    taken = [(draft["process_date"], draft["amount"]) for draft in await rows.drafts(own) if draft["amount"]]
    varied = [two for one, two in pairwise(taken) if one[1] != two[1]]
    assert taken[-1] in varied, "the case is one only where the last instalment takes another amount"
    told = {(row["process_date"], row["amount"]): row["sent_on"] for row in await notices(rows)}
    late = [one for one in varied if one not in told or (one[0] - told[one]).days < 10]
    assert late == []


async def test_less_than_ten_days_ahead_nothing_is_sent(rows: Rows, loan: Borrowed) -> None:
    await enrol(rows, loan)
    await charge(rows, loan)
    await lending.jump(lambda _: rows.uow(), rows.tenant, DUE - timedelta(days=9))
    assert await tell(rows) == []


async def test_a_weekly_draft_is_told_of_while_another_goes_out_before_it(rows: Rows, loan: Borrowed) -> None:
    """Weekly, and only the instalment due next: the drafts after a due date that is paid take another amount."""
    own = await enrol(rows, loan, frequency=DraftFrequency.WEEKLY, amount_type=AmountType.NEXT_DUE, start_date=BEGINS)
    await pass_to(rows, date(2020, 11, 20))
    taken = [draft for draft in await rows.drafts(own) if draft["amount"]]
    assert {draft["amount"] for draft in taken} == {LEVEL}
    assert await notices(rows) == []
    await charge(rows, loan)
    await pass_to(rows, date(2020, 12, 31))
    varied = [draft for draft in await rows.drafts(own) if draft["amount"] not in (0, LEVEL)]
    told = {row["process_date"]: row for row in await notices(rows)}
    assert varied
    for draft in varied:
        row = told[draft["process_date"]]
        assert (row["amount"], (row["process_date"] - row["sent_on"]).days >= 10) == (draft["amount"], True)


async def test_who_has_no_address_is_told_when_they_have_one(rows: Rows, loan: Borrowed) -> None:
    await enrol(rows, loan)
    await charge(rows, loan)
    await lending.jump(lambda _: rows.uow(), rows.tenant, DUE - timedelta(days=13))
    await address(rows, loan, None)
    assert await tell(rows) == []
    await address(rows, loan, EMAIL)
    assert len(await tell(rows)) == 1
