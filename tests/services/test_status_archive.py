"""One row per loan and day, written by close of business once and never changed."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from domain.errors import InvalidInput, NotFound
from domain.events import ChargedOff
from domain.loan import LoanStatus
from infra.db.models.archive import status_archive
from infra.db.repositories import status_archive as repository
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from services import close_of_business as cob
from services.actions import act
from services.payments import RecordPayment, record
from services.status_archive import Basis, StatusOn, status_on
from tests.services.lending import UowOf, active_loan, advance, book_loans, counts, jump, open_dates, run_date

START = date(2020, 9, 9)
LEVEL = 297_47


async def look(uow_of: UowOf, tenant: UUID, loan_id: UUID, *asked: Any) -> StatusOn:
    async with uow_of(tenant) as uow:
        return await status_on(uow, loan_id, *asked)


async def pay(uow_of: UowOf, tenant: UUID, loan_id: UUID, amount: int, on: date | None = None) -> None:
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, amount, "check", on))
        await uow.commit()


async def days_of(uow_of: UowOf, tenant: UUID, loan_id: UUID) -> list[date]:
    column = status_archive.c
    statement = select(column.as_of).where(column.loan_id == loan_id).order_by(column.as_of)
    async with uow_of(tenant) as uow:
        return [row["as_of"] for row in await uow.all(statement)]


class TestTheClose:
    async def test_each_close_writes_one_row_a_loan(self, uow_of: UowOf, tenant: UUID) -> None:
        ids = [await active_loan(uow_of, tenant) for _ in range(3)]
        await advance(uow_of, tenant, date(2020, 9, 12))
        for loan_id in ids:
            assert await days_of(uow_of, tenant, loan_id) == [date(2020, 9, day) for day in (10, 11, 12)]

    async def test_a_loan_that_a_payment_brought_there_gets_its_row_too(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 9, 10))
        await pay(uow_of, tenant, loan_id, 50_00)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        found = await look(uow_of, tenant, loan_id, date(2020, 9, 10))
        assert found.archived_at is not None
        assert found.status.last_payment_amount == 50_00

    async def test_the_same_close_again_writes_nothing(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        async with uow_of(tenant) as uow:
            before = await counts(uow)
            await cob.close_page(uow, date(2020, 9, 10), None)
            assert await counts(uow) == before

    async def test_a_row_written_twice_at_once_is_there_once(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        found = await look(uow_of, tenant, loan_id, date(2020, 9, 10))
        async with uow_of(tenant) as uow:
            assert await repository.add(uow, {loan_id: found.status}) == 0

    async def test_loans_that_are_not_paid_out_or_long_paid_off_get_none(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            (booked,) = await book_loans(uow)
            await uow.commit()
        paid_off = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 9, 10))
        await pay(uow_of, tenant, paid_off, 10_100_00)
        await advance(uow_of, tenant, date(2020, 9, 12))
        assert await days_of(uow_of, tenant, booked) == []
        assert await days_of(uow_of, tenant, paid_off) == [], "it was closed before the first close"
        await run_date(uow_of, tenant, date(2020, 9, 13))
        found = await look(uow_of, tenant, paid_off, date(2020, 9, 13))
        assert (found.status.status, found.archived_at) == (LoanStatus.PAID_OFF, None)

    async def test_the_day_a_loan_is_paid_off_has_its_last_row(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        await open_dates(uow_of, tenant, date(2020, 9, 11))
        await pay(uow_of, tenant, loan_id, 10_100_00)
        await run_date(uow_of, tenant, date(2020, 9, 11))
        await advance(uow_of, tenant, date(2020, 9, 13))
        assert await days_of(uow_of, tenant, loan_id) == [date(2020, 9, 10), date(2020, 9, 11)]
        assert (await look(uow_of, tenant, loan_id, date(2020, 9, 11))).status.status is LoanStatus.PAID_OFF

    async def test_a_charged_off_loan_goes_on_having_rows(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 9, 10))
        async with uow_of(tenant) as uow:
            await act(uow, loan_id, lambda name: ChargedOff("fraud"), None, "fraud")
            await uow.commit()
        await run_date(uow_of, tenant, date(2020, 9, 10))
        await advance(uow_of, tenant, date(2020, 9, 12))
        assert await days_of(uow_of, tenant, loan_id) == [date(2020, 9, day) for day in (10, 11, 12)]
        found = await look(uow_of, tenant, loan_id, date(2020, 9, 12))
        assert (found.status.status, found.status.net_charge_off) == (LoanStatus.CHARGED_OFF, 10_000_00)

    async def test_a_close_that_is_late_archives_what_was_known_on_its_day(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 9, 12))
        await pay(uow_of, tenant, loan_id, 50_00, date(2020, 9, 10))
        async with uow_of(tenant) as uow:
            await cob.close_page(uow, date(2020, 9, 11), None)
            await uow.commit()
        found = await look(uow_of, tenant, loan_id, date(2020, 9, 11))
        assert found.archived_at is not None
        assert found.status.total_paid == 0
        assert "total_paid" in found.differs

    async def test_rows_are_never_changed_or_deleted(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        for statement in (update(status_archive).values(days_past_due=0), delete(status_archive)):
            async with uow_of(tenant) as uow:
                with pytest.raises(DBAPIError):
                    await uow.execute(statement)


class TestKnowledge:
    async def test_a_row_is_what_a_replay_of_what_was_known_says(self, uow_of: UowOf, tenant: UUID) -> None:
        """Every column comes back from the database as it was computed."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 20))
        await pay(uow_of, tenant, loan_id, 150_00)
        await advance(uow_of, tenant, date(2020, 11, 23))
        found = await look(uow_of, tenant, loan_id, date(2020, 11, 22))
        again = await look(uow_of, tenant, loan_id, date(2020, 11, 22), Basis.RESTATED)
        assert found.archived_at is not None
        assert again.archived_at is None
        assert (found.status, found.differs) == (again.status, ())

    async def test_after_a_backdating_both_are_offered(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 20))
        await run_date(uow_of, tenant, date(2020, 10, 21))
        await pay(uow_of, tenant, loan_id, LEVEL, date(2020, 10, 5))
        archived = await look(uow_of, tenant, loan_id, date(2020, 10, 20))
        restated = await look(uow_of, tenant, loan_id, date(2020, 10, 20), Basis.RESTATED)
        assert (archived.status.days_past_due, archived.status.fees_balance) == (11, 30_00)
        assert (restated.status.days_past_due, restated.status.fees_balance) == (0, 0)
        assert restated.status.delinquent_days == 0
        assert "days_past_due" in archived.differs
        assert archived.differs == restated.differs
        known = await look(uow_of, tenant, loan_id, date(2020, 10, 20), Basis.RESTATED, date(2020, 10, 20))
        assert known.status == archived.status

    async def test_a_day_without_a_row_is_computed_from_what_was_known_on_it(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 21))  # closes the last day only
        await pay(uow_of, tenant, loan_id, LEVEL, date(2020, 10, 5))
        found = await look(uow_of, tenant, loan_id, date(2020, 10, 15))
        assert (found.archived_at, found.status.days_past_due) == (None, 6)

    async def test_today_is_as_it_stands(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 9, 10))
        await pay(uow_of, tenant, loan_id, 50_00)
        found = await look(uow_of, tenant, loan_id)
        assert (found.status.as_of, found.status.total_paid, found.archived_at) == (date(2020, 9, 10), 50_00, None)

    async def test_the_last_human_activity_is_a_persons_not_a_workflows(
        self, uow_of: UowOf, tenant: UUID, engine: Any
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, date(2020, 9, 10))
        assert (await look(uow_of, tenant, loan_id)).status.last_human_activity_date is None
        async with UnitOfWork(engine, tenant, Actor(ActorKind.USER, new_id())) as uow:
            await record(uow, RecordPayment(loan_id, 50_00, "check"))
            await uow.commit()
        assert (await look(uow_of, tenant, loan_id)).status.last_human_activity_date == date(2020, 9, 10)
        assert (await look(uow_of, tenant, loan_id, START)).status.last_human_activity_date is None


class TestRefusals:
    @pytest.mark.parametrize("on", [date(2020, 9, 8), date(2020, 9, 10)])
    async def test_days_before_the_loan_and_after_the_business_date(self, uow_of: UowOf, tenant: UUID, on: date) -> None:
        loan_id = await active_loan(uow_of, tenant)
        with pytest.raises(InvalidInput, match=r"from 2020-09-09.* to the business date, 2020-09-09"):
            await look(uow_of, tenant, loan_id, on)

    async def test_an_archived_status_has_its_own_knowledge_date(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        with pytest.raises(InvalidInput) as refusal:
            await look(uow_of, tenant, loan_id, START, Basis.ARCHIVED, START)
        assert refusal.value.errors[0].pointer == "/known_as_of"

    async def test_no_such_loan(self, uow_of: UowOf, tenant: UUID) -> None:
        with pytest.raises(NotFound):
            await look(uow_of, tenant, new_id())
