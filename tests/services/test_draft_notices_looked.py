"""Only loans whose next draft may take another amount are replayed to find out whom to tell, and nobody is overlooked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.autopay import EnrolmentKind
from domain.cadence import DraftFrequency, Scheduling
from domain.changes import Extended, RateChanged
from domain.draft_amounts import AmountType
from domain.drafting import Outlook
from domain.events import ChargedFee, EventBody, FeeCharged
from domain.flags import LoanFlag
from domain.program import Frequency, InterestMethod
from domain.terms import LoanTerms
from infra.db.models.processes import autopay_enrolments
from infra.db.models.servicing import borrowers, loans
from infra.db.pipeline import Asked, Row
from infra.db.uow import UnitOfWork
from services import autopay, draft_notices, drafts, flags
from services.outlooks import outlook
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE, LEVEL, under
from tests.services import drafting, lending
from tests.workflows.platform import Borrowed, Rows

A, F = AmountType, DraftFrequency
BEGINS, DUE = date(2020, 9, 9), date(2020, 10, 9)
CHANGES = date(2020, 10, 20)
"""Something happens to each loan on this day, before the second draft's window begins."""
DAYS = [date(2020, *day) for day in ((9, 25), (9, 28), (10, 9), (10, 13), (10, 20), (10, 26), (10, 29), (11, 9), (11, 26))]
WEEKLY = replace(EXAMPLE, program=replace(EXAMPLE.program, frequency=Frequency.WEEKLY), first_due_date=date(2020, 9, 16))
WEEKLY_LEVEL = 282_25

Happens = Callable[[UnitOfWork, Borrowed], Awaitable[object]]


def event(body: EventBody) -> Happens:
    async def happens(uow: UnitOfWork, loan: Borrowed) -> None:
        await apply_event(uow, await lock_loan(uow, loan.loan_id), body, await uow.business_date())

    return happens


def changed(**to: Any) -> Happens:
    return lambda uow, loan: autopay.change(uow, loan.loan_id, autopay.Change(**to))


def beside(uow: UnitOfWork, loan: Borrowed) -> Awaitable[object]:
    """A fixed amount that is drafted beside the autopay."""
    start = date(2020, 11, 2)
    terms = {"amount_type": A.STATIC, "amount": 50_00, "frequency": F.MONTHLY, "start_date": start}
    return autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, kind=EnrolmentKind.RECURRING, **terms))


def paid(amount: int) -> Happens:
    return lambda uow, loan: record(uow, RecordPayment(loan.loan_id, amount, "check"))


FEE = event(FeeCharged("f", ChargedFee.OTHER, 15_00))


FIXED = {"amount_type": A.STATIC, "amount": LEVEL}


@dataclass(frozen=True, slots=True)
class Case:
    """A loan and its autopay; what happens on CHANGES; the process dates (month, day) and amounts that are told."""

    name: str
    told: tuple[tuple[int, int, int], ...]
    terms: LoanTerms
    autopay: dict[str, Any]
    happens: Happens | None


def case(
    name: str, *told: tuple[int, int, int], terms: LoanTerms = EXAMPLE, happens: Happens | None = None, **enrolled: Any
) -> Case:
    return Case(name, told, terms, enrolled, happens)


