"""Payouts under many hands: the second person, twenty requests at once, and steps of the process that run twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Conflict, Forbidden, Refusal, WrongState
from domain.events import UnappliedApplied
from infra.db.models.processes import rail_payouts
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from services import paying_out
from services.actions import act
from services.payouts import approve, reimburse, reject
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, accounts_of, counts, journal_of, jump, loan_row
from tests.services.refunding import (
    FRIDAY,
    SATURDAY,
    TUESDAY,
    As,
    ask,
    assert_balanced,
    intents,
    limit,
    pay_out,
    refunded,
    row_of,
)


class TestApproval:
    async def test_above_the_limit_nothing_is_posted_until_another_person_approves(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID]
    ) -> None:
        loan_id, payment_id = paid
        await limit(uow_of, tenant, 50_00)
        async with one() as uow:
            was = await accounts_of(uow, loan_id)
        payout_id = await ask(one, payment_id, 50_01)
        async with one() as uow:
            assert (await row_of(uow, payout_id))["status"] == "pending_approval"
            assert await refunded(uow, payment_id) == 0
            assert await accounts_of(uow, loan_id) == was
            assert not await intents(uow, payout_id)
            with pytest.raises(Forbidden) as refused:
                await approve(uow, payout_id)
            assert refused.value.code == "second_person_needed"
        async with other() as uow:
            await approve(uow, payout_id)
            await uow.commit()
        async with other() as uow:
            row = await row_of(uow, payout_id)
            assert (row["status"], row["decided_by"], row["approved_on"]) == ("approved", uow.actor.id, FRIDAY)
            assert await refunded(uow, payment_id) == 50_01
            assert (await accounts_of(uow, loan_id))[2010] == -50_01
            with pytest.raises(WrongState, match="The payout is approved"):
                await approve(uow, payout_id)
            await assert_balanced(uow, loan_id)

    async def test_what_is_asked_for_is_not_promised_twice_and_free_again_once_rejected(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID]
    ) -> None:
        loan_id, payment_id = paid
        await limit(uow_of, tenant, 50_00)
        waiting = await ask(one, payment_id, 80_00)
        with pytest.raises(WrongState, match=r"Only 20\.00 .* \(80\.00 more is promised"):
            await ask(one, payment_id, 20_01)
        async with one() as uow:
            with pytest.raises(Conflict, match="promised"):
                await act(uow, loan_id, lambda name: UnappliedApplied(name, 20_01), None, "x")
        async with one() as uow:
            with pytest.raises(Forbidden):
                await reject(uow, waiting, "changed my mind")
        async with other() as uow:
            await reject(uow, waiting, "not an overpayment")
            await uow.commit()
        async with one() as uow:
            row = await row_of(uow, waiting)
            assert (row["status"], row["decision_reason"]) == ("rejected", "not an overpayment")
        await ask(one, payment_id, 20_01)
        async with one() as uow:
            await assert_balanced(uow, loan_id)

    async def test_money_that_is_gone_when_it_is_approved_is_refused(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID]
    ) -> None:
        """By itself it paid November's instalment; the request stays, to be rejected."""
        loan_id, payment_id = paid
        await limit(uow_of, tenant, 50_00)
        waiting = await ask(one, payment_id, 80_00)
        await jump(uow_of, tenant, date(2020, 11, 9))
        async with other() as uow:
            before = await counts(uow)
            with pytest.raises(WrongState, match=r"Only 0\.00") as refused:
                await approve(uow, waiting)
            assert refused.value.code == "not_unapplied"
            assert await counts(uow) == before
        async with one() as uow:
            assert (await row_of(uow, waiting))["status"] == "pending_approval"
            await assert_balanced(uow, loan_id)

    async def test_an_override_is_approved_as_one(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID]
    ) -> None:
        await limit(uow_of, tenant, 50_00)
        waiting = await ask(one, paid[1], 150_00, override=True)
        async with other() as uow:
            await approve(uow, waiting)
            await uow.commit()
        async with one() as uow:
            assert (await loan_row(uow, paid[0]))["next_due_amount"] == 50_00
            await assert_balanced(uow, paid[0])

    async def test_a_reimbursement_too(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID]
    ) -> None:
        await limit(uow_of, tenant, 0)
        async with one() as uow:
            waiting = await reimburse(uow, paid[0], 10_00, "our mistake")
            await uow.commit()
            assert (await accounts_of(uow, paid[0]))[2010] == 0
        async with other() as uow:
            await approve(uow, waiting)
            assert (await accounts_of(uow, paid[0]))[2010] == -10_00

    async def test_two_approve_at_once_and_it_is_posted_once(
        self, uow_of: UowOf, tenant: UUID, one: As, other: As, paid: tuple[UUID, UUID], engine: AsyncEngine
    ) -> None:
        await limit(uow_of, tenant, 0)
        waiting = await ask(one, paid[1], 60_00)

        async def attempt() -> str:
            async with UnitOfWork(engine, tenant, Actor(ActorKind.USER, new_id())) as uow:
                try:
                    await approve(uow, waiting)
                except WrongState as refusal:
                    return refusal.state
                await uow.commit()
                return "done"

        assert sorted(await asyncio.gather(*(attempt() for _ in range(5)))) == ["approved"] * 4 + ["done"]
        async with one() as uow:
            assert await refunded(uow, paid[1]) == 60_00
            await assert_balanced(uow, paid[0])


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("needs_approval", [False, True])
async def test_twenty_refunds_at_once_never_give_more_than_there_is(
    uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID], override: bool, needs_approval: bool
) -> None:
    loan_id, payment_id = paid
    if needs_approval:
        await limit(uow_of, tenant, 0)

    async def attempt() -> int:
        try:
            await ask(one, payment_id, 30_00, override=override)
        except Refusal:
            return 0
        return 30_00

    given = sum(await asyncio.gather(*(attempt() for _ in range(20))))
    async with one() as uow:
        most = LEVEL + 100_00 if override else 100_00
        if not (override and needs_approval):
            assert given == most // 30_00 * 30_00
        assert 0 < given <= most
        assert await refunded(uow, payment_id) == (0 if needs_approval else given)
        await assert_balanced(uow, loan_id)


