"""Recording a payment in few statements: what is written is what a payment that reads everything writes."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from domain.errors import InvalidInput
from infra.db.models.servicing import instalments, loans, payments
from infra.db.models.tenancy import audit_log
from infra.ids import new_id
from services import ledger
from services.cache_check import check_cache
from services.payments import RecordPayment, record
from services.replaying import load_loan
from tests.services.lending import UowOf, active_loan, assert_consistent, jump, pay, run_date
from tests.services.watching import watched


async def test_a_payment_takes_seven_statements(uow_of: UowOf, tenant: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant, the loan, its history, the external id, the lock of the books, the books; and one that writes all."""
    loan_id = await active_loan(uow_of, tenant)
    for number in range(3):
        with watched(monkeypatch) as seen:
            async with uow_of(tenant) as uow:
                await record(uow, RecordPayment(loan_id, 50_00, "check", external_id=f"n{number}"))
                await uow.commit()
        assert len(seen) == 7
        assert sum("INSERT" in statement for statement in seen) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_paid_the_cache_is_the_replay_and_the_books_are_the_loans(
    uow_of: UowOf, tenant: UUID, seed: int
) -> None:
    """Parts, instalments and curtailments (after which the last instalments are gone), on one day and on others; at the end
    all that is owed."""
    order, loan_id, today = Random(seed), await active_loan(uow_of, tenant), date(2020, 9, 9)
    for _ in range(8):
        if order.random() < 0.4:
            today += timedelta(days=order.choice([1, 20, 40]))
            await jump(uow_of, tenant, today)
        await pay(uow_of, tenant, loan_id, order.choice([5_00, 150_00, 297_47, 297_48, 2_000_00]))
        await check(uow_of, tenant, loan_id)
    async with uow_of(tenant) as uow:
        owed = (await load_loan(uow, loan_id)).replay(today).state.payoff
    if owed is not None:
        await pay(uow_of, tenant, loan_id, owed.total + 1)
    await check(uow_of, tenant, loan_id)


async def check(uow_of: UowOf, tenant: UUID, loan_id: UUID) -> None:
    async with uow_of(tenant) as uow:
        assert (await check_cache(uow)).stale == ()
        assert ledger.reconciled(await ledger.reconcile(uow))
        await assert_consistent(uow, loan_id)


async def test_what_is_not_as_its_fingerprint_says_is_read_and_put_right(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        of_loan = instalments.c.loan_id == loan_id
        await uow.execute(update(instalments).where(of_loan, instalments.c.number > 30).values(status="paid"))
        await uow.execute(update(loans).where(loans.c.id == loan_id).values(state_hash="0" * 64))
        await uow.commit()
    await pay(uow_of, tenant, loan_id, 50_00)
    await check(uow_of, tenant, loan_id)


async def test_a_day_that_passes_between_two_payments_is_posted_by_the_second(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await pay(uow_of, tenant, loan_id, 5_00)
    await run_date(uow_of, tenant, date(2020, 9, 9))
    await jump(uow_of, tenant, date(2020, 9, 10))
    await pay(uow_of, tenant, loan_id, 5_00)
    await check(uow_of, tenant, loan_id)


class TestLater:
    """What is written later is written with the rest, or not at all."""

    @pytest.fixture
    def object_id(self) -> UUID:
        return new_id()

    async def test_what_comes_after_sees_it(self, uow_of: UowOf, tenant: UUID, object_id: UUID) -> None:
        async with uow_of(tenant) as uow:
            await uow.audit("test", "program", object_id)
            assert (await uow.execute(select(func.count()).select_from(audit_log))).scalar_one() == 1
        assert await self.audited(uow_of, tenant) == 0

    async def test_it_is_not_written_without_a_commit(self, uow_of: UowOf, tenant: UUID, object_id: UUID) -> None:
        async with uow_of(tenant) as uow:
            await uow.audit("test", "program", object_id)
        assert await self.audited(uow_of, tenant) == 0

    async def test_a_savepoint_undoes_what_came_inside_and_keeps_what_came_before(
        self, uow_of: UowOf, tenant: UUID, object_id: UUID
    ) -> None:
        async with uow_of(tenant) as uow:
            await uow.audit("before", "program", object_id)
            with pytest.raises(InvalidInput):
                async with uow.savepoint():
                    await uow.audit("inside", "program", object_id)
                    raise InvalidInput("no")
            await uow.audit("after", "program", object_id)
            await uow.commit()
        async with uow_of(tenant) as uow:
            actions = (await uow.execute(select(audit_log.c.action))).scalars().all()
        assert sorted(actions) == ["after", "before"]

    async def test_the_connection_is_not_to_be_had_while_something_waits(
        self, uow_of: UowOf, tenant: UUID, object_id: UUID
    ) -> None:
        async with uow_of(tenant) as uow:
            with pytest.raises(RuntimeError, match="something to send first"):
                _ = uow.connection
            await uow.audit("test", "program", object_id)
            with pytest.raises(RuntimeError, match="something to send first"):
                _ = uow.connection
            await uow.flush()
            assert uow.connection is not None

    async def test_an_external_id_that_two_loans_take_at_once_is_one_payment(self, uow_of: UowOf, tenant: UUID) -> None:
        """The second is refused when it is written, with its commit; nothing of it stays."""
        ids = [await active_loan(uow_of, tenant) for _ in range(2)]

        async def take(loan_id: UUID) -> None:
            async with uow_of(tenant) as uow:
                await record(uow, RecordPayment(loan_id, 50_00, "check", external_id="once"))
                await asyncio.sleep(0.1)
                await uow.commit()

        outcomes = await asyncio.gather(*(take(loan_id) for loan_id in ids), return_exceptions=True)
        assert sorted(type(outcome) for outcome in outcomes if outcome) == [IntegrityError]
        async with uow_of(tenant) as uow:
            assert (await uow.execute(select(func.count()).select_from(payments))).scalar_one() == 1
            assert (await check_cache(uow)).stale == ()

    async def audited(self, uow_of: UowOf, tenant: UUID) -> int:
        async with uow_of(tenant) as uow:
            return (await uow.execute(select(func.count()).select_from(audit_log))).scalar_one()