# of the plain ones what is stored shows that there is nothing to tell; the loans of the others are replayed
PLAIN = [
    case("each due date"),
    case("each due date, its instalment", amount_type=A.NEXT_PERIOD),
    case("some days later", process_days_after=3, scheduling=Scheduling.BUSINESS_DAY),
    case("a weekly loan", terms=WEEKLY),
    case("weekly", frequency=F.WEEKLY),
    case("a fixed amount", **FIXED),
    case("a fixed amount weekly", amount_type=A.STATIC, amount=100_00, frequency=F.WEEKLY),
    case("by the actual principal", terms=under(interest_method=InterestMethod.RECALCULATED)),
    case("paid ahead", happens=paid(LEVEL)),
    case("a fee, and a fixed amount", happens=FEE, **FIXED),
]
VARIED = [
    case("a fee", (11, 9, LEVEL + 15_00), (12, 9, LEVEL), happens=FEE),
    case("paid in part", (11, 9, LEVEL - LEVEL // 2), (12, 9, LEVEL), happens=paid(LEVEL // 2)),
    case("another rate", (11, 9, 317_01), happens=event(RateChanged(Fraction(9, 100), None, keep_payment=False))),
    case("a longer term", (11, 9, 256_72), happens=event(Extended(6, reamortize=True))),
    case("another fixed amount", (11, 9, 80_00), happens=changed(amount=80_00), amount_type=A.STATIC, amount=LEVEL),
    case("a fixed amount from now on", (11, 9, 80_00), happens=changed(amount_type=A.STATIC, amount=80_00)),
    case(
        "no fixed amount",
        (11, 9, 2 * LEVEL + 30_00 - 90_00),
        (12, 9, LEVEL),
        happens=changed(amount_type=A.NEXT_DUE),
        amount_type=A.STATIC,
        amount=90_00,
    ),
    case(
        "left out once",
        (12, 9, 2 * LEVEL + 30_00),
        happens=lambda uow, loan: drafts.skip_next(uow, loan.loan_id, "asked for"),
    ),
    case("paused", happens=lambda uow, loan: autopay.pause(uow, loan.loan_id, date(2020, 11, 7))),
    case("flagged", happens=lambda uow, loan: flags.set_flag(uow, loan.loan_id, LoanFlag.DECEASED, "a letter came")),
    case("a fixed amount beside it", (11, 9, LEVEL - 50_00), happens=beside),
    case("what is late", amount_type=A.PAST_DUE, frequency=F.MONTHLY, start_date=date(2020, 10, 12)),
    case("late", (11, 9, 2 * LEVEL + 30_00), (12, 9, LEVEL), start_date=date(2020, 11, 1)),
    case("fees", (11, 9, 45_00), (12, 9, 30_00), happens=FEE, amount_type=A.FEES_DUE),
    case("the last instalment", (10, 9, 3358_36), (12, 9, 3357_85), terms=replace(EXAMPLE, periods=3)),
    case("a contract of another amount", (10, 9, 353_06), terms=replace(EXAMPLE, periods=30)),
    case(
        "what is left of it", (12, 9, 52_40), terms=replace(EXAMPLE, principal=250_00), amount_type=A.STATIC, amount=100_00
    ),
]
CASES = [*PLAIN, *VARIED]


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    return Rows(engine, await make_tenant(BEGINS))


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The enrolments whose loans are replayed to find out whom to tell."""
    found: list[UUID] = []

    async def counted(uow: UnitOfWork, enrolment_id: UUID, count: int) -> Outlook:
        found.append(enrolment_id)
        return await outlook(uow, enrolment_id, count)

    monkeypatch.setattr(draft_notices, "outlook", counted)
    return found


async def enrol(rows: Rows, one: Case) -> tuple[Borrowed, UUID]:
    loan = await rows.borrowed(one.terms)
    async with rows.uow() as uow:
        found = await lending.loan_row(uow, loan.loan_id)
        await uow.execute(update(borrowers).where(borrowers.c.id == found["borrower_id"]).values(email="john@example.com"))
        if one.terms is WEEKLY:
            await uow.execute(update(loans).where(loans.c.id == loan.loan_id).values(level_payment=WEEKLY_LEVEL))
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id, **one.autopay))
        await uow.commit()
    return loan, enrolment_id


async def pass_to(rows: Rows, to: date) -> None:
    await lending.jump(lambda _: rows.uow(), rows.tenant, to)
    await drafting.act(rows)


async def candidates(rows: Rows) -> set[UUID]:
    async with rows.uow() as uow:
        return set((await draft_notices.look(uow, None)).candidates)


async def tell(rows: Rows, enrolment_id: UUID) -> draft_notices.Notice | None:
    """The notice that a replay says is due, which is sent."""
    async with rows.uow() as uow:
        notice = await draft_notices.due(uow, enrolment_id)
        if notice is not None:
            await draft_notices.note_sent(uow, notice)
        await uow.commit()
    return notice


async def test_whoever_a_replay_would_tell_is_a_candidate(rows: Rows) -> None:
    enrolled = {one.name: await enrol(rows, one) for one in CASES}
    told: dict[str, list[tuple[int, int, int]]] = {one.name: [] for one in CASES}
    looked_at = set()
    for day in DAYS:
        await pass_to(rows, day)
        if day == CHANGES:
            for one in CASES:
                if one.happens is not None:
                    async with rows.uow() as uow:
                        await one.happens(uow, enrolled[one.name][0])
                        await uow.commit()
        found = await candidates(rows)
        for name, (_, enrolment_id) in enrolled.items():
            notice = await tell(rows, enrolment_id)
            if notice is not None:
                assert enrolment_id in found, (name, day)
                told[name].append((notice.process_date.month, notice.process_date.day, notice.amount))
        looked_at |= {name for name, (_, enrolment_id) in enrolled.items() if enrolment_id in found}
    assert looked_at == {one.name for one in VARIED}
    assert told == {one.name: list(one.told) for one in CASES}


async def test_no_loan_is_replayed_of_which_there_is_nothing_to_tell(rows: Rows, replays: list[UUID]) -> None:
    monthly, weekly = case("monthly"), case("weekly", terms=WEEKLY)
    (charged, _), *others = [await enrol(rows, one) for one in (monthly, weekly) * 3]
    assert len(others) == 5
    for day in DAYS:
        await pass_to(rows, day)
        for enrolment_id in await candidates(rows):
            await tell(rows, enrolment_id)
        if day < CHANGES:
            assert replays == []
        elif day == CHANGES:
            async with rows.uow() as uow:
                await FEE(uow, charged)
                await uow.commit()
    assert len(replays) == 3  # of the draft with the fee, on each date on which it may still be told; of the one after it


async def test_who_was_told_is_not_looked_at_again(rows: Rows, replays: list[UUID]) -> None:
    _, enrolment_id = await enrol(rows, case("", terms=replace(EXAMPLE, periods=30)))
    await pass_to(rows, DUE - timedelta(days=14))
    assert await candidates(rows) == {enrolment_id}
    assert await tell(rows, enrolment_id) is not None
    for days in (14, 13, 12, 11, 10):
        if days < 14:
            await pass_to(rows, DUE - timedelta(days=days))
        assert await candidates(rows) == set()


async def test_whether_there_is_anybody_to_look_at_is_known_by_one_look_however_many_there_are(
    rows: Rows, owner: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked within a transaction of ten seconds, without which no date opens."""
    await many_tomorrow(rows)
    await analyze(owner)
    asked: list[Asked] = []

    async def kept(uow: UnitOfWork, *queries: Asked) -> list[list[Row]]:
        asked.extend(queries)
        return await fetch(uow, *queries)

    fetch = UnitOfWork.fetch
    monkeypatch.setattr(UnitOfWork, "fetch", kept)
    async with rows.uow() as uow:
        await draft_notices.may_be_due(uow)
        explained = [_explained(one) for one in asked]
        await uow.execute(text("SET LOCAL enable_seqscan = off"))  # as where there are very many rows
        plans = [row["plan"][0]["Plan"] for (row,) in await fetch(uow, *explained)]
    assert plans
    assert sum(_visited(plan) for plan in plans) <= 2


def _explained(asked: Asked) -> Asked:
    query = copy(asked.query)
    query.sql, query._names, query._readers = f"EXPLAIN (ANALYZE, FORMAT JSON) {query.sql}", ("plan",), []
    return Asked(query, asked.values)


def _visited(plan: dict[str, Any]) -> int:
    """How many rows the scans of a plan look at."""
    within = sum(_visited(one) for one in plan.get("Plans", ()))
    if "Relation Name" not in plan:
        return within
    return within + int(plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)))


