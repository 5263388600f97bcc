"""Reversals as processes: asked for, decided by a second person, followed up; whatever runs twice happens once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Forbidden, NotFound, WrongState
from domain.events import Refunded
from domain.reversal import NoticeOutcome, ReversalStatus, ReversalStep
from infra.db.models.archive import status_archive, status_restatements
from infra.db.models.processes import autopay_drafts, payment_reversals, workflow_intents
from infra.db.models.servicing import borrowers, loans, payments
from infra.db.models.tenancy import audit_log, tenants
from infra.db.repositories.autopay import count_pending
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from services import autopay, corrections, drafts, reversals
from services.replaying import apply_event, lock_loan
from services.status_archive import Basis, status_on
from tests.domain.loans import under
from tests.services.lending import UowOf, accounts_of, active_loan, advance, assert_consistent, counts, jump, loan_row, pay
from tests.workflows.platform import Rows

OFFICER, SECOND = new_id(), new_id()
LIMIT = 100_00
UowBy = Callable[[UUID], UnitOfWork]


@pytest.fixture
def uow_by(engine: AsyncEngine, tenant: UUID) -> UowBy:
    """A unit of work of a member of staff."""
    return lambda user: UnitOfWork(engine, tenant, Actor(ActorKind.USER, user))


async def row_of(uow: UnitOfWork, reversal_id: UUID) -> RowMapping:
    return await uow.one(select(payment_reversals).where(payment_reversals.c.id == reversal_id), "reversal")


async def set_limit(uow_of: UowOf, tenant: UUID, limit: int) -> None:
    async with uow_of(tenant) as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(approval_limit=limit))
        await uow.commit()


async def asked(uow_by: UowBy, payment_id: UUID, **options: Any) -> reversals.Reversal:
    async with uow_by(OFFICER) as uow:
        result = await reversals.request(uow, payment_id, "nsf", **options)
        await uow.commit()
    return result


async def messages(uow: UnitOfWork, reversal_id: UUID) -> list[str]:
    table = workflow_intents
    found = select(table.c.action).where(table.c.workflow_id == f"payment-reversal/{reversal_id}").order_by(table.c.id)
    return [row["action"] for row in await uow.all(found)]


async def follow_up(uow_of: UowOf, tenant: UUID, reversal_id: UUID, times: int = 1) -> None:
    """What the workflow does, each step so many times."""
    for _ in range(times):
        async with uow_of(tenant) as uow:
            await reversals.replan_autopay(uow, reversal_id)
            await uow.commit()
    done = False
    while not done:
        async with uow_of(tenant) as uow:
            done = await reversals.restate_page(uow, reversal_id)
            await uow.commit()
    for _ in range(times):
        async with uow_of(tenant) as uow:
            await reversals.finish(uow, reversal_id, NoticeOutcome.SENT)
            await uow.commit()


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
            assert (await reversals.preview(uow, payment_id)).approval_needed
        waiting = await asked(uow_by, payment_id)
        assert waiting.corrected is None
        async with uow_by(SECOND) as uow:
            after = await counts(uow)
            new = {name: after[name] - before[name] for name in after if after[name] != before[name]}
            assert new == {"payment_reversals": 1, "workflow_intents": 1, "audit_log": 1}
            promised = await corrections.preview_reverse(uow, payment_id)
            done = await reversals.approve(uow, payment_id, "the bank's notice is in the file")
            await uow.commit()
        assert (done.id, done.corrected) == (waiting.id, promised)
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
            await corrections.reverse(uow, paid[1], "the bank returned it")
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


class TestFollowUp:
    async def test_each_step_twice_is_once(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        """An instalment paid ahead of its date is drafted after all; each step runs three times."""
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        paid = await pay(uow_of, tenant, borrowed.loan_id, 297_47)
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
        await advance(uow_of, tenant, date(2020, 9, 12))
        done = await asked(uow_by, paid.id)

        await follow_up(uow_of, tenant, done.id, times=3)

        assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 10, 9)
        told = await rows.intents(f"autopay/{enrolment_id}")
        assert [intent["action"] for intent in told] == ["start", "signal"]
        async with uow_of(tenant) as uow:
            row = await row_of(uow, done.id)
            assert (row["status"], row["step"], row["notice"]) == ("completed", "done", "sent")
            assert (row["autopay_outcome"], row["autopay_enrolment_id"]) == ("replanned", enrolment_id)
            days = await uow.all(select(status_restatements).order_by(status_restatements.c.as_of))
            assert [item["as_of"] for item in days] == [date(2020, 9, day) for day in (10, 11, 12)]
            completed = select(audit_log).where(audit_log.c.action == "payment_reversal.completed")
            assert len(await uow.all(completed)) == 1

    async def test_an_autopay_that_waits_for_the_same_date_only_looks_again(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        """The loan is paid off before the first draft, and open again after the reversal: the draft is of its date."""
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        paid = await pay(uow_of, tenant, borrowed.loan_id, 10_000_00)
        done = await asked(uow_by, paid.id)
        await follow_up(uow_of, tenant, done.id)
        async with uow_of(tenant) as uow:
            row = await row_of(uow, done.id)
            assert (row["loan_reopened"], row["autopay_outcome"]) == (True, "told")
            plan = await drafts.plan(uow, enrolment_id)
            assert (plan.status, plan.next_process_date) == ("active", date(2020, 10, 9))
            await assert_consistent(uow, borrowed.loan_id)

    async def test_a_date_that_passes_before_autopay_could_look_is_drafted_all_the_same(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        """Temporal is away over the due date; a sandbox's date is not moved on while the autopay has not looked."""
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        paid = await pay(uow_of, tenant, borrowed.loan_id, 297_47)
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        done = await asked(uow_by, paid.id)
        async with uow_of(tenant) as uow:
            assert await count_pending(uow, date(2020, 9, 9)) == 1
        await jump(uow_of, tenant, date(2020, 10, 12))
        async with uow_of(tenant) as uow:
            await reversals.replan_autopay(uow, done.id)
            assert await count_pending(uow, date(2020, 10, 12)) == 1, "the enrolment itself"
            await drafts.prepare_draft(uow, enrolment_id, date(2020, 10, 9))
            (draft,) = await uow.all(select(autopay_drafts))
            assert (draft["amount"], draft["status"]) == (297_47, "pending")

    async def test_a_period_that_was_decided_is_not_drafted_a_second_time(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        """Nothing was due on the draft's own day, because of the payment that is then reversed on that day."""
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        paid = await pay(uow_of, tenant, borrowed.loan_id, 297_47)
        await jump(uow_of, tenant, date(2020, 10, 9))
        async with uow_of(tenant) as uow:
            await drafts.prepare_draft(uow, enrolment_id, date(2020, 10, 9))
            await uow.commit()
        done = await asked(uow_by, paid.id)
        async with uow_of(tenant) as uow:
            await reversals.replan_autopay(uow, done.id)
            row = await row_of(uow, done.id)
            plan = await drafts.plan(uow, enrolment_id)
        assert (row["autopay_outcome"], plan.next_process_date) == ("told", date(2020, 11, 9))

    @pytest.mark.parametrize(("ended_by", "outcome"), [("payoff", "ended"), ("staff", "none")])
    async def test_an_autopay_that_ended_with_the_loan_stays_ended_and_that_is_said(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID, ended_by: str, outcome: str
    ) -> None:
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        paid = await pay(uow_of, tenant, borrowed.loan_id, 10_000_00)
        async with uow_of(tenant) as uow:
            if ended_by == "staff":
                await autopay.cancel(uow, borrowed.loan_id, "moved away")
            await drafts.plan(uow, enrolment_id)
            await uow.execute(update(borrowers).values(email="jane@example.com"))
            await uow.commit()
        done = await asked(uow_by, paid.id)
        async with uow_of(tenant) as uow:
            await reversals.replan_autopay(uow, done.id)
            await reversals.restate_page(uow, done.id)
            row = await row_of(uow, done.id)
            assert (row["autopay_outcome"], row["autopay_enrolment_id"]) == (
                outcome,
                enrolment_id if outcome == "ended" else None,
            )
            mail = await reversals.letter(uow, done.id)
            assert mail is not None
            assert ("do not begin again by themselves" in mail.body) == (outcome == "ended")
        assert (await rows.enrolment(enrolment_id))["status"] in ("completed", "cancelled")

    async def test_the_letter_says_what_happened_and_has_one_key(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant, under(nsf_fee=25_00))
        paid = await pay(uow_of, tenant, loan_id, 50_00)
        done = await asked(uow_by, paid.id, assess_nsf_fee=True)
        async with uow_of(tenant) as uow:
            assert await reversals.letter(uow, done.id) is None, "not before its step"
            await reversals.replan_autopay(uow, done.id)
            await reversals.restate_page(uow, done.id)
            assert await reversals.letter(uow, done.id) is None, "there is no address"
            await uow.execute(update(borrowers).values(email="jane@example.com"))
            first, again = await reversals.letter(uow, done.id), await reversals.letter(uow, done.id)
            assert first is not None
            assert first == again
            assert (first.to, first.key) == ("jane@example.com", f"payment-reversal-{done.id}")
            assert "Hello John Doe" in first.body
            assert "payment of 50.00 of 2020-09-09 has been reversed" in first.body
            assert "A fee of 25.00" in first.body
            assert "paid off" not in first.body
            assert "nsf" not in first.body, "the reason is for staff"
            await reversals.finish(uow, done.id, NoticeOutcome.SENT)
            assert await reversals.letter(uow, done.id) is None

    async def test_progress_is_the_rows(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        done = await asked(uow_by, (await pay(uow_of, tenant, loan_id, 50_00)).id)
        async with uow_of(tenant) as uow:
            assert await reversals.progress(uow, done.id) == (ReversalStatus.APPLIED, ReversalStep.AUTOPAY)
            with pytest.raises(NotFound):
                await reversals.progress(uow, new_id())


class TestRestatedDays:
    async def test_they_are_the_archived_days_on_which_the_other_basis_says_something_else(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        """In pages of four days, from the payment's effective date on; what is recorded later changes nothing."""
        loan_id = await active_loan(uow_of, tenant)
        await advance(uow_of, tenant, date(2020, 10, 7))
        paid = await pay(uow_of, tenant, loan_id, 297_47)
        await advance(uow_of, tenant, date(2020, 10, 20))
        done = await asked(uow_by, paid.id)
        await pay(uow_of, tenant, loan_id, 297_47, date(2020, 10, 8))
        async with uow_of(tenant) as uow:
            await reversals.replan_autopay(uow, done.id)
            archived = await uow.all(select(status_archive).where(status_archive.c.loan_id == loan_id))
            pages = [await reversals.restate_page(uow, done.id, 4)]
            while not pages[-1]:
                pages.append(await reversals.restate_page(uow, done.id, 4))
            assert pages == [False, False, False, True]
            assert await reversals.restate_page(uow, done.id, 4)
            assert await uow.all(select(status_archive).where(status_archive.c.loan_id == loan_id)) == archived
            rows = await uow.all(select(status_restatements).order_by(status_restatements.c.as_of))
        assert [row["as_of"] for row in rows] == [date(2020, 10, 8) + timedelta(days=n) for n in range(13)]
        last = rows[-1]["differs"]
        assert {"principal_balance", "days_past_due", "delinquency_bucket", "total_paid"} <= set(last)

    async def test_they_agree_with_the_status_of_each_day(self, uow_of: UowOf, uow_by: UowBy, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        await advance(uow_of, tenant, date(2020, 10, 7))
        paid = await pay(uow_of, tenant, loan_id, 297_47, date(2020, 10, 2))
        await advance(uow_of, tenant, date(2020, 10, 12))
        done = await asked(uow_by, paid.id)
        await follow_up(uow_of, tenant, done.id)
        async with uow_of(tenant) as uow:
            recorded = {row["as_of"]: tuple(row["differs"]) for row in await uow.all(select(status_restatements))}
            days = [date(2020, 9, 10) + timedelta(days=n) for n in range(33)]
            found = {on: (await status_on(uow, loan_id, on, Basis.RESTATED)).differs for on in days}
        assert recorded == {on: differs for on, differs in found.items() if differs}
        assert min(recorded) == date(2020, 10, 8), "what was archived before the payment was known is right again"


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
