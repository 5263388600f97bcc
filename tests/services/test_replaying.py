"""A loan's caches and journal are the result of one replay, however its events came in."""

from __future__ import annotations

import random
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from domain.errors import InvalidInput, NotFound
from domain.events import Disbursed
from domain.loan import state_hash
from infra.db.models.servicing import booked_schedules, instalments
from infra.ids import new_id
from services.payments import RecordPayment, record
from services.replaying import apply_event, load_loan, lock_loan
from tests.domain.loans import EXAMPLE, under
from tests.services.lending import (
    UowOf,
    active_loan,
    advance,
    assert_consistent,
    book_loans,
    journal_of,
    keys_of,
    loan_row,
    open_dates,
)


async def test_a_disbursed_loan_has_its_schedule_its_state_and_its_journal(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        row = await loan_row(uow, loan_id)
        assert (row["status"], row["principal_balance"], row["next_due_amount"]) == ("active", 10_000_00, 297_47)
        assert row["processed_through"] == date(2020, 9, 9)
        assert await keys_of(uow, loan_id) == [("disbursed", "disbursement")]
        await assert_consistent(uow, loan_id)


async def test_the_database_lets_a_loan_have_one_schedule(uow_of: UowOf, tenant: UUID) -> None:
    """As it stands and as it was booked: each number is there once, as what is agreed is."""
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        first, *_ = await uow.all(select(instalments).where(instalments.c.loan_id == loan_id).order_by(instalments.c.number))
        with pytest.raises(IntegrityError, match="pk_instalments"):
            async with uow.savepoint():
                await uow.execute(insert(instalments), dict(first))
        agreed = {"rows": [], "finance_charge": 0, "total_of_payments": 0}
        await uow.add(booked_schedules, loan_id=loan_id, **agreed)
        with pytest.raises(IntegrityError, match="pk_booked_schedules"):
            await uow.add(booked_schedules, loan_id=loan_id, **agreed)


async def test_a_loan_that_is_not_there_is_not_found(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(NotFound, match="loan"):
            await lock_loan(uow, new_id())
        with pytest.raises(NotFound, match="loan"):
            await load_loan(uow, new_id())


async def test_an_event_after_the_business_date_is_refused(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        (loan_id,) = await book_loans(uow)
        with pytest.raises(InvalidInput, match="business date, 2020-09-09"):
            await apply_event(uow, await lock_loan(uow, loan_id), Disbursed(EXAMPLE.principal), date(2020, 9, 10))


async def test_a_write_after_missed_days_first_posts_what_was_earned_until_yesterday(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await open_dates(uow_of, tenant, date(2020, 9, 20))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 50_00, "cash"))
        accruals = [row["effective_date"] for row in await journal_of(uow, loan_id) if row["kind"] == "accrual"]
        assert accruals == [date(2020, 9, 19), date(2020, 9, 20)]
        await assert_consistent(uow, loan_id)


async def test_a_loan_never_goes_back_behind_the_date_it_was_processed_through(uow_of: UowOf, tenant: UUID) -> None:
    """A payment that read the business date just before it moved, and then waited for the loan's lock."""
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as late:
        assert await late.business_date() == date(2020, 9, 9)
        await advance(uow_of, tenant, date(2020, 9, 10))
        recorded = await record(late, RecordPayment(loan_id, 50_00, "cash"))
        assert recorded.effective_date == date(2020, 9, 10)
        assert (await loan_row(late, loan_id))["processed_through"] == date(2020, 9, 10)
        await assert_consistent(late, loan_id)


@pytest.mark.parametrize("seed", range(4))
async def test_any_sequence_of_payments_keeps_books_caches_and_replay_equal(uow_of: UowOf, tenant: UUID, seed: int) -> None:
    """Payments of any size, many of them backdated, between closes of business."""
    chance = random.Random(seed)
    terms = under(extra_money=chance.choice(["principal_only", "advance_due", "unapplied"]))
    loan_id = await active_loan(uow_of, tenant, terms)
    today = date(2020, 9, 9)
    for _ in range(10):
        today += timedelta(days=chance.choice([1, 3, 9]))
        await open_dates(uow_of, tenant, today - timedelta(days=1))
        await advance(uow_of, tenant, today)
        async with uow_of(tenant) as uow:
            on = today - timedelta(days=chance.choice([0, 0, 1, 11, 30]))
            amount = chance.choice([1, 30_00, 297_47, 297_47, 327_47, 1_000_00])
            command = RecordPayment(loan_id, amount, "ach", effective_date=max(on, terms.contract_date))
            await record(uow, command)
            await assert_consistent(uow, loan_id)
            await uow.commit()


@pytest.mark.parametrize("seed", range(3))
async def test_the_order_of_recording_does_not_matter(uow_of: UowOf, tenant: UUID, seed: int) -> None:
    """Backdating gives the loan that recording in time would have given, field by field."""
    chance = random.Random(seed)
    paid = [(date(2020, 10, 1) + timedelta(days=18 * n), 297_47 if n % 2 else 100_00) for n in range(6)]
    first, second = [await active_loan(uow_of, tenant), await active_loan(uow_of, tenant)]
    await open_dates(uow_of, tenant, date(2021, 1, 31))
    shuffled = chance.sample(paid, len(paid))
    async with uow_of(tenant) as uow:
        for loan_id, order in ((first, paid), (second, shuffled)):
            for on, amount in order:
                await record(uow, RecordPayment(loan_id, amount, "ach", effective_date=on))
        rows = [await loan_row(uow, first), await loan_row(uow, second)]
        assert rows[0]["state_hash"] == rows[1]["state_hash"]
        assert rows[0]["state_hash"] == state_hash((await load_loan(uow, first)).replay(date(2021, 1, 31)).state)
        await assert_consistent(uow, second)
