"""A payment: allocated, posted, settled, once; and what a backdated one changes."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.errors import Conflict, InvalidInput, WrongState
from domain.events import ChargedFee, FeeCharged
from infra.db.models.servicing import borrowers, loan_events, payment_instruments, payments
from infra.db.models.tenancy import audit_log
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.payments import PaymentRecord, RecordPayment, preview, record, settle
from services.replaying import apply_event, lock_loan
from tests.conftest import MakeTenant
from tests.services.lending import (
    UowOf,
    accounts_of,
    active_loan,
    assert_consistent,
    book_loans,
    counts,
    disburse,
    journal_of,
    jump,
    keys_of,
    loan_row,
    pay,
)


async def test_the_first_instalment_on_its_due_date(uow_of: UowOf, tenant: UUID) -> None:
    """The example loan's first row: interest 36.99 for 30 days, principal 260.48."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 9))
    paid = await pay(uow_of, tenant, loan_id, 297_47)
    assert (paid.fees_applied, paid.interest_applied, paid.principal_applied, paid.unapplied_amount) == (0, 36_99, 260_48, 0)
    assert (paid.status, paid.settlement_status, paid.effective_date) == ("completed", "not_applicable", date(2020, 10, 9))
    async with uow_of(tenant) as uow:
        net = await accounts_of(uow, loan_id)
        assert net == {1000: -9_702_53, 1010: 0, 1100: 9_739_52, 1110: 0, 4000: -36_99}
        await assert_consistent(uow, loan_id)


@pytest.mark.parametrize("zone", ["Pacific/Niue", "Pacific/Kiritimati"])
async def test_money_counts_on_the_business_date_whatever_day_it_is_in_the_zone(
    uow_of: UowOf, make_tenant: MakeTenant, zone: str
) -> None:
    """The clocks of the two zones are 25 hours apart, so that a midnight is always between them: before or after it, a
    payment counts, and is posted, on the business date, and the interest before it in its month."""
    tenant = await make_tenant(zone=zone)
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 9, 30))
    paid = await pay(uow_of, tenant, loan_id, 50_00)
    assert paid.effective_date == date(2020, 9, 30)
    async with uow_of(tenant) as uow:
        entries = [(row["kind"], row["effective_date"], row["posting_date"]) for row in await journal_of(uow, loan_id)]
        (event,) = await uow.all(select(loan_events).where(loan_events.c.loan_id == loan_id, loan_events.c.sequence == 2))
    moved = [entry for entry in entries if entry[0] in ("payment", "settlement")]
    assert moved == [(kind, date(2020, 9, 30), date(2020, 9, 30)) for kind in ("payment", "settlement")]
    assert {entry[1:] for entry in entries if entry[0] == "accrual"} <= {(date(2020, 9, n),) * 2 for n in range(9, 31)}
    assert event["recorded_business_date"] == date(2020, 9, 30)


async def test_who_recorded_it_is_kept(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 50_00)
    async with uow_of(tenant) as uow:
        entry = await uow.one(select(audit_log).where(audit_log.c.object_id == paid.id), "audit entry")
        assert (entry["action"], entry["before"]["principal_balance"]) == ("payment.recorded", "10000.00")
        assert entry["after"]["amount"] == "50.00"


@pytest.mark.parametrize(
    ("amount", "days_ago"), [(1, 0), (297_47, 0), (327_47, 12), (2_000_00, 0), (2_000_00, 40), (50_000_00, 3)]
)
async def test_a_preview_is_what_is_then_done_and_writes_nothing(
    uow_of: UowOf, tenant: UUID, amount: int, days_ago: int
) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 11, 2))
    on = date.fromordinal(date(2020, 11, 2).toordinal() - days_ago)
    async with uow_of(tenant) as uow:
        before = await counts(uow)
        seen = await preview(uow, loan_id, amount, on)
        assert await counts(uow) == before
        done = await record(uow, RecordPayment(loan_id, amount, "wire", effective_date=on))
        row = await loan_row(uow, loan_id)
    promised = seen.allocation
    assert (promised.fees, promised.interest, promised.principal, promised.unapplied) == (
        done.fees_applied,
        done.interest_applied,
        done.principal_applied,
        done.unapplied_amount,
    )
    assert (seen.state.principal_balance, seen.state.status) == (row["principal_balance"], row["status"])


