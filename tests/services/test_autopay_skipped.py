"""The next draft is skipped once, whoever asks how often: who means another one says its date."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.cadence import DraftFrequency
from domain.draft_amounts import AmountType
from domain.errors import InvalidInput, WrongState
from infra.db.models.webhooks import webhook_events
from services import autopay, drafts
from tests.services import lending
from tests.services.drafting import live
from tests.workflows.platform import Borrowed, Rows

OCTOBER, NOVEMBER, DECEMBER = date(2020, 10, 9), date(2020, 11, 9), date(2020, 12, 9)


@pytest.fixture
def rows(engine: Any, tenant: UUID) -> Rows:
    return Rows(engine, tenant)


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    return await rows.borrowed()


@pytest.fixture
async def own(rows: Rows, loan: Borrowed) -> UUID:
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
        await uow.commit()
    return enrolment_id


async def skip(rows: Rows, loan: Borrowed, named: date | None = None) -> tuple[date, bool]:
    async with rows.uow() as uow:
        skipped = await drafts.skip_next(uow, loan.loan_id, "a bad month", named)
        await uow.commit()
    return skipped.process_date, skipped.before


async def pass_to(rows: Rows, on: date) -> None:
    await lending.open_dates(lambda _: rows.uow(), rows.tenant, on)


async def test_one_that_is_prepared_and_late_is_skipped_alone(rows: Rows, loan: Borrowed, own: UUID) -> None:
    """Its date has passed, and the day on which it would have gone out is the one on which it is skipped."""
    await pass_to(rows, OCTOBER)
    async with rows.uow() as uow:
        await drafts.prepare_draft(uow, own, OCTOBER)
        await uow.commit()
    await pass_to(rows, date(2020, 10, 12))
    assert [await skip(rows, loan) for _ in range(3)] == [(OCTOBER, False), (OCTOBER, True), (OCTOBER, True)]
    await pass_to(rows, date(2020, 10, 13))
    assert await skip(rows, loan) == (NOVEMBER, False)
    assert [draft["process_date"] for draft in await rows.drafts(own)] == [OCTOBER, NOVEMBER]


async def test_one_that_was_not_prepared_in_time_is_skipped_alone(rows: Rows, loan: Borrowed, own: UUID) -> None:
    await pass_to(rows, date(2020, 10, 12))
    assert [await skip(rows, loan) for _ in range(2)] == [(OCTOBER, False), (OCTOBER, True)]
    assert (await rows.enrolment(own))["next_process_date"] == NOVEMBER


async def test_a_later_one_that_was_skipped_does_not_stand_for_an_earlier_one(rows: Rows, loan: Borrowed, own: UUID) -> None:
    """October is skipped, November by its date; once October has passed, what is next is November, which is skipped."""
    assert await skip(rows, loan) == (OCTOBER, False)
    assert await skip(rows, loan, NOVEMBER) == (NOVEMBER, False)
    assert await skip(rows, loan) == (OCTOBER, True)
    await pass_to(rows, date(2020, 10, 10))
    assert await skip(rows, loan) == (NOVEMBER, True)
    assert await skip(rows, loan, OCTOBER) == (OCTOBER, True), "by its date it is that draft, however long ago"
    await live(rows, own, 3)
    assert [(draft["process_date"], draft["status"]) for draft in await rows.drafts(own)] == [
        (OCTOBER, "not_drafted"),
        (NOVEMBER, "not_drafted"),
        (DECEMBER, "sent"),
    ]


async def test_a_date_that_is_not_the_next_one_is_refused_with_the_next_one(rows: Rows, loan: Borrowed, own: UUID) -> None:
    with pytest.raises(InvalidInput, match="2020-10-09") as refused:
        await skip(rows, loan, NOVEMBER)
    assert (refused.value.code, refused.value.errors[0].pointer) == ("not_the_next_draft", "/process_date")
    assert not await rows.drafts(own)
    await live(rows, own, 1)
    with pytest.raises(InvalidInput, match="2020-11-09"):
        await skip(rows, loan, OCTOBER)  # it was drafted


async def test_what_was_not_drafted_for_another_reason_is_not_a_skip(rows: Rows, loan: Borrowed, own: UUID) -> None:
    """The instalment was paid, so nothing was drafted of October; on that day a skip is of November."""
    await lending.pay(lambda _: rows.uow(), rows.tenant, loan.loan_id, 29747)
    await pass_to(rows, OCTOBER)
    await live(rows, own, 1)
    (draft,) = await rows.drafts(own)
    assert draft["status"] == "not_drafted"
    assert await skip(rows, loan) == (NOVEMBER, False)


async def test_a_paused_one_has_nothing_to_skip_again(rows: Rows, loan: Borrowed, own: UUID) -> None:
    await skip(rows, loan)
    async with rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)
        await uow.commit()
    with pytest.raises(WrongState, match="paused"):
        await skip(rows, loan)


@pytest.mark.parametrize("sent", [True, False])
async def test_after_a_pause_what_was_decided_of_the_day_is_not_skipped(rows: Rows, loan: Borrowed, sent: bool) -> None:
    """Resumed on the day of a draft that went out, or was skipped, the enrolment waits for that day once more."""
    terms: dict[str, Any] = {
        "amount_type": AmountType.STATIC,
        "amount": 50_00,
        "frequency": DraftFrequency.MONTHLY,
        "start_date": OCTOBER,
    }
    async with rows.uow() as uow:
        own = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, **terms))
        await uow.commit()
    await pass_to(rows, OCTOBER)
    if sent:
        await live(rows, own, 1)
    else:
        await skip(rows, loan)
    async with rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)
        await autopay.resume(uow, loan.loan_id)
        await uow.commit()
    assert (await rows.enrolment(own))["next_process_date"] == OCTOBER
    assert await skip(rows, loan) == ((NOVEMBER, False) if sent else (OCTOBER, True))
    assert await skip(rows, loan, NOVEMBER) == (NOVEMBER, sent)
    found = [(draft["process_date"], draft["status"]) for draft in await rows.drafts(own)]
    assert found == [(OCTOBER, "sent" if sent else "not_drafted"), (NOVEMBER, "not_drafted")]
    assert (await rows.enrolment(own))["next_process_date"] == DECEMBER


async def test_what_is_said_of_a_skip_or_a_cancel_is_for_people(rows: Rows, loan: Borrowed, own: UUID) -> None:
    """Neither other systems nor the process are told what somebody wrote, which may name a person or an illness."""
    await skip(rows, loan)
    (event,) = await rows.all(select(webhook_events).where(webhook_events.c.type == "autopay.not_drafted"))
    assert event["data"]["reason"] == "skipped"
    async with rows.uow() as uow:
        await autopay.cancel(uow, loan.loan_id, "Jane Roe is in hospital")
        plan = await drafts.plan(uow, own)
    assert (plan.ended, plan.end_reason) == (True, None)
