"""What the tests of refunds do: ask for one, pay it out, look at what became of the loan and the books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from domain.program import ExtraMoney
from infra.db.models.processes import payouts, workflow_intents
from infra.db.models.servicing import payments
from infra.db.models.tenancy import tenants
from infra.db.uow import UnitOfWork
from services import ledger, paying_out
from services.corrections import equivalence
from services.payouts import Refund, refund
from tests.domain.loans import under
from tests.services.lending import UowOf, assert_consistent

KEPT = under(extra_money=ExtraMoney.UNAPPLIED)
THURSDAY, FRIDAY = date(2020, 10, 8), date(2020, 10, 9)
SATURDAY, TUESDAY = date(2020, 10, 10), date(2020, 10, 13)
"""Monday, 12 October 2020, is Columbus Day."""

As = Callable[[], UnitOfWork]


async def limit(uow_of: UowOf, tenant: UUID, amount: int) -> None:
    async with uow_of(tenant) as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(approval_limit=amount))
        await uow.commit()


async def ask(as_: As, payment_id: UUID, amount: int, *, override: bool = False) -> UUID:
    async with as_() as uow:
        payout_id = await refund(uow, Refund(payment_id, amount, "paid twice", override))
        await uow.commit()
    return payout_id


async def row_of(uow: UnitOfWork, payout_id: UUID) -> RowMapping:
    return await uow.one(select(payouts).where(payouts.c.id == payout_id), "payout")


async def refunded(uow: UnitOfWork, payment_id: UUID) -> int:
    row = await uow.one(select(payments.c.refunded_amount).where(payments.c.id == payment_id), "payment")
    return int(row["refunded_amount"])


async def intents(uow: UnitOfWork, payout_id: UUID) -> Sequence[RowMapping]:
    return await uow.all(select(workflow_intents).where(workflow_intents.c.workflow_id == f"payout/{payout_id}"))


async def assert_balanced(uow: UnitOfWork, loan_id: UUID) -> None:
    """Caches, reconciliation, trial balance, and a fresh loan with the same events."""
    await assert_consistent(uow, loan_id)
    balances = await ledger.trial_balance(uow, date(2030, 1, 1))
    assert sum(each.debit for each in balances) == sum(each.credit for each in balances) > 0
    assert (await equivalence(uow, loan_id)).equal


async def pay_out(as_: As, payout_id: UUID) -> None:
    """What the workflow does, each step twice."""
    for step in (paying_out.hand_over, paying_out.hand_over, paying_out.send, paying_out.send):
        async with as_() as uow:
            await step(uow, payout_id)
            await uow.commit()
