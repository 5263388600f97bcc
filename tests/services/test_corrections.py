"""Backdating, reversing, voiding: the loan and the books are what they would have been, and the way there is kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import InvalidInput, NotFound, WrongState
from domain.events import ChargedOff, Refunded
from infra.db.models.servicing import payment_allocations, payments
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.corrections import (
    backdate,
    preview_backdate,
    preview_void_event,
    void_event,
)
from services.payments import PaymentRecord, RecordPayment, record, settle
from services.replaying import apply_event, lock_loan
from tests.domain.loans import under
from tests.services.lending import (
    UowOf,
    accounts_of,
    active_loan,
    assert_consistent,
    counts,
    disburse,
    journal_of,
    jump,
    keys_of,
    loan_row,
    open_dates,
    pay,
)
from tests.services.reversing import preview_reverse, reverse

DUE = date(2020, 10, 9)
LATE = date(2020, 10, 21)


async def payment_row(uow: UnitOfWork, payment_id: UUID) -> dict[str, object]:
    return dict(await uow.one(select(payments).where(payments.c.id == payment_id), "payment"))


@pytest.fixture
async def late(uow_of: UowOf, tenant: UUID) -> tuple[UUID, PaymentRecord]:
    """A loan whose first instalment, due on 9 October, was paid on the 21st, with a late fee before it."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, LATE - timedelta(days=1))
    await open_dates(uow_of, tenant, LATE)
    return loan_id, await pay(uow_of, tenant, loan_id, 297_47)


class TestBackdate:
    async def test_the_late_fee_vanishes_and_the_journal_shows_how(
        self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]
    ) -> None:
        loan_id, paid = late
        assert (paid.fees_applied, paid.interest_applied, paid.principal_applied) == (30_00, 36_99, 230_48)
        async with uow_of(tenant) as uow:
            done = await backdate(uow, paid.id, DUE, "the cheque was here on the 9th")
            row = await payment_row(uow, paid.id)
            assert (row["effective_date"], row["fees_applied"], row["principal_applied"]) == (DUE, 0, 260_48)
            loan = await loan_row(uow, loan_id)
            assert (loan["fees_balance"], loan["days_past_due"], loan["principal_balance"]) == (0, 0, 9_739_52)
            history = Counter(kind for key, kind in await keys_of(uow, loan_id) if key == f"payment:{paid.id}")
            assert history == {"payment": 2, "mirror": 1}
            settled = Counter(kind for key, kind in await keys_of(uow, loan_id) if key == f"settled:{paid.id}")
            assert settled == {"settlement": 2, "mirror": 1}, "logged money is settled on the day it counts"
            (fee,) = done.correction.fees
            assert fee.after is None
            entry = await uow.one(select(audit_log).where(audit_log.c.action == "payment.backdated"), "audit entry")
            assert (entry["before"]["effective_date"], entry["after"]["effective_date"]) == ("2020-10-21", "2020-10-09")
            assert entry["reason"] == "the cheque was here on the 9th"
            await assert_consistent(uow, loan_id)

    async def test_interest_is_one_net_delta_a_month_and_an_entry_one_mirror_and_one_replacement(
        self, uow_of: UowOf, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 12, 20))
        paid = await pay(uow_of, tenant, loan_id, 5_000_00)
        async with uow_of(tenant) as uow:
            before = {row["id"] for row in await journal_of(uow, loan_id)}
            await backdate(uow, paid.id, date(2020, 9, 10))
            new = [row for row in await journal_of(uow, loan_id) if row["id"] not in before]
            accruals = Counter(row["entry_key"] for row in new if row["kind"] == "accrual")
            assert accruals == {"accrual:2020-09": 1, "accrual:2020-10": 1, "accrual:2020-11": 1, "accrual:2020-12": 1}
            others = Counter((row["entry_key"], row["kind"] == "mirror") for row in new if row["kind"] != "accrual")
            assert max(others.values()) == 1
            await assert_consistent(uow, loan_id)

    async def test_it_keeps_its_place_in_the_day(self, uow_of: UowOf, tenant: UUID) -> None:
        """Two payments of one day: the first moves away and back, and pays first again."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, DUE)
        first, second = [await pay(uow_of, tenant, loan_id, amount) for amount in (36_99, 260_48)]
        async with uow_of(tenant) as uow:
            was = (await loan_row(uow, loan_id))["state_hash"]
            for on in (date(2020, 10, 1), DUE):
                await backdate(uow, first.id, on)
            assert (await loan_row(uow, loan_id))["state_hash"] == was
            rows = [await payment_row(uow, paid.id) for paid in (first, second)]
            assert [row["interest_applied"] for row in rows] == [36_99, 0]
            await assert_consistent(uow, loan_id)

    async def test_a_day_later_counts_too(self, uow_of: UowOf, tenant: UUID) -> None:
        """Money logged with too early a day."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, LATE)
        paid = await pay(uow_of, tenant, loan_id, 297_47, DUE)
        async with uow_of(tenant) as uow:
            done = await backdate(uow, paid.id, LATE)
            assert [change.after.key for change in done.correction.fees if change.after] == ["late_fee:2020-10-09"]
            assert (await payment_row(uow, paid.id))["fees_applied"] == 30_00
            await assert_consistent(uow, loan_id)

    @pytest.mark.parametrize(
        ("on", "says"),
        [
            (LATE, "already"),
            (LATE + timedelta(days=1), "business date, 2020-10-21 in America/New_York"),
            (date(2020, 9, 8), "disbursed or boarded"),
        ],
    )
    async def test_a_day_on_which_it_cannot_have_come_is_refused(
        self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord], on: date, says: str
    ) -> None:
        async with uow_of(tenant) as uow:
            before = await counts(uow)
            for attempt in (backdate, preview_backdate):
                with pytest.raises(InvalidInput, match=says):
                    await attempt(uow, late[1].id, on)
            assert await counts(uow) == before

    async def test_money_the_bank_settled_keeps_the_day_of_its_settlement(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, DUE)
        draft = RecordPayment(loan_id, 297_47, "ach", source="autopay", status="processing", settlement_status="in_transit")
        async with uow_of(tenant) as uow:
            sent = await record(uow, draft)
            await uow.commit()
        await jump(uow_of, tenant, date(2020, 10, 12))
        async with uow_of(tenant) as uow:
            await settle(uow, [sent.id])
            await uow.commit()
        await jump(uow_of, tenant, date(2020, 10, 15))
        async with uow_of(tenant) as uow:
            await backdate(uow, sent.id, date(2020, 10, 8))
            settled = [row for row in await journal_of(uow, loan_id) if row["kind"] == "settlement"]
            assert [row["effective_date"] for row in settled] == [date(2020, 10, 12)]
            await assert_consistent(uow, loan_id)
            with pytest.raises(InvalidInput, match="2020-10-12, when the bank settled"):
                await backdate(uow, sent.id, date(2020, 10, 13))

    async def test_several_at_once_happen_once(self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]) -> None:
        loan_id, paid = late

        async def one() -> bool:
            async with uow_of(tenant) as uow:
                try:
                    await backdate(uow, paid.id, DUE)
                except InvalidInput:
                    return False
                await uow.commit()
                return True

        assert sum(await asyncio.gather(*(one() for _ in range(8)))) == 1
        async with uow_of(tenant) as uow:
            assert [key for key, _ in await keys_of(uow, loan_id)].count(f"payment:{paid.id}") == 3
            await assert_consistent(uow, loan_id)


