"""Reversals: asked for, decided by a second person; what is done to the loan is one transaction and happens once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from domain.errors import Forbidden, NotFound, WrongState
from domain.events import Refunded
from infra.db.models.processes import payment_reversals, workflow_intents
from infra.db.models.servicing import loans, payments
from infra.db.models.tenancy import audit_log, tenants
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import corrections, reversals
from services.corrections import Planned, plan_amendments
from services.replaying import Amendment, LockedLoan, apply_event, lock_loan
from tests.domain.loans import under
from tests.services.lending import UowOf, accounts_of, active_loan, assert_consistent, counts, jump, loan_row, pay
from tests.services.reversing import OFFICER, SECOND, UowBy, asked, reverse_past_its_approval, row_of

LIMIT = 100_00


async def set_limit(uow_of: UowOf, tenant: UUID, limit: int) -> None:
    async with uow_of(tenant) as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(approval_limit=limit))
        await uow.commit()


async def messages(uow: UnitOfWork, reversal_id: UUID) -> list[str]:
    table = workflow_intents
    found = select(table.c.action).where(table.c.workflow_id == f"payment-reversal/{reversal_id}").order_by(table.c.id)
    return [row["action"] for row in await uow.all(found)]


class TestWithinTheLimit:
    async def test_the_financial_part_the_row_and_the_intent_are_one_transaction(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, LIMIT)
        await set_limit(uow_of, tenant, LIMIT)  # the limit itself needs nobody
        async with uow_by(OFFICER) as uow:
            before = await counts(uow)
            promised = await reversals.preview(uow, paid.id)
            assert (promised.approval_needed, await counts(uow)) == (False, before)
            done = await reversals.request(uow, paid.id, "nsf")
            assert done.corrected == promised.corrected
            row = await row_of(uow, done.id)
            assert (row["status"], row["step"], row["requested_by"], row["decided_by"]) == (
                "applied",
                "autopay",
                OFFICER,
                None,
            )
            assert (row["applied_on"], row["effective_date"]) == (date(2020, 9, 9), date(2020, 9, 9))
            assert await messages(uow, done.id) == ["start"]
            await assert_consistent(uow, loan_id)
        async with uow_by(OFFICER) as uow:
            assert await counts(uow) == before, "all of it, or nothing"

    async def test_the_loan_is_replayed_without_the_payment_once(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The plan by which the limit is looked at is the one that is carried out: the loan's lock is held in between."""
        paid = await pay(uow_of, tenant, await active_loan(uow_of, tenant), LIMIT)
        planned = []

        async def plan(uow: UnitOfWork, loan: LockedLoan, amendments: Sequence[Amendment]) -> Planned:
            planned.append(amendments)
            return await plan_amendments(uow, loan, amendments)

        monkeypatch.setattr(corrections, "plan_amendments", plan)
        assert (await asked(uow_by, paid.id)).corrected is not None
        assert len(planned) == 1

    async def test_two_at_once_reverse_once(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant, under(nsf_fee=25_00))
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        results = await asyncio.gather(
            *(asked(uow_by, paid.id, assess_nsf_fee=True) for _ in range(4)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, WrongState)]
        assert (len(refused), {refusal.state for refusal in refused}) == (3, {"reversed"})
        async with uow_of(tenant) as uow:
            assert (await loan_row(uow, loan_id))["nsf_fees"] == 25_00, "one fee for one return"
            assert (await accounts_of(uow, loan_id))[1125] == 25_00
            await assert_consistent(uow, loan_id)

    async def test_a_second_reversal_of_one_payment_is_impossible_in_the_database(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        done = await asked(uow_by, (await pay(uow_of, tenant, loan_id, 50_00)).id)
        async with uow_of(tenant) as uow:
            row = dict(await row_of(uow, done.id)) | {"id": new_id()}
            with pytest.raises(IntegrityError, match="uq_payment_reversals_open"):
                await uow.execute(insert(payment_reversals).values(row))

    @pytest.mark.parametrize("status", ["pending", "processing", "voided", "failed", "returned", "reversed"])
    async def test_only_a_completed_payment_and_the_state_is_named(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, status: str
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        nothing = dict.fromkeys(("principal_applied", "interest_applied", "fees_applied", "unapplied_amount"), 0)
        async with uow_by(OFFICER) as uow:
            values = {"status": status, **({} if status == "processing" else nothing)}
            await uow.execute(update(payments).where(payments.c.id == paid.id).values(values))
            before = await counts(uow)
            for attempt in (reversals.request(uow, paid.id, "nsf"), reversals.preview(uow, paid.id)):
                with pytest.raises(WrongState, match=status) as refused:
                    await attempt
                assert (refused.value.state, refused.value.allowed) == (status, ("completed",))
            assert await counts(uow) == before

    async def test_a_payment_or_a_reversal_that_is_not_there(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        async with uow_by(OFFICER) as uow:
            for attempt in (reversals.request(uow, new_id(), "nsf"), reversals.approve(uow, new_id())):
                with pytest.raises(NotFound, match="payment"):
                    await attempt
            with pytest.raises(NotFound, match="reversal of this payment"):
                await reversals.approve(uow, paid.id)


class TestAboveTheLimit:
    @pytest.fixture
    async def paid(self, uow_of: UowOf, tenant: UUID) -> tuple[UUID, UUID]:
        """A loan, and its payment of a cent more than needs nobody's approval."""
        loan_id = await active_loan(uow_of, tenant)
        await set_limit(uow_of, tenant, LIMIT)
        return loan_id, (await pay(uow_of, tenant, loan_id, LIMIT + 1)).id

    async def test_nothing_is_posted_until_a_second_person_approves(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        loan_id, payment_id = paid
        async with uow_by(OFFICER) as uow:
            before = await counts(uow)
            promised = await reversals.preview(uow, payment_id)
            assert promised.approval_needed
        waiting = await asked(uow_by, payment_id)
        assert waiting.corrected is None
        async with uow_by(SECOND) as uow:
            after = await counts(uow)
            new = {name: after[name] - before[name] for name in after if after[name] != before[name]}
            assert new == {"payment_reversals": 1, "workflow_intents": 1, "audit_log": 1}
            done = await reversals.approve(uow, payment_id, "the bank's notice is in the file")
            await uow.commit()
        assert (done.id, done.corrected) == (waiting.id, promised.corrected)
        async with uow_by(SECOND) as uow:
            row = await row_of(uow, done.id)
            assert (row["status"], row["step"], row["requested_by"], row["decided_by"]) == (
                "applied",
                "autopay",
                OFFICER,
                SECOND,
            )
            assert await messages(uow, done.id) == ["start", "signal"]
            assert (await loan_row(uow, loan_id))["principal_balance"] == 10_000_00
            table = audit_log
            found = await uow.one(select(table).where(table.c.action == "payment_reversal.approved"), "audit")
            assert (found["actor_id"], found["reason"]) == (SECOND, "the bank's notice is in the file")
            assert (found["before"]["status"], found["after"]["status"]) == ("pending_approval", "applied")
            await assert_consistent(uow, loan_id)

    async def test_the_one_who_asked_and_nobody_in_particular_may_not_decide(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        done = await asked(uow_by, paid[1])
        for uow_ in (uow_by(OFFICER), uow_of(tenant)):
            async with uow_ as uow:
                before = await counts(uow)
                for attempt in (reversals.approve(uow, paid[1]), reversals.reject(uow, paid[1], "no")):
                    with pytest.raises(Forbidden, match="second person") as refused:
                        await attempt
                    assert refused.value.code == "second_person_needed"
                assert await counts(uow) == before
        async with uow_by(OFFICER) as uow:
            with pytest.raises(IntegrityError, match="second_person"):
                values = {"decided_by": OFFICER}
                await uow.execute(update(payment_reversals).where(payment_reversals.c.id == done.id).values(values))

    async def test_a_rejected_one_leaves_the_payment_and_may_be_asked_for_again(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        first = await asked(uow_by, paid[1])
        async with uow_by(SECOND) as uow:
            await reversals.reject(uow, paid[1], "the cheque was honoured")
            await uow.commit()
        async with uow_by(SECOND) as uow:
            row = await row_of(uow, first.id)
            assert (row["status"], row["step"], row["decided_by"]) == ("rejected", "done", SECOND)
            payment = await uow.one(select(payments).where(payments.c.id == paid[1]), "payment")
            assert payment["status"] == "completed"
            for attempt in (reversals.approve(uow, paid[1]), reversals.reject(uow, paid[1], "no")):
                with pytest.raises(WrongState, match="rejected") as refused:
                    await attempt
                assert refused.value.state == "rejected"
        assert (await asked(uow_by, paid[1])).id != first.id

    async def test_while_one_waits_another_is_refused(self, uow_by: UowBy, paid: tuple[UUID, UUID]) -> None:
        results = await asyncio.gather(*(asked(uow_by, paid[1]) for _ in range(4)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, WrongState)]
        assert {(refusal.state, refusal.code) for refusal in refused} == {("pending_approval", "reversal_pending")}
        assert len(refused) == 3

    async def test_two_deciders_decide_once(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, paid: tuple[UUID, UUID]
    ) -> None:
        await asked(uow_by, paid[1])

        async def decide(approve: bool) -> str:
            async with uow_by(new_id()) as uow:
                try:
                    await (reversals.approve(uow, paid[1]) if approve else reversals.reject(uow, paid[1], "no"))
                except WrongState as refusal:
                    return refusal.state
                await uow.commit()
                return "decided"

        results = Counter(await asyncio.gather(*(decide(n % 2 == 0) for n in range(4))))
        assert results["decided"] == 1
        assert results["applied"] + results["rejected"] == 3
        async with uow_of(tenant) as uow:
            await assert_consistent(uow, paid[0])

    async def test_a_payment_that_changed_meanwhile_is_named_and_can_only_be_rejected(
        self, uow_by: UowBy, paid: tuple[UUID, UUID]
    ) -> None:
        await asked(uow_by, paid[1])
        async with uow_by(SECOND) as uow:
            await reverse_past_its_approval(uow, paid[1], "the bank returned it")
            with pytest.raises(WrongState, match="has become reversed") as refused:
                await reversals.approve(uow, paid[1])
            assert (refused.value.state, refused.value.allowed, refused.value.code) == (
                "reversed",
                ("reject",),
                "payment_changed",
            )
            await reversals.reject(uow, paid[1], "the bank was faster")
            await assert_consistent(uow, paid[0])

    async def test_a_later_event_that_would_be_impossible_is_named_at_the_approval(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await set_limit(uow_of, tenant, LIMIT)
        paid = await pay(uow_of, tenant, loan_id, 10_100_00)
        waiting = await asked(uow_by, paid.id)
        async with uow_by(SECOND) as uow:
            await apply_event(uow, await lock_loan(uow, loan_id), Refunded("r", 50_00), date(2020, 9, 9))
            await uow.commit()
        async with uow_by(SECOND) as uow:
            with pytest.raises(WrongState, match="refunded of 2020-09-09"):
                await reversals.approve(uow, paid.id)
            assert (await row_of(uow, waiting.id))["status"] == "pending_approval"


async def test_a_reversal_that_reopens_a_loan_recomputes_it_in_the_same_transaction(
    uow_of: UowOf, uow_by: UowBy, tenant: UUID
) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 10_000_00)
    await jump(uow_of, tenant, date(2020, 11, 20))
    async with uow_by(OFFICER) as uow:
        await reversals.request(uow, paid.id, "the cheque was not honoured")
        loan = await uow.one(select(loans).where(loans.c.id == loan_id), "loan")
        assert (loan["status"], loan["days_past_due"], loan["fees_balance"]) == ("active", 42, 60_00)
        found = await corrections.equivalence(uow, loan_id)
        assert found.equal
        await assert_consistent(uow, loan_id)