class TestPayingOut:
    async def test_a_weekend_waits_for_the_banking_day(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        loan_id, payment_id = paid
        await jump(uow_of, tenant, SATURDAY)
        payout_id = await ask(one, payment_id, 60_00)
        await pay_out(one, payout_id)
        async with one() as uow:
            row = await row_of(uow, payout_id)
            assert (row["status"], row["goes_out_on"], row["sent_on"]) == ("approved", TUESDAY, None)
            assert (await accounts_of(uow, loan_id))[2010] == -60_00
        await jump(uow_of, tenant, date(2020, 10, 14))
        await pay_out(one, payout_id)
        async with one() as uow:
            row = await row_of(uow, payout_id)
            assert (row["status"], row["sent_on"]) == ("sent", TUESDAY), "the day of the rail, though we look later"
            await assert_balanced(uow, loan_id)

    async def test_nothing_goes_out_that_was_not_approved(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        await limit(uow_of, tenant, 0)
        payout_id = await ask(one, paid[1], 60_00)
        await pay_out(one, payout_id)
        async with one() as uow:
            assert (await row_of(uow, payout_id))["status"] == "pending_approval"
            assert not await uow.all(select(rail_payouts))

    async def test_handing_over_at_once_from_two_places_is_handing_over_once(self, one: As, paid: tuple[UUID, UUID]) -> None:
        payout_id = await ask(one, paid[1], 60_00)

        async def step(of: Callable[[UnitOfWork, UUID], Awaitable[object]]) -> None:
            async with one() as uow:
                await of(uow, payout_id)
                await uow.commit()

        await asyncio.gather(*(step(paying_out.hand_over) for _ in range(5)))
        await asyncio.gather(*(step(paying_out.send) for _ in range(5)))
        async with one() as uow:
            (handed,) = await uow.all(select(rail_payouts))
            assert (handed["amount"], handed["accepted_on"]) == (60_00, FRIDAY)
            keys = [row["entry_key"] for row in await journal_of(uow, paid[0])]
            assert keys.count(f"refund:{payout_id}:sent") == 1
            await assert_balanced(uow, paid[0])
