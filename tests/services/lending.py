"""Loans for tests of servicing: the example loan (10,000.00 at 4.5 % over 36 months, level payment 297.47), disbursed
through the one path every event takes. Amounts in cents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.engine import RowMapping

from domain.events import Disbursed
from domain.loan import state_hash
from domain.program_form import program_to_dict
from domain.terms import LoanTerms
from infra.crypto import Vault
from infra.db.metadata import metadata
from infra.db.models.rails import rail_cutoffs, rail_entries
from infra.db.models.servicing import (
    borrowers,
    instalments,
    journal_entries,
    journal_transfers,
    loan_fees,
    loans,
    payment_allocations,
    payment_instruments,
    payments,
    program_versions,
    programs,
)
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from services import close_of_business as cob
from services import ledger, returns
from services.payments import PaymentRecord, RecordPayment, record
from services.replaying import apply_event, load_loan, lock_loan
from tests.conftest import SECRET_KEY
from tests.domain.loans import EXAMPLE

_VAULT = Vault.of(Settings(secret_key=SECRET_KEY))
UowOf = Callable[[UUID], UnitOfWork]


async def book_loans(uow: UnitOfWork, count: int = 1, terms: LoanTerms = EXAMPLE) -> list[UUID]:
    """Loans of one borrower and program which are booked but not disbursed."""
    borrower = await uow.add(borrowers, first_name="John", last_name="Doe")
    program = await uow.add(programs, name=f"Program {new_id().hex}", current_version=1)
    version = {"tenant_id": uow.tenant_id, "program_id": program, "version": 1}
    await uow.execute(program_versions.insert(), {**version, "terms": program_to_dict(terms.program)})
    ids = [new_id() for _ in range(count)]
    rows = [
        {
            "tenant_id": uow.tenant_id,
            "id": loan_id,
            "loan_number": f"L-{new_id().hex}",
            "borrower_id": borrower,
            "program_id": program,
            "program_version": 1,
            "status": "boarding",
            "principal_amount": terms.principal,
            "annual_rate": terms.annual_rate,
            "term_periods": terms.periods,
            "origination_date": terms.contract_date,
            "first_due_date": terms.first_due_date,
            "maturity_date": date(2023, 9, 9),
            "level_payment": 29747,
        }
        for loan_id in ids
    ]
    await uow.execute(loans.insert(), rows)
    return ids


async def disburse(uow: UnitOfWork, loan_id: UUID, terms: LoanTerms = EXAMPLE) -> None:
    await apply_event(uow, await lock_loan(uow, loan_id), Disbursed(terms.principal), terms.contract_date)


async def active_loan(uow_of: UowOf, tenant: UUID, terms: LoanTerms = EXAMPLE) -> UUID:
    """A disbursed loan, committed."""
    async with uow_of(tenant) as uow:
        (loan_id,) = await book_loans(uow, 1, terms)
        await disburse(uow, loan_id, terms)
        await uow.commit()
    return loan_id


async def pay(uow_of: UowOf, tenant: UUID, loan_id: UUID, amount: int, on: date | None = None) -> PaymentRecord:
    """A payment that staff log, committed. `on` None: on the business date."""
    async with uow_of(tenant) as uow:
        recorded = await record(uow, RecordPayment(loan_id, amount, "ach", effective_date=on))
        await uow.commit()
    return recorded


async def advance(uow_of: UowOf, tenant: UUID, to: date) -> None:
    """Open and close each date up to `to`, in order."""
    async with uow_of(tenant) as uow:
        current = await uow.business_date()
    for ordinal in range(current.toordinal() + 1, to.toordinal() + 1):
        await run_date(uow_of, tenant, date.fromordinal(ordinal))


async def run_date(uow_of: UowOf, tenant: UUID, on: date, *, limit: int = cob.PAGE) -> cob.ClosedDay:
    """One date from opening to close, each step in a transaction of its own."""
    async with uow_of(tenant) as uow:
        await cob.open_date(uow, on)
        await uow.commit()
    async with uow_of(tenant) as uow:
        await cob.settle_due(uow, on)
        await uow.commit()
    async with uow_of(tenant) as uow:
        said = await returns.due(uow, on, limit)
    for item in said:
        async with uow_of(tenant) as uow:
            await returns.take_said(uow, _VAULT, item)
            await uow.commit()
    cursor: UUID | None = None
    while True:
        async with uow_of(tenant) as uow:
            cursor = await cob.close_page(uow, on, cursor, limit)
            await uow.commit()
        if cursor is None:
            break
    async with uow_of(tenant) as uow:
        closed = await cob.finish_close(uow, on)
        await uow.commit()
    return closed


async def open_dates(uow_of: UowOf, tenant: UUID, to: date) -> None:
    """Open each date up to `to` and close none: days that were missed."""
    async with uow_of(tenant) as uow:
        current = await uow.business_date()
        for ordinal in range(current.toordinal() + 1, to.toordinal() + 1):
            await cob.open_date(uow, date.fromordinal(ordinal))
        await uow.commit()


async def jump(uow_of: UowOf, tenant: UUID, to: date) -> None:
    """Open each date up to `to` and close the last one only, which catches up: what `advance` does, in less time."""
    await open_dates(uow_of, tenant, to)
    await run_date(uow_of, tenant, to)


async def hand_over(
    uow: UnitOfWork, loan_id: UUID, payment_id: UUID, draft_id: UUID, on: date, settles_on: date | None
) -> UUID:
    """Make a draft an entry of a cutoff that the rail has, by rows; returns the entry."""
    loan, paid = await loan_row(uow, loan_id), await uow.one(select(payments).where(payments.c.id == payment_id), "payment")
    instrument = await uow.add(
        payment_instruments,
        borrower_id=loan["borrower_id"],
        instrument_type="bank_account",
        account_holder_name="John Doe",
        account_number_last_four="6789",
    )
    day = {"business_date": on, "handed_over_on": on, "acknowledged_at": uow.recorded_at}
    number = 1 + (await uow.execute(select(func.count()).select_from(rail_cutoffs))).scalar_one()
    cutoff = await uow.add(rail_cutoffs, number=number, status="acknowledged", rail="sandbox", **day)
    return await uow.add(
        rail_entries,
        cutoff_id=cutoff,
        number=1,
        draft_id=draft_id,
        payment_id=payment_id,
        loan_id=loan_id,
        payment_instrument_id=instrument,
        amount=paid["amount"],
        attempt=1,
        sequence=number,
        individual_id=loan["loan_number"],
        account_holder_name="John Doe",
        account_number_last_four="6789",
        handed_over_on=on,
        settles_on=settles_on,
    )


async def loan_row(uow: UnitOfWork, loan_id: UUID) -> RowMapping:
    return await uow.one(select(loans).where(loans.c.id == loan_id), "loan")


async def journal_of(uow: UnitOfWork, loan_id: UUID) -> Sequence[RowMapping]:
    """All entries of a loan in the order of posting."""
    return await uow.all(select(journal_entries).where(journal_entries.c.loan_id == loan_id).order_by(journal_entries.c.id))


async def keys_of(uow: UnitOfWork, loan_id: UUID) -> list[tuple[str, str]]:
    """(key, kind) of all entries of a loan but accruals, in the order of posting."""
    return [(row["entry_key"], row["kind"]) for row in await journal_of(uow, loan_id) if row["kind"] != "accrual"]


async def accounts_of(uow: UnitOfWork, loan_id: UUID) -> Counter[int]:
    """Net debit of each account a loan's journal touches, in cents."""
    net: Counter[int] = Counter()
    for row in await uow.all(select(journal_transfers).where(journal_transfers.c.loan_id == loan_id)):
        net[row["debit_account"]] += row["amount"]
        net[row["credit_account"]] -= row["amount"]
    return net