class TestBackdating:
    async def test_a_late_fee_that_was_due_only_because_of_it_vanishes(self, uow_of: UowOf, tenant: UUID) -> None:
        """The fee of 2020-10-09 is assessed on 10-20 (10 days' grace); then the payment of 10-05 is recorded."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 20))
        await jump(uow_of, tenant, date(2020, 10, 21))
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["fees_balance"] == 30_00
        await pay(uow_of, tenant, loan_id, 297_47, date(2020, 10, 5))
        async with uow_of(tenant) as uow:
            row = await loan_row(uow, loan_id)
            assert (row["fees_balance"], row["days_past_due"], row["delinquency_bucket"]) == (0, 0, "current")
            fee = [r for r in await journal_of(uow, loan_id) if r["entry_key"] == "late_fee:2020-10-09"]
            assert [(r["kind"], r["revision"], r["business_date"]) for r in fee] == [
                ("late_fee", 1, date(2020, 10, 20)),
                ("mirror", 2, date(2020, 10, 21)),
            ]
            assert fee[1]["reverses_id"] == fee[0]["id"]
            await assert_consistent(uow, loan_id)

    async def test_later_payments_are_allocated_again_with_one_mirror_and_one_replacement(
        self, uow_of: UowOf, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 21))
        later = await pay(uow_of, tenant, loan_id, 297_47)
        assert (later.fees_applied, later.interest_applied, later.principal_applied) == (30_00, 36_99, 230_48)
        earlier = await pay(uow_of, tenant, loan_id, 297_47, date(2020, 10, 9))
        async with uow_of(tenant) as uow:
            row = await uow.one(select(payments).where(payments.c.id == later.id), "payment")
            assert (row["fees_applied"], row["interest_applied"], row["principal_applied"]) == (0, 36_52, 260_95)
            keys = [(key, kind) for key, kind in await keys_of(uow, loan_id) if key == f"payment:{later.id}"]
            assert [kind for _, kind in keys] == ["payment", "mirror", "payment"]
            settled = [kind for key, kind in await keys_of(uow, loan_id) if key.startswith("settled:")]
            assert settled == ["settlement", "settlement"], "money that arrived is not touched by a new allocation"
            assert earlier.interest_applied == 36_99
            await assert_consistent(uow, loan_id)

    async def test_interest_is_corrected_by_one_net_delta_a_month(self, uow_of: UowOf, tenant: UUID) -> None:
        """A curtailment of 5,000.00 dated three months back lowers the interest of each later month."""
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 12, 20))
        async with uow_of(tenant) as uow:
            before = {row["id"] for row in await journal_of(uow, loan_id)}
        await pay(uow_of, tenant, loan_id, 5_297_47, date(2020, 9, 10))
        async with uow_of(tenant) as uow:
            new = [r for r in await journal_of(uow, loan_id) if r["kind"] == "accrual" and r["id"] not in before]
            assert [(r["entry_key"], r["effective_date"]) for r in new] == [
                ("accrual:2020-09", date(2020, 9, 30)),
                ("accrual:2020-10", date(2020, 10, 31)),
                ("accrual:2020-11", date(2020, 11, 30)),
                ("accrual:2020-12", date(2020, 12, 20)),
            ]
            await assert_consistent(uow, loan_id)

    async def test_recording_the_same_again_posts_nothing_twice(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 21))
        command = RecordPayment(loan_id, 297_47, "check", effective_date=date(2020, 10, 5), payment_id=new_id())
        async with uow_of(tenant) as uow:
            first = await record(uow, command)
            before = await counts(uow)
            again = await record(uow, command)
            assert (again.id, again.created, first.created) == (first.id, False, True)
            assert await counts(uow) == before


class TestOnce:
    async def test_the_same_external_id_and_request_give_the_first_payment(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        command = RecordPayment(loan_id, 10_000_00 + 50_00, "ach", external_id="PMT-1")
        async with uow_of(tenant) as uow:
            first = await record(uow, command)
            assert (await loan_row(uow, loan_id))["status"] == "paid_off"
            again = await record(uow, command)
            assert (again.id, again.created) == (first.id, False), "also when the loan takes no more payments"
            with pytest.raises(Conflict, match="PMT-1"):
                await record(uow, RecordPayment(loan_id, 50_01, "ach", external_id="PMT-1"))

    async def test_fifty_at_once_with_one_external_id_are_one_payment(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)

        async def one() -> PaymentRecord:
            async with uow_of(tenant) as uow:
                recorded = await record(uow, RecordPayment(loan_id, 50_00, "ach", external_id="PMT-2"))
                await uow.commit()
                return recorded

        recorded = await asyncio.gather(*(one() for _ in range(50)))
        assert len({r.id for r in recorded}) == 1
        assert sum(r.created for r in recorded) == 1
        async with uow_of(tenant) as uow:
            assert [key for key, _ in await keys_of(uow, loan_id)].count(f"payment:{recorded[0].id}") == 1
            await assert_consistent(uow, loan_id)


class TestInTransit:
    async def send(self, uow: UnitOfWork, loan_id: UUID) -> PaymentRecord:
        draft = {"source": "autopay", "status": "processing", "settlement_status": "in_transit"}
        return await record(uow, RecordPayment(loan_id, 297_47, "ach", **draft))  # type: ignore[arg-type]

    async def test_a_draft_is_allocated_when_sent_and_becomes_cash_when_settled(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 9))
        async with uow_of(tenant) as uow:
            sent = await self.send(uow, loan_id)
            assert (await accounts_of(uow, loan_id))[1010] == 297_47
            await uow.commit()
        await jump(uow_of, tenant, date(2020, 10, 12))
        async with uow_of(tenant) as uow:
            await settle(uow, [sent.id])
            row = await uow.one(select(payments).where(payments.c.id == sent.id), "payment")
            assert (row["status"], row["settlement_status"]) == ("completed", "settled")
            net = await accounts_of(uow, loan_id)
            assert (net[1010], net[1000]) == (0, -10_000_00 + 297_47)
            before = await counts(uow)
            await settle(uow, [sent.id])
            assert await counts(uow) == before, "settling again does nothing"
            await assert_consistent(uow, loan_id)

    async def test_several_at_once_settle_it_once(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as uow:
            sent = await self.send(uow, loan_id)
            await uow.commit()

        async def one() -> None:
            async with uow_of(tenant) as uow:
                await settle(uow, [sent.id])
                await uow.commit()

        await asyncio.gather(*(one() for _ in range(6)))
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["last_sequence"] == 3, "disbursed, received, settled"
            await assert_consistent(uow, loan_id)

    async def test_only_money_in_transit_settles(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        here = await pay(uow_of, tenant, loan_id, 50_00)
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match="not_applicable"):
                await settle(uow, [here.id])
            assert await settle(uow, [new_id()]) == 0


class TestRefused:
    async def test_the_future_is_refused_naming_the_business_date_and_the_zone(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as uow:
            with pytest.raises(InvalidInput, match="2020-09-09 in America/New_York"):
                await record(uow, RecordPayment(loan_id, 50_00, "ach", effective_date=date(2020, 9, 10)))

    async def test_an_instrument_of_somebody_else_is_refused(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        async with uow_of(tenant) as uow:
            stranger = await uow.add(borrowers, first_name="Jane", last_name="Roe")
            card = {"instrument_type": "card", "account_holder_name": "Jane Roe", "account_number_last_four": "4242"}
            theirs = await uow.add(payment_instruments, borrower_id=stranger, **card)
            for instrument in (theirs, new_id()):
                with pytest.raises(InvalidInput, match="payment_instrument_id"):
                    await record(uow, RecordPayment(loan_id, 50_00, "card", payment_instrument_id=instrument))
            own = (await loan_row(uow, loan_id))["borrower_id"]
            await uow.execute(update(payment_instruments).where(payment_instruments.c.id == theirs).values(borrower_id=own))
            assert (await record(uow, RecordPayment(loan_id, 50_00, "card", payment_instrument_id=theirs))).created

    async def test_a_preview_names_the_later_event_that_recording_it_would_make_impossible(
        self, uow_of: UowOf, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 9, 20))
        async with uow_of(tenant) as uow:
            await apply_event(uow, await lock_loan(uow, loan_id), FeeCharged("a", ChargedFee.OTHER, 5_00), date(2020, 9, 20))
            await uow.commit()
        early = date(2020, 9, 15)
        async with uow_of(tenant) as uow:
            with pytest.raises(WrongState, match=r"Event 2 .* would be impossible") as seen:
                await preview(uow, loan_id, 11_000_00, early)
            with pytest.raises(WrongState) as done:
                await record(uow, RecordPayment(loan_id, 11_000_00, "ach", effective_date=early))
        assert (seen.value.detail, seen.value.code) == (done.value.detail, done.value.code)

    async def test_a_loan_that_is_not_active_takes_no_payment(self, uow_of: UowOf, tenant: UUID) -> None:
        async with uow_of(tenant) as uow:
            (loan_id,) = await book_loans(uow)
            with pytest.raises(WrongState, match="boarding"):
                await record(uow, RecordPayment(loan_id, 50_00, "ach"))
            await disburse(uow, loan_id)
            await record(uow, RecordPayment(loan_id, 10_000_00, "ach"))
            with pytest.raises(WrongState, match="paid off on 2020-09-09"):
                await record(uow, RecordPayment(loan_id, 50_00, "ach"))
