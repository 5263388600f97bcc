"""Archived days that a correction restates: whatever corrected the history, by one rule, once, and however interrupted."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import NotFound, WrongState
from domain.events import ChargedFee, FeeCharged
from infra.db.models.archive import loan_corrections, status_archive, status_restatements
from infra.db.models.processes import workflow_intents
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import autopay, corrections, payouts, restating, reversals
from services.corrections import Corrected
from services.payouts import Refund
from services.replaying import apply_event, lock_loan
from services.status_archive import Basis, status_on
from tests.services.lending import UowOf, active_loan, advance, assert_consistent, pay
from tests.services.reversing import UowBy, asked, reverse
from tests.workflows.platform import Rows

PAID_ON = date(2020, 10, 7)


async def restate(uow_of: UowOf, tenant: UUID, correction_id: UUID, page: int = restating.DAYS_PER_PAGE) -> list[bool]:
    """What the workflow does, to its end and once more."""
    pages: list[bool] = []
    while not (pages and pages[-1]):
        async with uow_of(tenant) as uow:
            pages.append(await restating.restate_page(uow, correction_id, page))
            await uow.commit()
    async with uow_of(tenant) as uow:
        assert await restating.restate_page(uow, correction_id, page)
        await uow.commit()
    return pages


async def recorded(uow: UnitOfWork, correction_id: UUID) -> dict[date, tuple[str, ...]]:
    table = status_restatements
    rows = await uow.all(select(table).where(table.c.correction_id == correction_id).order_by(table.c.as_of))
    return {row["as_of"]: tuple(row["differs"]) for row in rows}


@pytest.fixture
async def loan(uow_of: UowOf, tenant: UUID) -> tuple[UUID, UUID]:
    """A loan and its payment of 7 October, at the close of the 20th."""
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, PAID_ON)
    paid = await pay(uow_of, tenant, loan_id, 400_00)
    await advance(uow_of, tenant, date(2020, 10, 20))
    return loan_id, paid.id


@pytest.mark.parametrize("kind", ["backdate", "void", "reversal", "refund", "cancelled refund"])
async def test_every_kind_of_correction_restates_the_days_of_which_other_figures_are_known(
    uow_of: UowOf, tenant: UUID, loan: tuple[UUID, UUID], kind: str
) -> None:
    loan_id, payment_id = loan
    async with uow_of(tenant) as uow:
        if kind == "backdate":
            await corrections.backdate(uow, payment_id, date(2020, 10, 1))
        elif kind == "reversal":
            await reverse(uow, payment_id, "nsf")
        elif kind == "void":
            await reverse(uow, payment_id, "nsf")
            await corrections.void_event(uow, loan_id, await _fee(uow, loan_id), "not due")
        else:
            payout_id = await payouts.refund(uow, Refund(payment_id, 120_00, "paid twice", override=True))
            if kind == "cancelled refund":
                await payouts.cancel(uow, payout_id, "keep it")
        await uow.commit()
    async with uow_of(tenant) as uow:
        rows = await uow.all(select(loan_corrections).order_by(loan_corrections.c.id))
        intents = await uow.all(select(workflow_intents).where(workflow_intents.c.workflow_type == "RestatementWorkflow"))
    own = [row["id"] for row in rows if row["kind"] != "reversal"]  # which is followed up by a process of its own
    assert [row["workflow_id"] for row in intents] == [f"restatement/{correction_id}" for correction_id in own]
    for row in rows:
        await restate(uow_of, tenant, row["id"], 5)
    async with uow_of(tenant) as uow:
        rows = await uow.all(select(loan_corrections).order_by(loan_corrections.c.id))
        assert all(row["finished_at"] and row["restated_through"] == date(2020, 10, 20) for row in rows)
        days = [date(2020, 9, 10) + timedelta(days=n) for n in range(41)]
        differing = {on: (await status_on(uow, loan_id, on, Basis.RESTATED)).differs for on in days}
        found = await recorded(uow, rows[-1]["id"])
        await assert_consistent(uow, loan_id)
    assert found == {on: names for on, names in differing.items() if names and on >= rows[-1]["since"]}
    known_late = [PAID_ON]  # the payment came after that day's close
    assert (list(found) == known_late) == (kind == "cancelled refund"), "taken back, a refund leaves nothing behind"


async def _fee(uow: UnitOfWork, loan_id: UUID) -> int:
    """The number of a fee charged by hand on 12 October."""
    loan = await lock_loan(uow, loan_id)
    await apply_event(uow, loan, FeeCharged("by hand", ChargedFee.OTHER, 12_00), date(2020, 10, 12))
    return loan.last_number


async def test_page_by_page_and_what_is_recorded_meanwhile_changes_nothing(
    uow_of: UowOf, tenant: UUID, loan: tuple[UUID, UUID]
) -> None:
    """Interrupted after each page of three days, with a payment that would change the answer in between."""
    loan_id, payment_id = loan
    done = await _backdated(uow_of, tenant, payment_id)
    assert done.id is not None
    async with uow_of(tenant) as uow:
        archived = await uow.all(select(status_archive).where(status_archive.c.loan_id == loan_id))
        assert not await restating.restate_page(uow, done.id, 3)
        await uow.commit()
    async with uow_of(tenant) as uow:
        await restating.restate_page(uow, done.id, 3)  # killed before its commit
    await pay(uow_of, tenant, loan_id, 297_47, date(2020, 10, 3))

    assert await restate(uow_of, tenant, done.id, 3) == [False] * 5 + [True]

    async with uow_of(tenant) as uow:
        found = await recorded(uow, done.id)
        assert await uow.all(select(status_archive).where(status_archive.c.loan_id == loan_id)) == archived
    assert list(found) == [date(2020, 10, 1) + timedelta(days=n) for n in range(20)]
    assert "principal_balance" in found[date(2020, 10, 6)]
    assert found[date(2020, 10, 8)] == ("last_payment_date", "loan_recency"), "the payment is of another day, and no more"


async def test_a_page_that_runs_in_two_workers_at_once_is_recorded_once(
    uow_of: UowOf, tenant: UUID, loan: tuple[UUID, UUID]
) -> None:
    done = await _backdated(uow_of, tenant, loan[1])
    assert done.id is not None

    async def one() -> None:
        assert done.id is not None
        async with uow_of(tenant) as uow:
            await restating.restate_page(uow, done.id)
            await uow.commit()

    await asyncio.gather(*(one() for _ in range(5)))
    async with uow_of(tenant) as uow:
        assert len(await recorded(uow, done.id)) == 20


async def _backdated(uow_of: UowOf, tenant: UUID, payment_id: UUID) -> Corrected:
    async with uow_of(tenant) as uow:
        done = await corrections.backdate(uow, payment_id, date(2020, 10, 1))
        await uow.commit()
    return done


async def test_a_loan_without_archived_days_has_none_to_restate(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 100_00)
    async with uow_of(tenant) as uow:
        done = await reverse(uow, paid.id, "nsf")
        await uow.commit()
    assert done.id is not None
    assert await restate(uow_of, tenant, done.id) == [True]
    async with uow_of(tenant) as uow:
        assert await recorded(uow, done.id) == {}
        with pytest.raises(NotFound, match="correction"):
            await restating.restate_page(uow, new_id())


async def test_who_decides_a_reversal_whose_days_are_being_restated_is_answered(
    uow_of: UowOf, uow_by: UowBy, tenant: UUID, loan: tuple[UUID, UUID]
) -> None:
    """Locks are taken in one order, loan first: a page that has come to its end waits for the loan and holds nothing."""
    reversal = await asked(uow_by, loan[1])
    async with uow_of(tenant) as uow:
        await reversals.replan_autopay(uow, reversal.id)
        await uow.commit()

    async def page() -> bool:
        async with uow_of(tenant) as uow:
            done = await reversals.restate_page(uow, reversal.id)
            await uow.commit()
        return done

    async with uow_of(tenant) as uow:
        await lock_loan(uow, loan[0])
        running = asyncio.create_task(page())
        await asyncio.sleep(1)
        assert not running.done(), "it waits for the loan"
        with pytest.raises(WrongState, match="The reversal is applied"):
            await reversals.approve(uow, loan[1])
    assert await running
    async with uow_of(tenant) as uow:
        days = list(await recorded(uow, reversal.id))
    assert days == [date(2020, 10, 8) + timedelta(days=n) for n in range(13)], "its own day was archived before it came"


async def test_a_disbursement_that_never_left_is_foreseen_and_restated(uow_of: UowOf, tenant: UUID) -> None:
    """Its archived days are those of a loan that had not begun."""
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, date(2020, 9, 14))
    async with uow_of(tenant) as uow:
        promised = await corrections.preview_void_event(uow, loan_id, 1)
        done = await corrections.void_event(uow, loan_id, 1, "The wire failed")
        await uow.commit()
    assert promised.restatement is not None
    assert done.id is not None
    await restate(uow_of, tenant, done.id)
    async with uow_of(tenant) as uow:
        found = await recorded(uow, done.id)
    assert list(found) == [date(2020, 9, day) for day in range(10, 15)]
    assert promised.restatement.days == 5
    assert all({"status", "principal_balance"} <= set(names) for names in found.values())
    (first, *_) = promised.restatement.key_days
    assert (first.archived.status, first.now.status) == ("active", "boarding")


@pytest.mark.parametrize("kind", ["refund", "backdate"])
async def test_the_autopay_of_a_loan_that_owes_an_instalment_again_drafts_it_on_its_date(
    uow_of: UowOf, tenant: UUID, kind: str
) -> None:
    """An instalment paid ahead of its date was none to draft; what corrects that has the autopay look again."""
    rows = Rows(uow_of(tenant).engine, tenant)
    borrowed = await rows.borrowed()
    paid = await pay(uow_of, tenant, borrowed.loan_id, 297_47)
    async with uow_of(tenant) as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
        await uow.commit()
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    await advance(uow_of, tenant, date(2020, 9, 11))
    async with uow_of(tenant) as uow:
        if kind == "refund":
            await payouts.refund(uow, Refund(paid.id, 297_47, "paid by mistake", override=True))
        else:
            await corrections.backdate(uow, paid.id, date(2020, 9, 10))
        await uow.commit()
    due = date(2020, 10, 9) if kind == "refund" else date(2020, 11, 9)
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == due
    told = [intent["action"] for intent in await rows.intents(f"autopay/{enrolment_id}")]
    assert told == ["start", "signal"]
