"""The books balance at any date, and a difference between books and loans is found and named."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.chart import Account
from domain.events import Boarded
from domain.loan import LoanStatus
from infra.db.models.servicing import journal_entries, loans
from services import ledger
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from tests.services.lending import UowOf, active_loan, advance, assert_consistent, book_loans


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