class TestReverse:
    async def test_the_loan_is_what_it_was_and_money_goes_back(
        self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]
    ) -> None:
        loan_id, paid = late
        async with uow_of(tenant) as uow:
            await reverse(uow, paid.id, "nsf")
            row = await payment_row(uow, paid.id)
            assert (row["status"], row["principal_applied"], row["unapplied_amount"]) == ("reversed", 0, 0)
            lines = select(payment_allocations).where(payment_allocations.c.payment_id == paid.id)
            assert await uow.all(lines) == []
            loan = await loan_row(uow, loan_id)
            assert (loan["principal_balance"], loan["fees_balance"], loan["days_past_due"]) == (10_000_00, 30_00, 12)
            assert (loan["total_paid"], loan["last_payment_date"]) == (0, None)
            net = await accounts_of(uow, loan_id)
            assert (net[1000], net[1010]) == (-10_000_00, 0)
            entry = await uow.one(select(audit_log).where(audit_log.c.action == "payment.reversed"), "audit entry")
            assert (entry["before"]["status"], entry["after"]["status"], entry["reason"]) == ("completed", "reversed", "nsf")
            await assert_consistent(uow, loan_id)

    async def test_a_paid_off_loan_is_reopened_with_its_days_past_due(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, 10_000_00)
        await jump(uow_of, tenant, date(2020, 11, 20))
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["status"] == "paid_off"
            await reverse(uow, paid.id, "the cheque was not honoured")
            loan = await loan_row(uow, loan_id)
            assert (loan["status"], loan["paid_off_on"]) == ("active", None)
            assert (loan["days_past_due"], loan["delinquency_bucket"]) == (42, "dpd_30_59")
            assert (loan["oldest_unpaid_due_date"], loan["fees_balance"]) == (DUE, 60_00)
            await assert_consistent(uow, loan_id)

    async def test_only_what_is_completed_and_once(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        draft = RecordPayment(loan_id, 297_47, "ach", source="autopay", status="processing", settlement_status="in_transit")
        async with uow_of(tenant) as uow:
            sent = await record(uow, draft)
            with pytest.raises(WrongState, match="processing") as refused:
                await reverse(uow, sent.id, "nsf")
            assert (refused.value.state, refused.value.allowed) == ("processing", ("completed",))
            await settle(uow, [sent.id])
            await reverse(uow, sent.id, "nsf")
            for again in (reverse(uow, sent.id, "nsf"), preview_reverse(uow, sent.id), backdate(uow, sent.id, DUE)):
                with pytest.raises(WrongState, match="reversed"):
                    await again
            assert await settle(uow, [sent.id]) == 0
            await assert_consistent(uow, loan_id)

    async def test_the_nsf_fee_is_charged_on_the_business_date(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant, under(nsf_fee=25_00))
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        await jump(uow_of, tenant, date(2020, 9, 20))
        async with uow_of(tenant) as uow:
            promised = await preview_reverse(uow, paid.id, assess_nsf_fee=True)
            done = await reverse(uow, paid.id, "nsf", assess_nsf_fee=True)
            assert promised == done
            (fee,) = done.correction.fees
            assert (fee.there.key, fee.there.assessed_on, fee.there.amount) == (
                f"nsf_fee:{paid.id}",
                date(2020, 9, 20),
                25_00,
            )
            loan = await loan_row(uow, loan_id)
            assert (loan["fees_balance"], loan["nsf_fees"], loan["late_fees"]) == (25_00, 25_00, 0)
            assert (await accounts_of(uow, loan_id))[1125] == 25_00
            await assert_consistent(uow, loan_id)
            await void_event(uow, loan_id, 5, "the bank was wrong")
            assert (await loan_row(uow, loan_id))["nsf_fees"] == 0
            await assert_consistent(uow, loan_id)

    async def test_a_program_without_an_nsf_fee_charges_none(
        self, uow_of: UowOf, tenant: UUID, late: tuple[UUID, PaymentRecord]
    ) -> None:
        async with uow_of(tenant) as uow:
            with pytest.raises(InvalidInput, match="no NSF fee"):
                await reverse(uow, late[1].id, "nsf", assess_nsf_fee=True)

    async def test_a_payment_that_is_not_there(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            for attempt in (reverse(uow, new_id(), "nsf"), preview_reverse(uow, new_id())):
                with pytest.raises(NotFound, match="payment"):
                    await attempt


class TestLaterEvents:
    async def test_the_event_that_would_be_impossible_is_named_and_nothing_is_written(
        self, uow_of: UowOf, tenant: UUID
    ) -> None:
        """Money that was refunded is not there any more: its payment is reversed once the refund is taken back."""
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, 10_100_00)
        async with uow_of(tenant) as uow:
            await apply_event(uow, await lock_loan(uow, loan_id), Refunded("r", 50_00), date(2020, 9, 9))
            await uow.commit()
        async with uow_of(tenant) as uow:
            before = await counts(uow)
            for attempt in (reverse(uow, paid.id, "nsf"), preview_reverse(uow, paid.id)):
                with pytest.raises(WrongState, match=r"Event 4 \(refunded of 2020-09-09\)") as refused:
                    await attempt
                assert refused.value.code == "later_event_impossible"
            assert await counts(uow) == before
            await void_event(uow, loan_id, 4, "the refund was not sent")
            await reverse(uow, paid.id, "nsf")
            await assert_consistent(uow, loan_id)

    async def test_also_when_it_is_a_payment_that_comes_before_it(self, uow_of: UowOf, tenant: UUID) -> None:
        """A payment recorded late that pays the loan off leaves nothing to charge off."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 9, 20))
        async with uow_of(tenant) as uow:
            loan = await lock_loan(uow, loan_id)
            await apply_event(uow, loan, ChargedOff("fraud"), date(2020, 9, 20))
            await uow.commit()
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match=r"Event 2 \(charged_off of 2020-09-20\)"):
                await record(uow, RecordPayment(loan_id, 11_000_00, "check", date(2020, 9, 15)))


class TestVoid:
    async def test_a_disbursement_is_voided_only_while_nothing_else_stands(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        await jump(uow_of, tenant, date(2020, 9, 20))
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="payment_settled of 2020-09-09"):
                await void_event(uow, loan_id, 1, "the wire failed")
            with pytest.raises(WrongState, match="reversing"):
                await void_event(uow, loan_id, 2, "the wire failed")
            await reverse(uow, paid.id, "the wire failed")
            await void_event(uow, loan_id, 1, "the wire failed")
            await assert_consistent(uow, loan_id)

    async def test_a_loan_that_was_never_paid_out_is_booked_again(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 9, 20))
        async with uow_of(tenant) as uow:
            done = await void_event(uow, loan_id, 1, "the wire failed")
            assert (await loan_row(uow, loan_id))["status"] == done.correction.after.status == "boarding"
            assert not any((await accounts_of(uow, loan_id)).values())
            await assert_consistent(uow, loan_id)
            with pytest.raises(WrongState, match="superseded by event 2"):
                await void_event(uow, loan_id, 1, "again")
            with pytest.raises(NotFound, match="event"):
                await preview_void_event(uow, loan_id, 9)
            await disburse(uow, loan_id)
            assert (await loan_row(uow, loan_id))["status"] == "active"
            await assert_consistent(uow, loan_id)
