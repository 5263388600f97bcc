"""Autopay's rows: one open enrolment a loan, one draft a period, one payment a draft, however often a step runs."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.autopay import DraftStatus, EnrolmentStatus, PreparedDraft
from domain.errors import Conflict, InvalidInput, WrongState
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import rail_entries
from infra.db.models.servicing import loans, payment_instruments
from infra.db.models.tenancy import tenants
from services import autopay, drafts
from services.payments import RecordPayment, record
from tests.conftest import MakeTenant
from tests.services import sending
from tests.services.lending import assert_consistent, book_loans
from tests.workflows.platform import Borrowed, Rows

DUE = date(2020, 10, 9)


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    """A tenant on the first due date of the example loan."""
    return Rows(engine, await make_tenant(DUE))


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    return await rows.borrowed()


async def enrol(rows: Rows, loan: Borrowed) -> UUID:
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
        await uow.commit()
    return enrolment_id


async def prepare(rows: Rows, enrolment_id: UUID, on: date = DUE) -> PreparedDraft:
    async with rows.uow() as uow:
        prepared = await drafts.prepare_draft(uow, enrolment_id, on)
        await uow.commit()
    return prepared


async def send(rows: Rows, draft: PreparedDraft) -> DraftStatus:
    """Run today's cutoff; returns what became of the draft."""
    await sending.run(rows)
    (row,) = [row for row in await rows.all(select(autopay_drafts)) if row["id"] == draft.id]
    return DraftStatus(row["status"])


async def pay(rows: Rows, loan: Borrowed, amount: int) -> None:
    async with rows.uow() as uow:
        await record(uow, RecordPayment(loan.loan_id, amount, "check"))
        await uow.commit()


async def test_of_twenty_enrolments_at_once_one_is_accepted(rows: Rows, loan: Borrowed) -> None:
    results = await asyncio.gather(*(enrol(rows, loan) for _ in range(20)), return_exceptions=True)
    accepted = [result for result in results if isinstance(result, UUID)]
    refused = [result for result in results if isinstance(result, Conflict)]
    assert (len(accepted), len(refused)) == (1, 19)
    assert all(str(accepted[0]) in refusal.detail for refusal in refused)


async def test_a_loan_that_is_not_active_is_refused(rows: Rows, loan: Borrowed) -> None:
    async with rows.uow() as uow:
        (booked,) = await book_loans(uow)
        with pytest.raises(WrongState) as refused:
            await autopay.enrol(uow, autopay.Enrol(booked, loan.instrument_id))
    assert (refused.value.state, refused.value.code) == ("boarding", "loan_not_active")


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "a card": ({"instrument_type": "card", "account_number_encrypted": None}, "a card cannot be drafted"),
    "of the last four digits only": ({"account_number_encrypted": None}, "only the last four digits of the account"),
    "that failed its verification": (
        {"verification_status": "failed", "verification_method": "prenote"},
        "the verification of the account has failed",
    ),
}
"""What makes an account one that cannot be drafted, and what is said of it."""


async def spoil(rows: Rows, loan: Borrowed, **values: Any) -> None:
    async with rows.uow() as uow:
        own = payment_instruments.c.id == loan.instrument_id
        await uow.execute(update(payment_instruments).where(own).values(**values))
        await uow.commit()


@pytest.mark.parametrize("wrong", UNFIT)
async def test_an_account_that_cannot_be_drafted_is_refused_with_the_reason(rows: Rows, loan: Borrowed, wrong: str) -> None:
    values, said = UNFIT[wrong]
    await spoil(rows, loan, **values)
    with pytest.raises(InvalidInput) as refused:
        await enrol(rows, loan)
    assert (refused.value.code, refused.value.errors[0].pointer) == ("instrument_not_draftable", "/payment_instrument_id")
    assert said in refused.value.detail


@pytest.mark.parametrize("wrong", ["removed", "of another borrower"])
async def test_an_account_that_is_not_the_borrowers_is_refused(rows: Rows, loan: Borrowed, wrong: str) -> None:
    other = await rows.borrowed()
    async with rows.uow() as uow:
        own = payment_instruments.c.id == loan.instrument_id
        if wrong == "removed":
            await uow.execute(update(payment_instruments).where(own).values(removed_at=uow.recorded_at))
        instrument_id = other.instrument_id if wrong == "of another borrower" else loan.instrument_id
        with pytest.raises(InvalidInput) as refused:
            await autopay.enrol(uow, autopay.Enrol(loan.loan_id, instrument_id))
    assert (refused.value.code, refused.value.errors[0].pointer) == ("unknown_instrument", "/payment_instrument_id")


@pytest.mark.parametrize("wrong", UNFIT)
@pytest.mark.parametrize("when", ["before it is decided", "between deciding and sending"])
async def test_an_account_that_can_no_longer_be_drafted_keeps_the_draft_back_and_the_next_period_stays(
    rows: Rows, loan: Borrowed, wrong: str, when: str
) -> None:
    values, said = UNFIT[wrong]
    enrolment_id = await enrol(rows, loan)
    if when == "before it is decided":
        await spoil(rows, loan, **values)
        assert (await prepare(rows, enrolment_id)).status is DraftStatus.NOT_DRAFTED
    else:
        draft = await prepare(rows, enrolment_id)
        assert draft.status is DraftStatus.PENDING
        await spoil(rows, loan, **values)
        assert await send(rows, draft) is DraftStatus.NOT_DRAFTED

    (row,) = await rows.drafts(enrolment_id)
    assert (row["status"], row["amount"], said in row["reason"]) == ("not_drafted", 0, True)
    assert (await rows.transfers(), await rows.payments(loan.loan_id)) == ([], [])
    enrolment = await rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))


