"""Refunds and reimbursements: what is posted and when, and what is refused."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.events import Chargeback
from domain.shortfall import cover_shortfalls
from infra.db.models.processes import rail_payouts, workflow_intents
from infra.db.models.servicing import payments
from infra.db.models.tenancy import audit_log
from infra.ids import new_id
from services import ledger
from services.actions import act
from services.corrections import backdate, preview_void_event, void_event
from services.payments import RecordPayment, record
from services.payouts import Refund, preview_refund, preview_reimbursement, refund, reimburse
from services.replaying import Amendment, amend, lock_loan
from tests.domain.loans import LEVEL
from tests.services.lending import UowOf, accounts_of, book_loans, counts, journal_of, jump, loan_row, pay
from tests.services.refunding import FRIDAY, As, ask, assert_balanced, limit, pay_out, refunded, row_of
from tests.services.reversing import reverse


class TestRefund:
    async def test_unapplied_money_is_owed_at_once_and_cash_when_it_goes_out(self, one: As, paid: tuple[UUID, UUID]) -> None:
        loan_id, payment_id = paid
        async with one() as uow:
            shown = await preview_refund(uow, Refund(payment_id, 60_00, "paid twice"))
        payout_id = await ask(one, payment_id, 60_00)
        async with one() as uow:
            row = await row_of(uow, payout_id)
            assert (row["status"], row["amount"], row["approved_on"], row["override"]) == ("approved", 60_00, FRIDAY, False)
            assert await refunded(uow, payment_id) == 60_00
            assert (await loan_row(uow, loan_id))["unapplied_balance"] == 40_00
            net = await accounts_of(uow, loan_id)
            assert (net[2000], net[2010]) == (-40_00, -60_00)
            posted = {entry.key for entry, _ in shown.corrected.postings}
            assert f"refund:{payout_id}" not in posted, "the preview has an id of its own"
            assert shown.corrected.correction.after.unapplied == 40_00
            (intent,) = await uow.all(
                select(workflow_intents).where(workflow_intents.c.workflow_id == f"payout/{payout_id}")
            )
            assert intent["payload"] == {"tenant_id": str(uow.tenant_id), "payout_id": str(payout_id)}
            await assert_balanced(uow, loan_id)
        await pay_out(one, payout_id)
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[2010], net[1000]) == (0, LEVEL + 100_00 - 60_00 - 10_000_00)
            row = await row_of(uow, payout_id)
            assert (row["status"], row["sent_on"], row["goes_out_on"]) == ("sent", FRIDAY, FRIDAY)
            assert len(await uow.all(select(rail_payouts))) == 1
            await assert_balanced(uow, loan_id)

    async def test_in_parts_but_never_more_than_was_paid(self, one: As, paid: tuple[UUID, UUID]) -> None:
        loan_id, payment_id = paid
        await ask(one, payment_id, 60_00)
        await ask(one, payment_id, 40_00)
        with pytest.raises(WrongState, match=r"Only 0\.00") as refused:
            await ask(one, payment_id, 1)
        assert refused.value.code == "not_unapplied"
        with pytest.raises(InvalidInput, match=r"297\.47, what is left of the payment: 397\.47 paid, less 100\.00 refunded"):
            await ask(one, payment_id, LEVEL + 1, override=True)
        async with one() as uow:
            assert await refunded(uow, payment_id) == 100_00
            await assert_balanced(uow, loan_id)

    async def test_it_is_audited_with_its_reason(self, one: As, paid: tuple[UUID, UUID]) -> None:
        payout_id = await ask(one, paid[1], 60_00)
        await pay_out(one, payout_id)
        async with one() as uow:
            entries = await uow.all(select(audit_log).where(audit_log.c.object_id.in_([payout_id, paid[1]])))
        by_action = {entry["action"]: entry for entry in entries}
        assert {"payout.requested", "payment.refunded", "payout.handed_over", "payout.sent"} <= set(by_action)
        changed = by_action["payment.refunded"]
        assert (changed["before"], changed["after"]["refunded_amount"]) == ({"refunded_amount": "0.00"}, "60.00")
        assert (changed["reason"], by_action["payout.requested"]["reason"]) == ("paid twice", "paid twice")

    async def test_a_payment_whose_money_is_in_transit_or_was_taken_back_is_refused_with_its_state(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        draft = RecordPayment(paid[0], 50_00, "ach", source="autopay", status="processing", settlement_status="in_transit")
        async with one() as uow:
            in_transit = (await record(uow, draft)).id
            await reverse(uow, paid[1], "nsf")
            await uow.commit()
        for payment_id, state in ((in_transit, "processing"), (paid[1], "reversed")):
            async with one() as uow:
                before = await counts(uow)
                for attempt in (refund, preview_refund):
                    with pytest.raises(WrongState, match=f"The payment is {state}") as refused:
                        await attempt(uow, Refund(payment_id, 1_00, "x", True))
                    assert refused.value.state == state
                assert await counts(uow) == before

    async def test_a_payment_that_is_not_there(self, one: As) -> None:
        async with one() as uow:
            for attempt in (refund(uow, Refund(new_id(), 1, "x")), preview_refund(uow, Refund(new_id(), 1, "x"))):
                with pytest.raises(NotFound, match="payment"):
                    await attempt

    async def test_what_was_charged_back_is_not_refunded_too(self, one: As, paid: tuple[UUID, UUID]) -> None:
        async with one() as uow:
            await act(uow, paid[0], lambda name: Chargeback(name, str(paid[1]), 300_00), None, "disputed")
            with pytest.raises(InvalidInput, match=r"97\.47, what is left .* less 300\.00 charged back"):
                await refund(uow, Refund(paid[1], 97_48, "x", True))

    async def test_a_refund_stands_while_its_payment_stands(self, one: As, paid: tuple[UUID, UUID]) -> None:
        """Staff cannot take back money that was given back, nor take the refund out of the history."""
        loan_id, payment_id = paid
        await ask(one, payment_id, 60_00)
        async with one() as uow:
            before = await counts(uow)
            with pytest.raises(WrongState, match=r"given back .* would take more than came in"):
                await reverse(uow, payment_id, "nsf")
            for attempt in (void_event(uow, loan_id, 4, "x"), preview_void_event(uow, loan_id, 4)):
                with pytest.raises(WrongState, match="is part of payout") as refused:
                    await attempt
                assert refused.value.code == "part_of_a_payout"
            assert await counts(uow) == before

    async def test_a_refunded_payment_can_be_returned_by_the_bank(self, one: As, paid: tuple[UUID, UUID]) -> None:
        """The refund keeps its amount, and the borrower owes it (1130)."""
        loan_id, payment_id = paid
        payout_id = await ask(one, payment_id, 60_00)
        async with one() as uow:
            loan = await lock_loan(uow, loan_id)
            kept = [event for event in loan.events if getattr(event.body, "payment_id", None) != str(payment_id)]
            changed = cover_shortfalls(loan.terms, kept, FRIDAY)
            by_place = {record.position: record for record in loan.records}
            back = next(r for r in loan.records if getattr(r.body, "payment_id", None) == str(payment_id))
            covered = [Amendment(body, by_place[n].effective_date, by_place[n]) for n, body in changed.items()]
            await amend(uow, loan, [Amendment(None, back.effective_date, back), *covered], "R01")
            await uow.commit()
        await pay_out(one, payout_id)
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[1130], net[2010], net[2000]) == (60_00, 0, 0)
            assert ledger.reconciled(await ledger.reconcile(uow))


class TestOverride:
    async def test_the_payment_pays_as_if_it_had_been_smaller(self, one: As, paid: tuple[UUID, UUID]) -> None:
        loan_id, payment_id = paid
        payout_id = await ask(one, payment_id, 150_00, override=True)
        async with one() as uow:
            assert (await row_of(uow, payout_id))["override"] is True
            payment = await uow.one(select(payments).where(payments.c.id == payment_id), "payment")
            assert (payment["amount"], payment["refunded_amount"], payment["status"]) == (
                LEVEL + 100_00,
                150_00,
                "completed",
            )
            assert (payment["unapplied_amount"], payment["interest_applied"]) == (150_00, 36_99)
            assert payment["principal_applied"] == LEVEL - 50_00 - 36_99
            loan = await loan_row(uow, loan_id)
            assert (loan["unapplied_balance"], loan["next_due_amount"]) == (0, 50_00)
            await assert_balanced(uow, loan_id)
        await pay_out(one, payout_id)
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[2000], net[2010], net[1010]) == (0, 0, 0)
            await assert_balanced(uow, loan_id)

    async def test_after_a_refund_of_what_was_unapplied_and_until_nothing_is_left(
        self, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        loan_id, payment_id = paid
        for amount, override in ((100_00, False), (97_47, True), (200_00, True)):
            await ask(one, payment_id, amount, override=override)
            async with one() as uow:
                await assert_balanced(uow, loan_id)
        async with one() as uow:
            assert await refunded(uow, payment_id) == LEVEL + 100_00
            loan = await loan_row(uow, loan_id)
            assert (loan["unapplied_balance"], loan["principal_balance"]) == (0, 10_000_00)
            with pytest.raises(InvalidInput, match=r"0\.00, what is left"):
                await refund(uow, Refund(payment_id, 1, "x", True))

    async def test_weeks_later_when_unapplied_money_has_long_been_applied(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        """The 100.00 paid a part of November's instalment; without them its late fee arises."""
        loan_id, payment_id = paid
        await jump(uow_of, tenant, date(2020, 11, 9))
        await pay(uow_of, tenant, loan_id, LEVEL - 100_00)
        await jump(uow_of, tenant, date(2020, 12, 1))
        async with one() as uow:
            assert (await loan_row(uow, loan_id))["fees_balance"] == 0
        await ask(one, payment_id, 100_00, override=True)
        async with one() as uow:
            loan = await loan_row(uow, loan_id)
            assert (loan["unapplied_balance"], loan["past_due_amount"]) == (0, 100_00)
            assert loan["fees_balance"] == 30_00
            await assert_balanced(uow, loan_id)

    async def test_it_leaves_what_is_promised_to_others(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID]
    ) -> None:
        await limit(uow_of, tenant, 90_00)
        await ask(one, paid[1], 95_00)
        with pytest.raises(Conflict, match=r"95\.00 of unapplied funds is promised") as refused:
            await ask(one, paid[1], 80_00, override=True)
        assert refused.value.code == "unapplied_promised"

    @pytest.mark.parametrize("on", [date(2020, 10, 1), date(2020, 10, 15), date(2020, 11, 12)])
    async def test_the_payment_can_still_be_moved_to_another_day(
        self, uow_of: UowOf, tenant: UUID, one: As, paid: tuple[UUID, UUID], on: date
    ) -> None:
        loan_id, payment_id = paid
        await ask(one, payment_id, 100_00)
        await ask(one, payment_id, 50_00, override=True)
        await jump(uow_of, tenant, date(2020, 11, 12))
        async with one() as uow:
            await backdate(uow, payment_id, on)
            assert (await loan_row(uow, loan_id))["unapplied_balance"] == 0
            assert await refunded(uow, payment_id) == 150_00
            await assert_balanced(uow, loan_id)


