"""A date opens, every loan is brought through it once, what was to settle settles, it closes."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from domain.errors import NotFound, WrongState
from domain.program import ExtraMoney, InterestMethod
from infra.db.models.processes import autopay_drafts, autopay_enrolments
from infra.db.models.servicing import loans, payments
from infra.db.models.tenancy import business_days, tenants
from services import close_of_business as cob
from services.cache_check import check_cache
from services.payments import RecordPayment, record
from tests.conftest import MakeTenant
from tests.domain.loans import under
from tests.services.lending import (
    UowOf,
    active_loan,
    advance,
    assert_consistent,
    book_loans,
    counts,
    disburse,
    hand_over,
    journal_of,
    jump,
    keys_of,
    loan_row,
    open_dates,
    pay,
    run_date,
)

TODAY, TOMORROW = date(2020, 9, 9), date(2020, 9, 10)


class TestOpening:
    async def test_the_date_moves_by_one_day_and_once(self, uow_of: UowOf, tenant: UUID) -> None:
        for _ in range(2):
            async with uow_of(tenant) as uow:
                await cob.open_date(uow, TOMORROW)
                await uow.commit()
        async with uow_of(tenant) as uow:
            assert await uow.business_date() == TOMORROW
            days = await uow.all(select(business_days.c.business_date).order_by(business_days.c.business_date))
            assert [row["business_date"] for row in days] == [TODAY, TOMORROW]

    @pytest.mark.parametrize("on", [date(2020, 9, 8), date(2020, 9, 11)])
    async def test_no_date_is_left_out_and_none_comes_back(self, uow_of: UowOf, tenant: UUID, on: date) -> None:
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="2020-09-10") as refusal:
                await cob.open_date(uow, on)
            assert (refusal.value.state, refusal.value.allowed) == ("2020-09-09", ("2020-09-10",))

    async def test_two_at_once_move_it_once(self, uow_of: UowOf, tenant: UUID) -> None:
        async def one() -> None:
            async with uow_of(tenant) as uow:
                await cob.open_date(uow, TOMORROW)
                await uow.commit()

        await asyncio.gather(*(one() for _ in range(8)))
        async with uow_of(tenant) as uow:
            assert await uow.business_date() == TOMORROW

    async def test_a_date_that_was_never_opened_does_not_close(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            for call in (
                cob.close_page(uow, TOMORROW, None),
                cob.settle_due(uow, TOMORROW),
                cob.finish_close(uow, TOMORROW),
            ):
                with pytest.raises(NotFound, match="2020-09-10"):
                    await call


class TestPages:
    async def test_each_loan_is_brought_through_the_date_page_by_page(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            ids = sorted(await book_loans(uow, 5))
            for loan_id in ids:
                await disburse(uow, loan_id)
            await cob.open_date(uow, TOMORROW)
            await uow.commit()
        cursors: list[UUID | None] = [None]
        for _ in range(3):
            async with uow_of(tenant) as uow:
                cursors.append(await cob.close_page(uow, TOMORROW, cursors[-1], limit=2))
                await uow.commit()
        assert cursors == [None, ids[1], ids[3], None]
        async with uow_of(tenant) as uow:
            through = select(func.count()).where(loans.c.processed_through == TOMORROW)
            assert (await uow.execute(through)).scalar_one() == 5
            day = await uow.one(select(business_days).where(business_days.c.business_date == TOMORROW), "day")
            assert (day["loans_closed"], day["cursor"]) == (5, ids[4])
            for loan_id in ids:
                await assert_consistent(uow, loan_id)

    async def test_the_same_page_again_does_nothing(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, TOMORROW)
        async with uow_of(tenant) as uow:
            before = await counts(uow), dict(await loan_row(uow, loan_id))
            assert await cob.close_page(uow, TOMORROW, None) is None
            assert (await counts(uow), dict(await loan_row(uow, loan_id))) == before

    async def test_a_page_that_fails_leaves_neither_work_nor_lock(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as uow:
            await cob.open_date(uow, TOMORROW)
            await uow.commit()
        with pytest.raises(RuntimeError, match="power"):
            async with uow_of(tenant) as uow:
                await cob.close_page(uow, TOMORROW, None)
                raise RuntimeError("no power")
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["processed_through"] == TODAY
            await asyncio.wait_for(record(uow, RecordPayment(loan_id, 50_00, "cash")), timeout=5)
            await cob.close_page(uow, TOMORROW, None)
            await assert_consistent(uow, loan_id)

    async def test_payments_are_accepted_while_the_date_closes(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            ids = await book_loans(uow, 12)
            for loan_id in ids:
                await disburse(uow, loan_id)
            await uow.commit()

        async def pay(loan_id: UUID) -> None:
            async with uow_of(tenant) as uow:
                await record(uow, RecordPayment(loan_id, 50_00, "cash"))
                await uow.commit()

        await asyncio.gather(run_date(uow_of, tenant, TOMORROW, limit=3), *(pay(loan_id) for loan_id in ids))
        async with uow_of(tenant) as uow:
            for loan_id in ids:
                assert (await loan_row(uow, loan_id))["processed_through"] == TOMORROW
                await assert_consistent(uow, loan_id)

    async def test_a_page_waits_for_a_payment_that_has_begun_and_sees_it(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, TOMORROW)

        async def close() -> None:
            async with uow_of(tenant) as uow:
                await cob.close_page(uow, TOMORROW, None)
                await uow.commit()

        async with uow_of(tenant) as uow:
            await record(uow, RecordPayment(loan_id, 50_00, "cash"))
            closing = asyncio.create_task(close())
            await asyncio.wait([closing], timeout=0.3)
            assert not closing.done()
            await uow.commit()
        await closing
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["total_paid"] == 50_00
            await assert_consistent(uow, loan_id)

    async def test_a_loan_that_lags_behind_catches_up_in_one_page(self, uow_of: UowOf, tenant: UUID) -> None:
        """Missed days: the late fee of 10-20 is found with the date it belongs to."""
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 11, 5))
        async with uow_of(tenant) as uow:
            await cob.close_page(uow, date(2020, 11, 5), None)
            fee = [r for r in await journal_of(uow, loan_id) if r["kind"] == "late_fee"]
            assert [(r["effective_date"], r["business_date"]) for r in fee] == [(date(2020, 10, 20), date(2020, 11, 5))]
            await assert_consistent(uow, loan_id)

    @pytest.mark.parametrize("method", InterestMethod)
    @pytest.mark.parametrize("extra_money", [ExtraMoney.PRINCIPAL_ONLY, ExtraMoney.UNAPPLIED])
    async def test_time_alone_can_change_instalments_that_fall_due_on_other_days(
        self, uow_of: UowOf, tenant: UUID, method: InterestMethod, extra_money: ExtraMoney
    ) -> None:
        """One that is late takes more interest, the last one what is left, and a charge-off ends them all."""
        terms = under(interest_method=method, extra_money=extra_money, charge_off_days=60)
        loan_id = await active_loan(uow_of, tenant, terms)
        await jump(uow_of, tenant, date(2020, 9, 20))
        await pay(uow_of, tenant, loan_id, 500_00)
        for day in (date(2020, 10, 10), date(2020, 11, 12), date(2020, 11, 20), date(2020, 12, 9), date(2021, 1, 25)):
            await jump(uow_of, tenant, day)
            async with uow_of(tenant) as uow:
                assert (await check_cache(uow)).stale == ()

    async def test_missed_days_close_in_order_each_with_its_own_date(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, date(2020, 10, 2))
        async with uow_of(tenant) as uow:
            for day in range(9, 31):
                await cob.close_page(uow, date(2020, 9, day), None)
            await cob.close_page(uow, date(2020, 10, 1), None)
            accruals = [r["effective_date"] for r in await journal_of(uow, loan_id) if r["kind"] == "accrual"]
            assert accruals == [TODAY + timedelta(days=n) for n in range(1, 23)]
            await assert_consistent(uow, loan_id)

    @pytest.mark.parametrize("status", ["paid_off", "boarding"])
    async def test_only_active_loans_are_brought_through(self, uow_of: UowOf, tenant: UUID, status: str) -> None:
        async with uow_of(tenant) as uow:
            (loan_id,) = await book_loans(uow)
            if status == "paid_off":
                await disburse(uow, loan_id)
                await record(uow, RecordPayment(loan_id, 10_000_00, "wire"))
            await uow.commit()
        closed = await run_date(uow_of, tenant, TOMORROW)
        assert closed.loans_closed == 0


async def test_delinquency_and_one_late_fee_an_instalment(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, date(2020, 10, 9))
    async with uow_of(tenant) as uow:
        row = await loan_row(uow, loan_id)
        assert (row["days_past_due"], row["delinquency_bucket"], row["past_due_amount"]) == (0, "current", 0)
    await advance(uow_of, tenant, date(2020, 10, 10))
    async with uow_of(tenant) as uow:
        row = await loan_row(uow, loan_id)
        assert (row["days_past_due"], row["delinquency_bucket"], row["past_due_amount"]) == (1, "dpd_1_29", 297_47)
    await advance(uow_of, tenant, date(2020, 11, 21))
    async with uow_of(tenant) as uow:
        row = await loan_row(uow, loan_id)
        assert (row["days_past_due"], row["delinquency_bucket"], row["fees_balance"]) == (43, "dpd_30_59", 60_00)
        fees = [key for key, kind in await keys_of(uow, loan_id) if kind == "late_fee"]
        assert fees == ["late_fee:2020-10-09", "late_fee:2020-11-09"]
        await assert_consistent(uow, loan_id)


class TestSettling:
    async def sent(self, uow_of: UowOf, tenant: UUID, loan_id: UUID, settles_on: date) -> UUID:
        """A draft the bank has accepted; the payment's id."""
        async with uow_of(tenant) as uow:
            command = RecordPayment(
                loan_id, 297_47, "ach", source="autopay", status="processing", settlement_status="in_transit"
            )
            paid = await record(uow, command)
            terms = {"status": "active", "amount_type": "next_due", "start_date": TODAY}
            enrolment = await uow.add(autopay_enrolments, loan_id=loan_id, **terms)
            sent = {"process_date": TODAY, "attempt": 1, "amount": 297_47, "status": "sent", "payment_id": paid.id}
            period = {"enrolment_id": enrolment, "loan_id": loan_id, "apply_date": TODAY}
            draft = await uow.add(autopay_drafts, **period, **sent)
            await hand_over(uow, loan_id, paid.id, draft, TODAY, settles_on)
            await uow.commit()
        return paid.id

    async def test_what_is_due_settles_once_with_its_draft(self, uow_of: UowOf, tenant: UUID) -> None:
        first, second = [await active_loan(uow_of, tenant) for _ in range(2)]
        due = await self.sent(uow_of, tenant, first, TOMORROW)
        later = await self.sent(uow_of, tenant, second, TOMORROW + timedelta(days=1))
        closed = await run_date(uow_of, tenant, TOMORROW)
        assert closed.drafts_settled == 1
        async with uow_of(tenant) as uow:
            status = {row["id"]: row["settlement_status"] for row in await uow.all(select(payments))}
            assert status == {due: "settled", later: "in_transit"}
            drafts = {row["payment_id"]: row["status"] for row in await uow.all(select(autopay_drafts))}
            assert drafts == {due: "settled", later: "sent"}
            before = await counts(uow)
            assert await cob.settle_due(uow, TOMORROW) == 0
            assert await counts(uow) == before
            await assert_consistent(uow, first)

    async def test_a_page_at_a_time_until_nothing_is_left(self, uow_of: UowOf, tenant: UUID) -> None:
        for _ in range(3):
            await self.sent(uow_of, tenant, await active_loan(uow_of, tenant), TODAY)
        async with uow_of(tenant) as uow:
            assert [await cob.settle_due(uow, TODAY, limit=2) for _ in range(3)] == [2, 1, 0]
            assert {row["settlement_status"] for row in await uow.all(select(payments))} == {"settled"}

    async def test_two_at_once_settle_it_once(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        payment_id = await self.sent(uow_of, tenant, loan_id, TODAY)

        async def one() -> int:
            async with uow_of(tenant) as uow:
                settled = await cob.settle_due(uow, TODAY)
                await uow.commit()
                return settled

        assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [0, 0, 0, 1]
        async with uow_of(tenant) as uow:
            assert [key for key, _ in await keys_of(uow, loan_id)].count(f"settled:{payment_id}") == 1


class TestFinishing:
    async def test_the_day_keeps_its_totals_and_its_reconciliation(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await advance(uow_of, tenant, date(2020, 10, 19))
        closed = await run_date(uow_of, tenant, date(2020, 10, 20))
        assert (closed.loans_closed, closed.late_fees_assessed, closed.reconciled) == (1, 1, True)
        assert closed.interest_accrued in (1_17, 1_18, 1_19), "a day of the second period's 36.52"
        async with uow_of(tenant) as uow:
            row = await uow.one(select(business_days).where(business_days.c.business_date == date(2020, 10, 20)), "day")
            controls = {1100, 1110, 1120, 1125, 1126, 1130, 2000, 9100, 9110}
            assert {c["account"] for c in row["reconciliation"]} == controls
            again = await cob.finish_close(uow, date(2020, 10, 20))
            assert again == closed

    async def test_a_date_does_not_close_while_a_loan_is_behind(self, uow_of: UowOf, tenant: UUID) -> None:
        await active_loan(uow_of, tenant)
        await open_dates(uow_of, tenant, TOMORROW)
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="2020-09-10"):
                await cob.finish_close(uow, TOMORROW)

    async def test_a_difference_is_recorded_and_does_not_keep_the_date_open(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await run_date(uow_of, tenant, TOMORROW)
        async with uow_of(tenant) as uow:
            await uow.execute(update(loans).where(loans.c.id == loan_id).values(unapplied_balance=1))
            await uow.execute(update(business_days).values(closed_at=None))
            closed = await cob.finish_close(uow, TOMORROW)
            assert (closed.reconciled, closed.closed_at) == (False, uow.recorded_at)
            row = await uow.one(select(business_days).where(business_days.c.business_date == TOMORROW), "day")
            (unapplied,) = [c for c in row["reconciliation"] if c["account"] == 2000]
            assert (unapplied["ledger"], unapplied["loans"], unapplied["loan_ids"]) == ("0.00", "0.01", [str(loan_id)])


async def test_the_close_of_one_tenant_leaves_the_others_alone(uow_of: UowOf, tenant: UUID, make_tenant: MakeTenant) -> None:
    other = await make_tenant()
    theirs = await active_loan(uow_of, other)
    await run_date(uow_of, tenant, TOMORROW)
    async with uow_of(other) as uow:
        assert (await loan_row(uow, theirs))["processed_through"] == TODAY
        assert (await uow.execute(select(tenants.c.business_date))).scalar_one() == TODAY