async def counts(uow: UnitOfWork) -> dict[str, int]:
    """Rows of every table this tenant sees."""
    tables = [table for table in metadata.sorted_tables if "tenant_id" in table.c and not table.name.endswith("directory")]
    return {table.name: (await uow.execute(select(func.count()).select_from(table))).scalar_one() for table in tables}


async def assert_consistent(uow: UnitOfWork, loan_id: UUID) -> None:
    """The books balance and equal the loans; every cache of the loan is what a fresh replay of its events says."""
    row = await loan_row(uow, loan_id)
    result = (await load_loan(uow, loan_id)).replay(row["processed_through"])
    state = result.state
    assert row["state_hash"] == state_hash(state)
    assert (row["principal_balance"], row["accrued_interest"]) == (state.principal_balance, state.accrued_interest)

    cached = await uow.all(select(instalments).where(instalments.c.loan_id == loan_id).order_by(instalments.c.number))
    names = (
        "number",
        "due_date",
        "payment",
        "principal",
        "interest",
        "principal_paid",
        "interest_paid",
        "status",
        "paid_on",
    )
    assert [_values(r, names) for r in cached] == [tuple(getattr(i, n) for n in names) for i in state.instalments]
    fees = await uow.all(select(loan_fees).where(loan_fees.c.loan_id == loan_id))
    assert {(r["fee_key"], r["amount"], r["paid"], r["waived"]) for r in fees} == {
        (fee.key, fee.amount, fee.paid, fee.waived) for fee in state.fees
    }

    for paid in await uow.all(select(payments).where(payments.c.loan_id == loan_id)):
        applied = ("fees_applied", "interest_applied", "principal_applied", "unapplied_amount")
        if paid["status"] in ("reversed", "returned"):
            assert (str(paid["id"]) in result.allocations, _values(paid, applied)) == (False, (0, 0, 0, 0))
            continue
        allocation = result.allocations[str(paid["id"])]
        assert paid["effective_date"] == allocation.effective_date
        assert _values(paid, applied) == (
            allocation.fees,
            allocation.interest,
            allocation.principal,
            allocation.unapplied,
        )
        lines = await uow.all(
            select(payment_allocations)
            .where(payment_allocations.c.payment_id == paid["id"])
            .order_by(payment_allocations.c.line)
        )
        where = ("component", "amount", "instalment_number", "fee_key")
        assert [_values(r, where) for r in lines] == [tuple(getattr(x, n) for n in where) for x in allocation.lines]

    net = await accounts_of(uow, loan_id)
    own = ("principal_balance", "accrued_interest", "late_fees", "nsf_fees", "other_fees")
    assert tuple(net[account] for account in (1100, 1110, 1120, 1125, 1126)) == _values(row, own)
    assert net[2000] == -row["unapplied_balance"]
    assert sum(net.values()) == 0
    assert -net[4000] == sum(result.accruals.values())
    controls = await ledger.reconcile(uow)
    assert ledger.reconciled(controls), controls


def _values(row: RowMapping, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
