"""An approved payout that is taken back before the rail has it: the loan and the books are as if it had not been."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import NotFound, WrongState
from domain.events import PaymentReceived, Refunded
from infra.db.models.tenancy import audit_log
from infra.ids import new_id
from services import paying_out
from services.payouts import approve, cancel, reimburse
from services.replaying import load_loan
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, accounts_of, counts, journal_of, loan_row, pay
from tests.services.refunding import As, ask, assert_balanced, intents, limit, refunded, row_of
from tests.services.reversing import preview_reverse, reverse


async def cancelled(as_: As, payout_id: UUID, reason: str = "keep it on the loan") -> None:
    async with as_() as uow:
        await cancel(uow, payout_id, reason)
        await uow.commit()


class TestCancel:
    @pytest.mark.parametrize("override", [False, True])
    async def test_the_loan_is_what_it_was_and_the_ledger_says_how(
        self, one: As, other: As, paid: tuple[UUID, UUID], override: bool
    ) -> None:
        loan_id, payment_id = paid
        async with one() as uow:
            was, state = await accounts_of(uow, loan_id), (await loan_row(uow, loan_id))["state_hash"]
        payout_id = await ask(one, payment_id, 150_00 if override else 60_00, override=override)
        async with one() as uow:
            assert (await accounts_of(uow, loan_id))[2010] < 0
        await cancelled(other, payout_id)
        async with one() as uow:
            row = await row_of(uow, payout_id)
            assert (row["status"], row["cancel_reason"]) == ("cancelled", "keep it on the loan")
            assert (row["cancelled_on"], row["cancelled_by"] is not None) == (date(2020, 10, 9), True)
            assert await refunded(uow, payment_id) == 0
            assert +await accounts_of(uow, loan_id) == +was
            assert (await loan_row(uow, loan_id))["state_hash"] == state
            kinds = [e["kind"] for e in await journal_of(uow, loan_id) if e["entry_key"] == f"refund:{payout_id}"]
            assert kinds == ["refund", "mirror"]
            await assert_balanced(uow, loan_id)
            entry = await uow.one(select(audit_log).where(audit_log.c.action == "payout.cancelled"), "audit")
            assert (entry["before"]["status"], entry["reason"]) == ("approved", "keep it on the loan")
            told = [(i["action"], i["message_name"]) for i in await intents(uow, payout_id)]
            assert sorted(told) == [("signal", "changed"), ("start", None)]

    async def test_a_reimbursement_too(self, one: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID]) -> None:
        loan_id, _ = paid
        async with one() as uow:
            payout_id = await reimburse(uow, loan_id, 25_00, "our mistake")
            await uow.commit()
        await cancelled(one, payout_id)
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[2010], net[5020]) == (0, 0)
            await assert_balanced(uow, loan_id)

    async def test_only_what_was_approved_and_the_rail_has_not_taken(
        self, one: As, other: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        """Every other state is named, and nothing is written."""
        sent, on_the_rail = [await ask(one, paid[1], 10_00) for _ in range(2)]
        async with one() as uow:
            await paying_out.hand_over(uow, sent)
            await paying_out.send(uow, sent)
            await paying_out.hand_over(uow, on_the_rail)
            await uow.commit()
        await limit(uow_of, tenant, 5_00)
        waiting = await ask(one, paid[1], 10_00)
        async with one() as uow:
            before = await counts(uow)
            for payout_id, says in (
                (sent, "is sent, so cancel is refused; nothing"),
                (on_the_rail, "is approved, and the rail has taken it to send it on 2020-10-09, so cancel is refused"),
                (waiting, "is pending_approval, so cancel is refused; it can be: approve, reject"),
            ):
                with pytest.raises(WrongState, match=says):
                    await cancel(uow, payout_id, "x")
            with pytest.raises(NotFound):
                await cancel(uow, new_id(), "x")
            assert await counts(uow) == before

    async def test_one_of_cancel_and_the_rail_wins(self, one: As, paid: tuple[UUID, UUID]) -> None:
        """At the same moment, ten times: never both, and what is cancelled is never sent."""
        for _ in range(10):
            payout_id = await ask(one, paid[1], 1_00)

            async def take_back(payout_id: UUID = payout_id) -> bool:
                try:
                    await cancelled(one, payout_id)
                except WrongState:
                    return False
                return True

            async def hand_over(payout_id: UUID = payout_id) -> bool:
                async with one() as uow:
                    plan = await paying_out.hand_over(uow, payout_id)
                    await uow.commit()
                async with one() as uow:
                    await paying_out.send(uow, payout_id)
                    await uow.commit()
                return plan.goes_out_on is not None

            taken_back, handed_over = await asyncio.gather(take_back(), hand_over())
            assert taken_back != handed_over
            async with one() as uow:
                assert (await row_of(uow, payout_id))["status"] == ("cancelled" if taken_back else "sent")
        async with one() as uow:
            await assert_balanced(uow, paid[0])

    async def test_what_it_was_to_give_back_may_be_asked_for_again(self, one: As, paid: tuple[UUID, UUID]) -> None:
        payout_id = await ask(one, paid[1], LEVEL + 100_00, override=True)
        await cancelled(one, payout_id)
        again = await ask(one, paid[1], LEVEL + 100_00, override=True)
        async with one() as uow:
            assert (await row_of(uow, again))["status"] == "approved"
            await assert_balanced(uow, paid[0])

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
    async def test_several_refunds_of_a_payment_are_cancelled_in_any_order(
        self, one: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID], order: tuple[int, ...]
    ) -> None:
        """One of unapplied funds before, one beyond them, one of unapplied funds that come with another payment."""
        loan_id, payment_id = paid
        refunds = [await ask(one, payment_id, 40_00), await ask(one, payment_id, 160_00, override=True)]
        await pay(uow_of, tenant, loan_id, LEVEL + 120_00)
        refunds.append(await ask(one, payment_id, 20_00))
        for number in order:
            await cancelled(one, refunds[number])
            async with one() as uow:
                await assert_balanced(uow, loan_id)
        async with one() as uow:
            assert await refunded(uow, payment_id) == 0
            assert (await loan_row(uow, loan_id))["unapplied_balance"] == 220_00
            bodies = [event.body for event in (await load_loan(uow, loan_id)).events]
            assert [b.withheld for b in bodies if isinstance(b, PaymentReceived)] == [None, None]
            assert not [b for b in bodies if isinstance(b, Refunded)]

    async def test_a_payment_whose_refund_was_cancelled_can_be_reversed(self, one: As, paid: tuple[UUID, UUID]) -> None:
        payout_id = await ask(one, paid[1], 60_00)
        async with one() as uow:
            with pytest.raises(WrongState, match="Cancel what was refunded"):
                await preview_reverse(uow, paid[1])
        await cancelled(one, payout_id)
        async with one() as uow:
            await reverse(uow, paid[1], "nsf")
            await assert_balanced(uow, paid[0])

    async def test_a_second_person_s_approval_is_kept_on_the_row(
        self, one: As, other: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        await limit(uow_of, tenant, 5_00)
        payout_id = await ask(one, paid[1], 10_00)
        async with other() as uow:
            await approve(uow, payout_id)
            await uow.commit()
        await cancelled(one, payout_id)
        async with one() as uow:
            row = await row_of(uow, payout_id)
            assert row["decided_by"] != row["requested_by"] == row["cancelled_by"]


async def test_money_that_came_later_and_used_the_room_is_named(
    one: As, uow_of: UowOf, tenant: UUID, paid: tuple[UUID, UUID]
) -> None:
    """A loan paid off after the refund: with it taken back the payoff leaves money unapplied, which is no harm."""
    loan_id, payment_id = paid
    payout_id = await ask(one, payment_id, 150_00, override=True)
    async with one() as uow:
        owed = await loan_row(uow, loan_id)
    await pay(uow_of, tenant, loan_id, owed["principal_balance"] + owed["accrued_interest"] + owed["fees_balance"])
    await cancelled(one, payout_id)
    async with one() as uow:
        row = await loan_row(uow, loan_id)
        assert row["status"] == "paid_off"
        assert row["unapplied_balance"] == 150_00
        await assert_balanced(uow, loan_id)