async def test_a_step_that_runs_twice_is_one_step(rows: Rows, loan: Borrowed) -> None:
    enrolment_id = await enrol(rows, loan)
    first = await prepare(rows, enrolment_id)
    assert await prepare(rows, enrolment_id) == first
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    cutoff_id = await sending.due(rows)

    await asyncio.gather(*(sending.collect(rows, cutoff_id) for _ in range(8)))
    await asyncio.gather(*(sending.hand_over(rows, cutoff_id) for _ in range(8)))

    assert (await prepare(rows, enrolment_id)).status is DraftStatus.SENT
    (entry,) = await rows.all(select(rail_entries))
    assert (entry["draft_id"], entry["number"], entry["amount"]) == (first.id, 1, 29747)
    assert len(await rows.transfers()) == 1
    (payment,) = await rows.payments(loan.loan_id)
    assert (payment["id"], payment["amount"]) == (first.id, 29747)
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


@pytest.mark.parametrize(
    ("by_hand", "status", "drafted"),
    [(10000, DraftStatus.SENT, 19747), (29747, DraftStatus.NOT_DRAFTED, 0)],
)
async def test_money_that_comes_between_deciding_and_sending_is_not_drafted_again(
    rows: Rows, loan: Borrowed, by_hand: int, status: DraftStatus, drafted: int
) -> None:
    enrolment_id = await enrol(rows, loan)
    draft = await prepare(rows, enrolment_id)
    await pay(rows, loan, by_hand)

    assert await send(rows, draft) is status

    (row,) = await rows.drafts(enrolment_id)
    assert (row["amount"], row["status"]) == (drafted, status)
    assert sum(payment["amount"] for payment in await rows.payments(loan.loan_id)) == 29747
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)


async def test_a_pause_between_deciding_and_sending_keeps_the_draft_back_and_the_next_period_stays(
    rows: Rows, loan: Borrowed
) -> None:
    enrolment_id = await enrol(rows, loan)
    draft = await prepare(rows, enrolment_id)
    async with rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)
        await uow.commit()

    assert await send(rows, draft) is DraftStatus.NOT_DRAFTED

    async with rows.uow() as uow:
        await autopay.resume(uow, loan.loan_id)
        await uow.commit()
    assert (await prepare(rows, enrolment_id)).reason == "the autopay is paused"  # resumed on the day of its draft
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    assert await rows.payments(loan.loan_id) == []


async def test_a_loan_paid_off_by_hand_ends_its_autopay(rows: Rows, loan: Borrowed) -> None:
    enrolment_id = await enrol(rows, loan)
    draft = await prepare(rows, enrolment_id)
    await pay(rows, loan, 2_000_000)
    assert await send(rows, draft) is DraftStatus.NOT_DRAFTED
    async with rows.uow() as uow:
        plan = await drafts.plan(uow, enrolment_id)
    assert (plan.status, plan.end_reason) == (EnrolmentStatus.COMPLETED, "the loan is paid off")


async def test_only_an_active_loan_is_drafted(rows: Rows, loan: Borrowed) -> None:
    enrolment_id = await enrol(rows, loan)
    async with rows.uow() as uow:
        await uow.execute(update(loans).where(loans.c.id == loan.loan_id).values(status="charged_off"))
        plan = await drafts.plan(uow, enrolment_id)
    assert (plan.status, plan.end_reason) == (EnrolmentStatus.COMPLETED, "the loan is charged off")


async def test_in_live_mode_the_plan_says_the_hour(rows: Rows, loan: Borrowed) -> None:
    enrolment_id = await enrol(rows, loan)
    async with rows.uow() as uow:
        sandbox = await drafts.plan(uow, enrolment_id)
    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == rows.tenant).values(mode="live"))
        live = await drafts.plan(uow, enrolment_id)
    assert (sandbox.due, sandbox.process_at) == (True, None)
    assert live.due
    assert live.process_at is not None
    assert (live.process_at.date(), live.process_at.hour) in {(DUE, 10), (DUE, 11)}  # 06:00 to 08:00 in New York


async def test_every_change_is_in_the_audit_trail_with_what_it_was(rows: Rows, loan: Borrowed) -> None:
    from infra.db.models.tenancy import audit_log

    enrolment_id = await enrol(rows, loan)
    async with rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id, date(2020, 12, 1))
        await autopay.cancel(uow, loan.loan_id, "closed the account")
        await uow.commit()
    trail = await rows.all(audit_log.select().where(audit_log.c.object_id == enrolment_id).order_by(audit_log.c.id))
    assert [row["action"] for row in trail] == ["autopay.enrolled", "autopay.pause", "autopay.cancel"]
    assert trail[1]["before"] == {"status": "active", "paused_until": None}
    assert trail[1]["after"] == {"status": "paused", "paused_until": "2020-12-01"}
    assert (trail[2]["after"]["status"], trail[2]["reason"]) == ("cancelled", "closed the account")
