"""A loan that is flagged is not drafted while the flag is set, and goes on when it is cleared."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.autopay import EnrolmentKind
from domain.errors import NotFound
from domain.flags import STOP_DRAFTING, LoanFlag
from infra.db.models.rails import rail_cutoffs
from infra.db.models.tenancy import audit_log
from services import flags, outlooks
from tests.conftest import MakeTenant
from tests.services import drafting, sending
from tests.services.lending import assert_consistent
from tests.services.test_autopay_never import DUE, LEVEL, commit, enrol, pay, prepare, recurring, sent
from tests.workflows.platform import Borrowed, Rows

NEXT = date(2020, 11, 9)
F = LoanFlag
SAID = {
    F.BANKRUPTCY: "the loan is flagged bankruptcy",
    F.DECEASED: "the loan is flagged deceased",
    F.FRAUD: "the loan is under review",
}
"""In the preview the borrower reads it too: a suspicion is not named."""


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    return Rows(engine, await make_tenant(DUE))


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    return await rows.borrowed()


async def put(rows: Rows, loan: Borrowed, flag: LoanFlag) -> None:
    await commit(rows, lambda uow: flags.set_flag(uow, loan.loan_id, flag, "a letter came"))


async def clear(rows: Rows, loan: Borrowed, flag: LoanFlag) -> None:
    await commit(rows, lambda uow: flags.clear_flag(uow, loan.loan_id, flag, "it was another person"))


async def previewed(rows: Rows, own: UUID) -> list[tuple[int, str | None]]:
    async with rows.uow() as uow:
        found = await outlooks.outlook(uow, own)
    return [(one.amount, one.reason) for one in found.drafts]


def test_each_of_them_stops_drafting() -> None:
    assert set(LoanFlag) == STOP_DRAFTING


@pytest.mark.parametrize("kind", EnrolmentKind)
@pytest.mark.parametrize("flag", LoanFlag)
async def test_nothing_is_prepared_while_it_is_set_and_the_next_period_goes_out_after_it_is_cleared(
    rows: Rows, loan: Borrowed, flag: LoanFlag, kind: EnrolmentKind
) -> None:
    own = await (enrol(rows, loan) if kind is EnrolmentKind.AUTOPAY else recurring(rows, loan, 5_000))
    await put(rows, loan, flag)
    prepared = await prepare(rows, own)
    assert (prepared.status, prepared.amount, prepared.reason) == ("not_drafted", 0, SAID[flag])
    await drafting.look(rows, own)
    enrolment = await rows.enrolment(own)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", NEXT)
    await clear(rows, loan, flag)
    await drafting.live(rows, own, 2)
    _, second = await rows.drafts(own)
    expected = 2 * LEVEL + 3_000 if kind is EnrolmentKind.AUTOPAY else 5_000  # with what fell due, and its late fee
    assert (second["process_date"], second["status"], second["amount"]) == (NEXT, "sent", expected)
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


@pytest.mark.parametrize("kind", EnrolmentKind)
async def test_what_is_prepared_is_kept_back_at_the_cutoff(rows: Rows, loan: Borrowed, kind: EnrolmentKind) -> None:
    own = await (enrol(rows, loan) if kind is EnrolmentKind.AUTOPAY else recurring(rows, loan, 5_000))
    assert (await prepare(rows, own)).status == "pending"
    await put(rows, loan, F.FRAUD)
    await put(rows, loan, F.DECEASED)
    await sending.run(rows)
    (draft,) = await rows.drafts(own)
    assert (draft["status"], draft["amount"], draft["payment_id"]) == ("not_drafted", 0, None)
    assert draft["reason"] == "the loan is flagged deceased"
    (cutoff,) = await rows.all(select(rail_cutoffs))
    assert (cutoff["sent"], cutoff["kept_back"], await sent(rows)) == (0, 1, [])
    enrolment = await rows.enrolment(own)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", NEXT)
    await clear(rows, loan, F.FRAUD)
    assert (await previewed(rows, own))[0] == (0, "the loan is flagged deceased")  # one of them is enough
    await clear(rows, loan, F.DECEASED)
    await drafting.live(rows, own, 2)
    assert [row["status"] for row in await rows.drafts(own)] == ["not_drafted", "sent"]


async def test_set_and_cleared_by_many_at_once_each_happens_once(rows: Rows, loan: Borrowed) -> None:
    """By several processes of ours: within one, requests about a loan take turns."""
    async with rows.uow() as uow:
        await flags.set_flag(uow, loan.loan_id, F.FRAUD, "a letter came")
        others = [asyncio.create_task(put(rows, loan, F.FRAUD)) for _ in range(5)]
        done, _ = await asyncio.wait(others, timeout=0.5)
        assert not done
        await uow.commit()
    await asyncio.gather(*others)
    cleared = await asyncio.gather(*(clear(rows, loan, F.FRAUD) for _ in range(6)), return_exceptions=True)
    assert [type(answer) for answer in cleared if answer is not None] == [NotFound] * 5
    changes = select(audit_log.c.action).where(audit_log.c.action.like("loan.flag%")).order_by(audit_log.c.id)
    assert [row["action"] for row in await rows.all(changes)] == ["loan.flag_set", "loan.flag_cleared"]


async def test_a_cutoff_that_comes_while_a_flag_is_being_set_waits_for_it(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    await prepare(rows, own)
    async with rows.uow() as uow:
        await flags.set_flag(uow, loan.loan_id, F.FRAUD, "a letter came")
        cutoff = asyncio.create_task(sending.run(rows))
        done, _ = await asyncio.wait([cutoff], timeout=0.5)
        assert not done
        await uow.commit()
    await cutoff
    assert await sent(rows) == []


async def test_a_flag_that_is_cleared_before_the_cutoff_lets_what_is_prepared_go_out(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    await prepare(rows, own)
    await put(rows, loan, F.BANKRUPTCY)
    await clear(rows, loan, F.BANKRUPTCY)
    await sending.run(rows)
    assert await sent(rows) == [LEVEL]


async def test_the_preview_names_the_flag_for_every_draft_and_forgets_it_when_it_is_cleared(
    rows: Rows, loan: Borrowed
) -> None:
    own = await enrol(rows, loan)
    before = await previewed(rows, own)
    assert {reason for _, reason in before} == {None}
    await put(rows, loan, F.BANKRUPTCY)
    assert await previewed(rows, own) == [(0, "the loan is flagged bankruptcy")] * 12
    await clear(rows, loan, F.BANKRUPTCY)
    assert await previewed(rows, own) == before


async def test_a_flag_of_one_loan_is_none_of_another(rows: Rows, loan: Borrowed) -> None:
    other = await rows.borrowed()
    own = await enrol(rows, other)
    await put(rows, loan, F.FRAUD)
    assert (await prepare(rows, own)).amount == LEVEL


async def test_money_that_the_borrower_sends_is_taken(rows: Rows, loan: Borrowed) -> None:
    await put(rows, loan, F.BANKRUPTCY)
    await pay(rows, loan, LEVEL)
    (payment,) = await rows.payments(loan.loan_id)
    assert (payment["status"], payment["amount"]) == ("completed", LEVEL)