class TestReimbursement:
    async def test_goodwill_is_the_lender_s_and_no_payment(self, one: As, paid: tuple[UUID, UUID]) -> None:
        loan_id, _ = paid
        async with one() as uow:
            before = dict(await loan_row(uow, loan_id))
            was = await accounts_of(uow, loan_id)
            shown = await preview_reimbursement(uow, loan_id, 25_00)
            payout_id = await reimburse(uow, loan_id, 25_00, "our mistake")
            await uow.commit()
        assert shown.corrected.correction.after.unapplied == 100_00
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[5020], net[2010], net[1000]) == (25_00, -25_00, was[1000])
            after = dict(await loan_row(uow, loan_id))
            changing = {"last_sequence", "updated_at", "processed_through", "state_hash"}
            assert {k: v for k, v in after.items() if k not in changing} == {
                k: v for k, v in before.items() if k not in changing
            }
            await assert_balanced(uow, loan_id)
        await pay_out(one, payout_id)
        async with one() as uow:
            net = await accounts_of(uow, loan_id)
            assert (net[5020], net[2010], net[1000]) == (25_00, 0, was[1000] - 25_00)
            keys = [row["entry_key"] for row in await journal_of(uow, loan_id)]
            assert keys[-2:] == [f"reimbursement:{payout_id}", f"reimbursement:{payout_id}:sent"]
            await assert_balanced(uow, loan_id)

    async def test_a_loan_that_has_not_begun_pays_nothing_out(self, one: As) -> None:
        async with one() as uow:
            (loan_id,) = await book_loans(uow)
            for attempt in (reimburse(uow, loan_id, 1_00, "x"), preview_reimbursement(uow, loan_id, 1_00)):
                with pytest.raises(WrongState, match="The loan is boarding"):
                    await attempt
