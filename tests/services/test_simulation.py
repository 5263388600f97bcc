"""What a simulation shows is what then happens: the same payments, recorded while the days close, give the very rows."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from domain.changes import Deferred
from domain.errors import NotFound
from domain.simulation import Act, Day, PayAsDue, PayOff, PayOnce, Plan, Simulation, Skip
from infra.ids import new_id
from services.actions import act
from services.payments import PaymentRecord, RecordPayment, record
from services.simulation import simulated
from services.status_archive import status_on
from tests.services.lending import UowOf, active_loan, advance, assert_consistent, counts, open_dates, run_date

SCENARIOS: dict[str, list[Plan]] = {
    "late, then extra money, then paid off": [
        PayAsDue(),
        Skip(1),
        PayOnce(500_00, date(2020, 10, 25)),
        PayOff(date(2020, 11, 2)),
    ],
    "a deferment": [Act(Deferred(1, accrue=True, to_end=True), date(2020, 10, 1)), PayAsDue()],
}
UNTIL = date(2020, 11, 9)


async def simulate(uow_of: UowOf, tenant: UUID, loan_id: UUID, plans: list[Plan]) -> Simulation:
    async with uow_of(tenant) as uow:
        _, found = await simulated(uow, loan_id, lambda today: plans, UNTIL)
    return found


async def live(uow_of: UowOf, tenant: UUID, loan_id: UUID, day: Day, plans: list[Plan]) -> list[PaymentRecord]:
    """Let a simulated day happen: the date is opened, what was planned is recorded, it is closed."""
    async with uow_of(tenant) as uow:
        current = await uow.business_date()
    await advance(uow_of, tenant, date.fromordinal(max(current.toordinal(), day.on.toordinal() - 1)))
    await open_dates(uow_of, tenant, day.on)
    async with uow_of(tenant) as uow:
        for plan in plans:
            if isinstance(plan, Act) and plan.on == day.on:
                body = plan.body
                await act(uow, loan_id, lambda name, body=body: body, None, "as planned")
        recorded = [await record(uow, RecordPayment(loan_id, payment.amount, "check")) for payment in day.payments]
        await uow.commit()
    await run_date(uow_of, tenant, day.on)
    return recorded


@pytest.mark.parametrize("name", SCENARIOS)
async def test_advancing_the_real_date_yields_the_very_rows(uow_of: UowOf, tenant: UUID, name: str) -> None:
    plans = SCENARIOS[name]
    loan_id = await active_loan(uow_of, tenant)
    found = await simulate(uow_of, tenant, loan_id, plans)
    assert len(found.days) > 2
    for day in found.days:
        recorded = await live(uow_of, tenant, loan_id, day, plans)
        async with uow_of(tenant) as uow:
            archived = await status_on(uow, loan_id, day.on)
            await assert_consistent(uow, loan_id)
        assert archived.archived_at is not None
        now, then = archived.status, day.state
        assert (now.status, now.principal_balance, now.accrued_interest) == (
            then.status,
            then.principal_balance,
            then.accrued_interest,
        )
        assert (now.fees_balance, now.unapplied_balance, now.past_due_amount) == (
            then.fees_balance,
            then.unapplied,
            then.past_due_amount,
        )
        assert (now.days_past_due, now.next_payment_date, now.next_payment_amount) == (
            then.days_past_due,
            then.next_due_date,
            then.next_due_amount,
        )
        assert now.payoff_amount == (None if then.payoff is None else then.payoff.total)
        assert [(p.principal_applied, p.interest_applied, p.fees_applied, p.unapplied_amount) for p in recorded] == [
            (p.principal, p.interest, p.fees, p.unapplied) for p in day.payments
        ]


async def test_it_writes_nothing(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        before = await counts(uow)
        await simulated(uow, loan_id, lambda today: [PayAsDue()])
        assert await counts(uow) == before


async def test_no_such_loan(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(NotFound):
            await simulated(uow, new_id(), lambda today: [])
