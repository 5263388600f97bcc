"""The books balance at any date, and a difference between books and loans is found and named."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.chart import Account
from domain.events import (
    Boarded,
    ChargedFee,
    ChargedOff,
    FeeCharged,
    NonAccrualSet,
    Refunded,
    Waived,
    WaiverTarget,
)
from domain.loan import LoanStatus
from infra.db.models.servicing import journal_entries, loans
from services import ledger
from services.corrections import void_event
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from tests.services.lending import (
    UowOf,
    active_loan,
    advance,
    assert_consistent,
    book_loans,
    journal_of,
    jump,
    loan_row,
    run_date,
)


async def test_the_trial_balance_of_an_empty_book_lists_the_chart_with_nothing(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        balances = await ledger.trial_balance(uow, date(2020, 9, 9))
    assert [b.account for b in balances] == list(Account)
    assert all((b.debit, b.credit) == (0, 0) for b in balances)


async def test_the_trial_balance_is_that_of_its_date(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, date(2020, 10, 9))
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 297_47, "ach"))
        first, day_before, last = [
            {b.account: b for b in await ledger.trial_balance(uow, on)}
            for on in (date(2020, 9, 9), date(2020, 10, 8), date(2020, 10, 9))
        ]
    assert first[Account.CASH].net == -10_000_00
    assert first[Account.INTEREST_INCOME].net == 0
    assert day_before[Account.ACCRUED_INTEREST].net == 35_76, "29 of the 30 days of 36.99"
    assert last[Account.ACCRUED_INTEREST].net == 0
    assert (last[Account.CLEARING].debit, last[Account.CLEARING].credit) == (297_47, 297_47)
    for balances in (first, day_before, last):
        assert sum(b.net for b in balances.values()) == 0


async def test_a_charged_off_loan_taken_over_is_memo_and_reconciles(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        (loan_id,) = await book_loans(uow)
        body = Boarded(LoanStatus.CHARGED_OFF, 4_000_00, 120_00, 30_00, None, None)
        await apply_event(uow, await lock_loan(uow, loan_id), body, date(2020, 9, 9))
        controls = {c.account: c for c in await ledger.reconcile(uow)}
        assert controls[Account.MEMO_CHARGED_OFF].ledger == controls[Account.MEMO_CHARGED_OFF].loans == 4_150_00
        assert controls[Account.PRINCIPAL].loans == 0
        assert ledger.reconciled(controls.values())


class TestMemoAccounts:
    """Own and memo control accounts are the loans' balances, whatever becomes of a loan."""

    async def test_a_charge_off_moves_what_is_owed_to_memo(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 11, 20))
        async with uow_of(tenant) as uow:
            await apply_event(uow, await lock_loan(uow, loan_id), ChargedOff("120 days past due"), date(2020, 11, 20))
            controls = {c.account: c.ledger for c in await ledger.reconcile(uow)}
            row = await loan_row(uow, loan_id)
            assert controls[Account.MEMO_CHARGED_OFF] == row["charged_off_balance"] > 10_000_00
            assert (controls[Account.PRINCIPAL], controls[Account.LATE_FEES]) == (0, 0)
            assert ledger.reconciled(await ledger.reconcile(uow))
            await record(uow, RecordPayment(loan_id, 100_00, "check"))
            assert (await loan_row(uow, loan_id))["charged_off_balance"] == row["charged_off_balance"] - 100_00
            assert ledger.reconciled(await ledger.reconcile(uow))
            await void_event(uow, loan_id, 2, "charged off by mistake")
            await assert_consistent(uow, loan_id)

    async def test_interest_on_non_accrual_is_posted_as_memo_by_month(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 15))
        async with uow_of(tenant) as uow:
            loan = await lock_loan(uow, loan_id)
            await apply_event(uow, loan, NonAccrualSet(True, "bankruptcy"), date(2020, 10, 15))
            await uow.commit()
        await jump(uow_of, tenant, date(2020, 12, 3))
        async with uow_of(tenant) as uow:
            controls = {c.account: c for c in await ledger.reconcile(uow)}
            memo = controls[Account.MEMO_NON_ACCRUAL_INTEREST]
            assert memo.ledger == memo.loans == (await loan_row(uow, loan_id))["accrued_interest"] > 0
            assert controls[Account.ACCRUED_INTEREST].ledger == 0
            keys = {row["entry_key"] for row in await journal_of(uow, loan_id) if row["kind"] == "accrual"}
            assert {"accrual:2020-10", "memo_accrual:2020-10", "memo_accrual:2020-11", "memo_accrual:2020-12"} <= keys
            assert ledger.reconciled(controls.values())
            loan = await lock_loan(uow, loan_id)
            assert await ledger.post(uow, {loan_id: loan.replay(date(2020, 12, 3))}) == 0, "what is posted is known"

    async def test_fees_by_kind_and_what_a_borrower_got_without_a_right(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await jump(uow_of, tenant, date(2020, 10, 20))
        await run_date(uow_of, tenant, date(2020, 10, 21))
        async with uow_of(tenant) as uow:
            loan = await lock_loan(uow, loan_id)
            for body in (FeeCharged("a", ChargedFee.NSF, 25_00), FeeCharged("b", ChargedFee.OTHER, 10_00)):
                await apply_event(uow, loan, body, date(2020, 10, 21))
            await apply_event(uow, loan, Waived("w", WaiverTarget.FEE, "other_fee:b"), date(2020, 10, 21))
            controls = {c.account: c.ledger for c in await ledger.reconcile(uow)}
            fees = (controls[Account.LATE_FEES], controls[Account.NSF_FEES], controls[Account.OTHER_FEES])
            assert fees == (30_00, 25_00, 0)
            assert ledger.reconciled(await ledger.reconcile(uow))
            await apply_event(uow, loan, Refunded("r", 50_00, shortfall=50_00), date(2020, 10, 21))
            controls = {c.account: c.ledger for c in await ledger.reconcile(uow)}
            assert controls[Account.DUE_FROM_BORROWER] == 50_00
            assert ledger.reconciled(await ledger.reconcile(uow))
            paid = await record(uow, RecordPayment(loan_id, 12_000_00, "check"))
            assert paid.due_from_borrower_applied == 50_00
            await assert_consistent(uow, loan_id)


async def test_a_loan_that_differs_from_its_journal_is_named(uow_of: UowOf, tenant: UUID) -> None:
    """Two differences that cancel out in the sum are still two."""
    first, second, third = sorted([await active_loan(uow_of, tenant) for _ in range(3)])
    async with uow_of(tenant) as uow:
        assert ledger.reconciled(await ledger.reconcile(uow))
        for loan_id, by in ((first, 5_00), (third, -5_00)):
            forged = {"principal_balance": 10_000_00 + by}
            await uow.execute(update(loans).where(loans.c.id == loan_id).values(**forged))
        controls = {c.account: c for c in await ledger.reconcile(uow)}
        principal = controls[Account.PRINCIPAL]
        assert (principal.ledger, principal.loans, principal.differing) == (30_000_00, 30_000_00, 2)
        assert principal.loan_ids == (first, third)
        assert second not in principal.loan_ids
        assert not ledger.reconciled(controls.values())


async def test_posting_what_is_posted_posts_nothing(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, date(2020, 11, 2))
    async with uow_of(tenant) as uow:
        loan = await lock_loan(uow, loan_id)
        assert await ledger.post(uow, {loan_id: loan.replay(date(2020, 11, 2))}) == 0
        await assert_consistent(uow, loan_id)


async def test_nothing_posted_is_ever_changed(uow_of: UowOf, tenant: UUID, owner: AsyncEngine) -> None:
    await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        with pytest.raises(DBAPIError, match="permission denied"):
            await uow.execute(journal_entries.delete())
    async with owner.connect() as connection:
        for table in ("journal_entries", "journal_transfers", "loan_events"):
            with pytest.raises(DBAPIError, match="append-only"):
                await connection.execute(text(f"TRUNCATE {table} CASCADE"))
            await connection.rollback()
