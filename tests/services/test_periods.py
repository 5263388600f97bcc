"""A closed month's trial balance never changes, whatever is corrected and whoever posts at that moment."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from domain.errors import WrongState
from domain.periods import PeriodStatus
from infra.db.models.servicing import journal_entries, journal_transfers
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from services import ledger, periods
from services.corrections import backdate, preview_backdate
from services.payments import RecordPayment, record
from tests.services.lending import (
    UowOf,
    active_loan,
    assert_consistent,
    journal_of,
    jump,
    open_dates,
    run_date,
)
from tests.services.reversing import reverse

SEPTEMBER, OCTOBER, NOVEMBER = (date(2020, month, 1) for month in (9, 10, 11))


async def close(uow_of: UowOf, tenant: UUID, *months: date) -> None:
    for month in months:
        async with uow_of(tenant) as uow:
            await periods.close(uow, month)
            await uow.commit()


async def balances(uow: UnitOfWork, on: date) -> list[tuple[int, int, int]]:
    return [(b.account, b.debit, b.credit) for b in await ledger.trial_balance(uow, on)]


class TestClosing:
    async def test_months_are_closed_in_order_and_the_current_one_is_not(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 4))
        async with uow_of(tenant) as uow:
            for month, code in ((OCTOBER, "period_out_of_order"), (NOVEMBER, "period_not_ended")):
                with pytest.raises(WrongState) as refused:
                    await periods.close(uow, month)
                assert (refused.value.code, refused.value.allowed) == (code, ("2020-09",))
        await close(uow_of, tenant, SEPTEMBER, OCTOBER)
        async with uow_of(tenant) as uow:
            found = [(p.month, p.status) for p in await periods.list_periods(uow)]
            closed, opened = PeriodStatus.CLOSED, PeriodStatus.OPEN
            assert found == [(NOVEMBER, opened), (OCTOBER, closed), (SEPTEMBER, closed)]
            entries = await uow.all(select(audit_log).where(audit_log.c.action == "period.closed").order_by(audit_log.c.id))
            assert [(e["before"]["status"], e["after"]["month"]) for e in entries] == [
                ("open", "2020-09"),
                ("open", "2020-10"),
            ]

    async def test_a_month_waits_for_the_loans_of_its_last_day(self, uow_of: UowOf, tenant: UUID) -> None:
        """Otherwise the interest of its last days would be posted into the next month."""
        await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 10, 1))
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="through 2020-09-30"):
                await periods.close(uow, SEPTEMBER)
        await run_date(uow_of, tenant, date(2020, 10, 2))
        await close(uow_of, tenant, SEPTEMBER)

    async def test_the_latest_is_reopened_and_closed_again(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 4))
        await close(uow_of, tenant, SEPTEMBER, OCTOBER)
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="latest back"):
                await periods.reopen(uow, SEPTEMBER, "an invoice was missing")
            reopened = await periods.reopen(uow, OCTOBER, "an invoice was missing")
            assert (reopened.status, reopened.reopened_at) == (PeriodStatus.OPEN, uow.recorded_at)
            await uow.commit()
        await close(uow_of, tenant, OCTOBER)
        async with uow_of(tenant) as uow:
            entry = await uow.one(select(audit_log).where(audit_log.c.action == "period.reopened"), "audit entry")
            assert (entry["reason"], entry["before"]["status"]) == ("an invoice was missing", "closed")


class TestAClosedMonth:
    async def test_its_trial_balance_never_changes(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 4))
        async with uow_of(tenant) as uow:
            paid = await record(uow, RecordPayment(loan_id, 1_000_00, "check"))
            await uow.commit()
        await close(uow_of, tenant, SEPTEMBER, OCTOBER)
        async with uow_of(tenant) as uow:
            before = [await balances(uow, on) for on in (date(2020, 9, 30), date(2020, 10, 31))]
            promised = await preview_backdate(uow, paid.id, date(2020, 9, 20))
            posted = {row["id"] for row in await journal_of(uow, loan_id)}
            done = await backdate(uow, paid.id, date(2020, 9, 20))
            assert promised == done
            new = [row for row in await journal_of(uow, loan_id) if row["id"] not in posted]
            assert {row["posting_date"] for row in new} == {date(2020, 11, 4)}, "into the open period"
            assert date(2020, 9, 20) in {row["effective_date"] for row in new}, "from the day it counts"
            assert sorted((e.key, e.effective_date, on) for e, on in done.postings) == sorted(
                (row["entry_key"], row["effective_date"], row["posting_date"]) for row in new
            )
            months = [row["entry_key"] for row in new if row["kind"] == "accrual"]
            assert sorted(months) == ["accrual:2020-09", "accrual:2020-10", "accrual:2020-11"], "one net delta a month"
            await record(uow, RecordPayment(loan_id, 20_00, "cash", date(2020, 10, 2)))
            await reverse(uow, paid.id, "nsf")
            assert [await balances(uow, on) for on in (date(2020, 9, 30), date(2020, 10, 31))] == before
            await assert_consistent(uow, loan_id)

    async def test_in_an_open_month_a_correction_is_posted_on_its_own_day(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 4))
        await close(uow_of, tenant, SEPTEMBER)
        async with uow_of(tenant) as uow:
            await record(uow, RecordPayment(loan_id, 20_00, "cash", date(2020, 10, 2)))
            dates = {row["posting_date"] for row in await journal_of(uow, loan_id) if row["payment_id"] is not None}
            assert dates == {date(2020, 10, 2)}
            await assert_consistent(uow, loan_id)

    async def test_the_database_refuses_what_is_posted_past_the_ledger(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 4))
        await close(uow_of, tenant, SEPTEMBER)
        async with uow_of(tenant) as uow:
            (entry,) = await uow.all(select(journal_entries).where(journal_entries.c.entry_key == "disbursed"))
            line = {"tenant_id": tenant, "entry_id": entry["id"], "loan_id": loan_id, "debit_account": 1000}
            line |= {"credit_account": 1010, "amount": 1_00}
            await uow.execute(insert(journal_transfers), {**line, "line": 2, "posting_date": OCTOBER})
            for day in (date(2020, 9, 30), date(2019, 1, 1)):
                with pytest.raises(DBAPIError, match="period of"):
                    async with uow.savepoint():
                        await uow.execute(insert(journal_transfers), {**line, "line": 3, "posting_date": day})


class TestAtOnce:
    async def test_closing_waits_for_whoever_is_posting(self, uow_of: UowOf, tenant: UUID) -> None:
        """What was posted into the month before it closed is in it; the trial balance it closes with has it."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 1))
        async with uow_of(tenant) as poster:
            await record(poster, RecordPayment(loan_id, 20_00, "cash", date(2020, 9, 30)))
            closing = asyncio.create_task(close(uow_of, tenant, SEPTEMBER))
            await asyncio.sleep(0.2)
            assert not closing.done()
            inside = await balances(poster, date(2020, 9, 30))
            await poster.commit()
        await closing
        async with uow_of(tenant) as uow:
            assert await balances(uow, date(2020, 9, 30)) == inside

    async def test_whoever_posts_waits_for_closing_and_finds_the_month_closed(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 1))
        async with uow_of(tenant) as closer:
            await periods.close(closer, SEPTEMBER)

            async def post() -> UUID:
                async with uow_of(tenant) as uow:
                    paid = await record(uow, RecordPayment(loan_id, 20_00, "cash", date(2020, 9, 30)))
                    await uow.commit()
                    return paid.id

            posting = asyncio.create_task(post())
            await asyncio.sleep(0.2)
            assert not posting.done()
            await closer.commit()
        paid = await posting
        async with uow_of(tenant) as uow:
            entries = [row for row in await journal_of(uow, loan_id) if row["payment_id"] == paid]
            assert {row["posting_date"] for row in entries} == {date(2020, 10, 1)}
            await assert_consistent(uow, loan_id)

    async def test_a_transaction_of_the_day_before_posts_into_the_open_month(self, uow_of: UowOf, tenant: UUID) -> None:
        """It read the business date on the last of the month; until it posts the date moves and the month is closed."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 9, 30))
        async with uow_of(tenant) as late:
            assert await late.business_date() == date(2020, 9, 30)
            await run_date(uow_of, tenant, date(2020, 10, 1))
            await close(uow_of, tenant, SEPTEMBER)
            await record(late, RecordPayment(loan_id, 20_00, "cash", date(2020, 9, 30)))
            entries = [row for row in await journal_of(late, loan_id) if row["payment_id"] is not None]
            assert {row["posting_date"] for row in entries} == {date(2020, 10, 1)}
            await assert_consistent(late, loan_id)

    async def test_postings_do_not_wait_for_each_other(self, uow_of: UowOf, tenant: UUID) -> None:
        first, second = [await active_loan(uow_of, tenant) for _ in range(2)]
        async with uow_of(tenant) as one, uow_of(tenant) as other:
            await record(one, RecordPayment(first, 20_00, "cash"))
            await asyncio.wait_for(record(other, RecordPayment(second, 20_00, "cash")), 5)

    async def test_one_of_two_closes(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 1))
        results = await asyncio.gather(*(close(uow_of, tenant, SEPTEMBER) for _ in range(4)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", *["WrongState"] * 3]


async def test_a_tenant_without_books_has_the_month_of_its_date(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        assert [p.month for p in await periods.list_periods(uow)] == [SEPTEMBER]
