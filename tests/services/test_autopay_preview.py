"""The preview of the next 12 drafts is what is then drafted: for each cadence and amount type, alone and in company."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.autopay import EnrolmentKind
from domain.cadence import DateAnchor, DraftFrequency, Scheduling
from domain.draft_amounts import AmountType, ExtraTowards, PayoffRule
from domain.drafting import Outlook
from domain.events import ChargedFee, FeeCharged
from domain.instruments import VerificationMethod, VerificationStatus
from services import autopay, drafts, instruments, outlooks
from services.replaying import apply_event, lock_loan
from tests.conftest import MakeTenant
from tests.services import drafting, lending
from tests.services.lending import assert_consistent
from tests.workflows.platform import ACCOUNT, VAULT, Borrowed, Rows

F, A = DraftFrequency, AmountType
BEGINS = date(2020, 11, 24)
"""The first two instalments are unpaid, each with its late fee, and another fee was charged."""
DATES = (date(2020, 11, 28), date(2020, 12, 9), date(2021, 1, 18), date(2021, 3, 31), date(2022, 2, 1))


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    return Rows(engine, await make_tenant(BEGINS))


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    borrowed = await rows.borrowed()
    async with rows.uow() as uow:
        await apply_event(uow, await lock_loan(uow, borrowed.loan_id), FeeCharged("f", ChargedFee.OTHER, 1500), BEGINS)
        await uow.commit()
    return borrowed


@dataclass(frozen=True, slots=True)
class Case:
    """Terms, and the frequency of a recurring payment beside them or not."""

    frequency: DraftFrequency
    amount_type: AmountType
    others: dict[str, Any] = field(default_factory=dict)
    company: DraftFrequency | None = None

    def __str__(self) -> str:
        beside = [f"beside {self.company}"] if self.company else []
        return " ".join([self.frequency, self.amount_type, *map(str, self.others), *beside])


CAP = {"amount": 145_000}
STOP = {"amount": 145_000, "payoff_rule": PayoffRule.DO_NOT_PROCESS}
BY_PROCESS = {"date_anchor": DateAnchor.PROCESS_DATE, "process_days_after": 2, "scheduling": Scheduling.BUSINESS_DAY}
CASES = [
    Case(F.DUE_DATES, A.NEXT_DUE),
    Case(F.DUE_DATES, A.NEXT_DUE, {"post_payment_update": True}, company=F.DUE_DATES),
    Case(F.DUE_DATES, A.NEXT_PERIOD, {"process_days_after": 3}, company=F.BIWEEKLY),
    Case(F.WEEKLY, A.NEXT_DUE, {"post_payment_update": True}),
    Case(F.BIWEEKLY, A.STATIC, {**STOP, "extra_towards": ExtraTowards.COMING_DUES}),
    Case(F.SEMIMONTHLY, A.NEXT_PERIOD, {"process_days_after": 3, "scheduling": Scheduling.BUSINESS_DAY}, company=F.MONTHLY),
    Case(F.MONTHLY, A.PAST_DUE, {"number_of_periods": 7}),
    Case(F.MONTHLY, A.PRINCIPAL_INTEREST_PAST_DUE, BY_PROCESS, company=F.MONTHLY),
    Case(F.QUARTERLY, A.FEES_DUE),
    Case(F.SEMIANNUAL, A.STATIC, {**CAP, "process_zero_or_negative": False, "extra_towards": ExtraTowards.NEXT_DUE_DATE}),
    Case(F.ANNUAL, A.INTEREST_ONLY_PAST_DUE, {"number_of_periods": 2}),
    Case(F.CUSTOM, A.STATIC, {**CAP, "dates": DATES}),
    Case(F.SINGLE, A.NEXT_DUE),
]


def test_each_cadence_and_each_amount_type_is_tried() -> None:
    assert {case.frequency for case in CASES} == set(F)
    assert {case.amount_type for case in CASES} == set(A)


async def outlook(rows: Rows, enrolment_id: UUID) -> Outlook:
    async with rows.uow() as uow:
        return await outlooks.outlook(uow, enrolment_id)


async def enrol(rows: Rows, loan: Borrowed, **terms: Any) -> UUID:
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, **terms))
        await uow.commit()
    return enrolment_id


async def beside(rows: Rows, loan: Borrowed, frequency: DraftFrequency) -> UUID:
    """A recurring payment that goes out on the due dates too, where it is monthly."""
    often = F.MONTHLY if frequency is F.DUE_DATES else frequency
    start = date(2020, 12, 9) if frequency is F.DUE_DATES else BEGINS
    kind = EnrolmentKind.RECURRING
    return await enrol(rows, loan, kind=kind, amount_type=A.STATIC, amount=6_000, frequency=often, start_date=start)


def previewed(found: Outlook) -> list[tuple[Any, ...]]:
    return [
        (
            one.process_date,
            one.apply_date,
            one.amount,
            one.instrument_id,
            one.reason,
            one.effective_date if one.amount else None,
        )
        for one in found.drafts
    ]


async def drafted(rows: Rows, loan: Borrowed, enrolment_id: UUID) -> list[tuple[Any, ...]]:
    """What became of it, as the rows of drafts and payments say."""
    paid = {row["id"]: row["effective_date"] for row in await rows.payments(loan.loan_id)}
    return [
        (
            row["process_date"],
            row["apply_date"],
            row["amount"],
            row["payment_instrument_id"],
            row["reason"],
            paid.get(row["payment_id"]),
        )
        for row in await rows.drafts(enrolment_id)
    ]


@pytest.mark.parametrize(
    ("case", "backwards"),
    [*((case, False) for case in CASES), *((case, True) for case in CASES if case.company is F.DUE_DATES)],
    ids=str,
)
async def test_what_is_previewed_is_what_is_drafted(rows: Rows, loan: Borrowed, case: Case, backwards: bool) -> None:
    """Whichever process comes first to a day on which two draft (`backwards`)."""
    own = await enrol(rows, loan, frequency=case.frequency, amount_type=case.amount_type, **case.others)
    if case.company is not None:
        await beside(rows, loan, case.company)
    first = await outlook(rows, own)
    count = len(first.drafts)
    assert count == 12 or first.end_reason is not None

    await drafting.live(rows, own, count // 2, backwards=backwards)
    done = len(await rows.drafts(own))
    later = await outlook(rows, own)
    await drafting.live(rows, own, count, backwards=backwards)

    happened = await drafted(rows, loan, own)
    assert happened[:count] == previewed(first)
    assert happened[done:count] == previewed(later)[: count - done]
    if first.end_reason is not None and case.company is None:
        await drafting.live(rows, own, count + 1)
        enrolment = await rows.enrolment(own)
        assert (len(await rows.drafts(own)), enrolment["end_reason"]) == (count, first.end_reason)
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def test_a_pause_with_a_day_and_a_skip_are_in_the_preview(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    async with rows.uow() as uow:
        await drafts.skip_next(uow, loan.loan_id, "by the borrower")
        await autopay.pause(uow, loan.loan_id, date(2021, 3, 10))
        await uow.commit()
    skipped = await drafted(rows, loan, own)
    found = await outlook(rows, own)
    assert [one.process_date for one in found.drafts[:2]] == [date(2021, 4, 9), date(2021, 5, 10)]
    await drafting.live(rows, own, 13)
    assert await drafted(rows, loan, own) == skipped + previewed(found)


async def test_one_that_is_paused_until_resumed_or_ended_previews_nothing_and_says_why(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    async with rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)
        await uow.commit()
    assert await outlook(rows, own) == Outlook((), "it is paused until it is resumed")
    async with rows.uow() as uow:
        await autopay.cancel(uow, loan.loan_id, "moved away")
        await uow.commit()
    assert await outlook(rows, own) == Outlook((), "moved away")


async def test_the_fallback_that_will_be_drafted_is_in_the_preview(rows: Rows, loan: Borrowed) -> None:
    borrower = (await rows.loan(loan.loan_id))["borrower_id"]
    async with rows.uow() as uow:
        savings = await instruments.add(uow, VAULT, borrower, {**ACCOUNT, "account_number": "555554321"})
        await uow.commit()
    own = await enrol(rows, loan, fallback_instrument_ids=(savings,))
    assert {one.instrument_id for one in (await outlook(rows, own)).drafts} == {loan.instrument_id}
    async with rows.uow() as uow:
        failed = (VerificationStatus.FAILED, VerificationMethod.MANUAL, "closed, says the bank")
        await instruments.set_verification(uow, borrower, loan.instrument_id, *failed)
        await uow.commit()
    assert {one.instrument_id for one in (await outlook(rows, own)).drafts} == {savings}
    await lending.jump(lambda _: rows.uow(), rows.tenant, date(2020, 12, 9))
    await drafting.act(rows)
    (draft,) = await rows.drafts(own)
    (payment,) = await rows.payments(loan.loan_id)
    assert (draft["payment_instrument_id"], payment["payment_instrument_id"], draft["status"]) == (savings, savings, "sent")


@pytest.mark.parametrize("wish", [None, *ExtraTowards])
async def test_what_a_draft_takes_beyond_what_is_due_goes_where_the_borrower_said(
    rows: Rows, loan: Borrowed, wish: ExtraTowards | None
) -> None:
    own = await enrol(rows, loan, frequency=F.SINGLE, amount_type=A.STATIC, amount=300_000, extra_towards=wish)
    await drafting.live(rows, own, 1)
    (payment,) = await rows.payments(loan.loan_id)
    state = await rows.loan(loan.loan_id)
    waits, next_due = payment["unapplied_amount"] > 0, state["next_due_date"]
    usual = (False, date(2021, 1, 9))  # the example's program: principal only, the current instalment being paid too
    expected = {
        None: usual,
        ExtraTowards.PRINCIPAL_ONLY: usual,
        ExtraTowards.COMING_DUES: (False, date(2021, 7, 9)),
        ExtraTowards.NEXT_DUE_DATE: (True, date(2021, 1, 9)),
    }
    assert (waits, next_due) == expected[wish]
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)
