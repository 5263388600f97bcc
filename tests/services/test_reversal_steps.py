"""What follows from a reversal, step by step: autopay, the archived days, the letter. Whatever runs twice happens once."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.errors import NotFound
from domain.reversal import NoticeOutcome, ReversalStatus, ReversalStep
from infra.db.models.archive import status_archive, status_restatements
from infra.db.models.processes import autopay_drafts
from infra.db.models.servicing import borrowers
from infra.db.models.tenancy import audit_log
from infra.db.repositories.autopay import count_pending
from infra.ids import new_id
from services import autopay, drafts, reversals
from services.status_archive import Basis, status_on
from tests.domain.loans import under
from tests.services.lending import UowOf, active_loan, advance, assert_consistent, jump, pay
from tests.services.reversing import UowBy, asked, row_of
from tests.workflows.platform import Rows


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

    async def test_only_the_reversal_that_reopens_the_loan_speaks_of_the_ended_autopay(
        self, uow_of: UowOf, uow_by: UowBy, tenant: UUID
    ) -> None:
        rows = Rows(uow_of(tenant).engine, tenant)
        borrowed = await rows.borrowed()
        async with uow_of(tenant) as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
            await uow.commit()
        part, rest = [await pay(uow_of, tenant, borrowed.loan_id, amount) for amount in (100_00, 9_900_00)]
        async with uow_of(tenant) as uow:
            assert (await drafts.plan(uow, enrolment_id)).end_reason == autopay.PAID_OFF
            await uow.commit()
        outcomes = []
        for paid in (rest, part):
            done = await asked(uow_by, paid.id)
            async with uow_of(tenant) as uow:
                await reversals.replan_autopay(uow, done.id)
                outcomes.append((await row_of(uow, done.id))["autopay_outcome"])
                await uow.commit()
        assert outcomes == ["ended", "none"]

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