async def test_pages_come_one_after_the_other(rows: Rows) -> None:
    enrolled = [(await enrol(rows, one))[1] for one in (PLAIN[0], VARIED[-2], PLAIN[0], VARIED[-2])]
    await pass_to(rows, DUE - timedelta(days=12))
    found, after, pages = [], None, 0
    while pages == 0 or after is not None:
        async with rows.uow() as uow:
            looked = await draft_notices.look(uow, after, 1)
        found, after, pages = [*found, *looked.candidates], looked.after, pages + 1
    assert found == [enrolled[1], enrolled[3]]
    assert pages == 5


async def many_tomorrow(rows: Rows) -> None:
    """Enrolments that draft on the next day."""
    loan, tomorrow = await rows.borrowed(), BEGINS + timedelta(days=1)
    terms = {"kind": "recurring", "status": "active", "amount_type": "static", "amount": 1_00, "frequency": "monthly"}
    async with rows.uow() as uow:
        for _ in range(300):
            dates = {"start_date": tomorrow, "next_process_date": tomorrow}
            await uow.add(autopay_enrolments, loan_id=loan.loan_id, **terms, **dates)
        await uow.commit()


async def analyze(owner: AsyncEngine) -> None:
    """As autovacuum does: of few rows the planner takes whichever index is smallest."""
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE autopay_enrolments"))
        await connection.commit()
