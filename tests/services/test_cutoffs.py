"""Which cutoff takes a draft: of a live lender the open one or the next, and none is ever left without."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.rails import cutoff_workflow_id
from infra.db.models.processes import autopay_drafts
from infra.db.models.rails import rail_cutoffs
from infra.db.uow import UnitOfWork
from services import autopay, cutoffs, drafts
from tests.conftest import MakeTenant
from tests.services import sending
from tests.workflows.platform import Borrowed, Rows

DUE = date(2020, 10, 9)


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    """A live lender on the first due date of the example loan."""
    return Rows(engine, await make_tenant(DUE, mode="live"))


async def prepare(uow: UnitOfWork, loan: Borrowed) -> UUID:
    enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
    prepared = await drafts.prepare_draft(uow, enrolment_id, DUE)
    assert prepared.id is not None
    return prepared.id


async def prepared(rows: Rows) -> UUID:
    loan = await rows.borrowed()
    async with rows.uow() as uow:
        draft_id = await prepare(uow, loan)
        await uow.commit()
    return draft_id


async def all_cutoffs(rows: Rows) -> Sequence[RowMapping]:
    return await rows.all(select(rail_cutoffs).order_by(rail_cutoffs.c.business_date, rail_cutoffs.c.number))


async def test_drafts_prepared_at_once_share_one_cutoff_which_is_started_once(rows: Rows) -> None:
    await asyncio.gather(*(prepared(rows) for _ in range(8)))
    (cutoff,) = await all_cutoffs(rows)
    assert (cutoff["business_date"], cutoff["number"], cutoff["status"]) == (DUE, 1, "open")
    (intent,) = await rows.intents(cutoff_workflow_id(rows.tenant, DUE, 1))
    assert (intent["action"], intent["payload"]["cutoff_id"]) == ("start", str(cutoff["id"]))
    assert (await sending.collect(rows, cutoff["id"])).sent == 8


async def test_a_draft_prepared_after_it_has_begun_goes_in_the_next_days(rows: Rows) -> None:
    await prepared(rows)
    (first,) = await all_cutoffs(rows)
    await sending.collect(rows, first["id"])

    late = await prepared(rows)

    _, second = await all_cutoffs(rows)
    assert (second["business_date"], second["status"]) == (date(2020, 10, 10), "open")
    assert (await sending.collect(rows, first["id"])).sent == 1, "it is collected: nothing is added"
    (row,) = [row for row in await rows.all(select(autopay_drafts)) if row["id"] == late]
    assert row["status"] == "pending"
    assert (await sending.collect(rows, second["id"])).sent == 1


async def test_a_cutoff_that_begins_waits_for_a_draft_that_is_being_prepared(rows: Rows) -> None:
    """Otherwise that draft, committed a moment later, would be in none."""
    await prepared(rows)
    (cutoff,) = await all_cutoffs(rows)
    loan = await rows.borrowed()
    async with rows.uow() as slow:
        await prepare(slow, loan)
        collecting = asyncio.create_task(sending.collect(rows, cutoff["id"]))
        await asyncio.sleep(0.3)
        assert not collecting.done()
        await slow.commit()
    assert (await collecting).sent == 2
    assert len(await all_cutoffs(rows)) == 1


async def test_a_draft_that_waits_for_its_day_calls_its_cutoff_when_the_day_opens(rows: Rows) -> None:
    await prepared(rows)
    (cutoff,) = await all_cutoffs(rows)
    async with rows.uow() as uow:
        await uow.execute(update(autopay_drafts).values(send_on=date(2020, 10, 14)))
        await uow.commit()
    assert (await sending.collect(rows, cutoff["id"])).sent == 0
    async with rows.uow() as uow:
        await cutoffs.call_due(uow)
        await uow.commit()
    assert len(await all_cutoffs(rows)) == 1

    async with rows.uow() as uow:
        await uow.execute(update(autopay_drafts).values(send_on=DUE))
        await cutoffs.call_due(uow)
        await uow.commit()
    _, second = await all_cutoffs(rows)
    assert (await sending.collect(rows, second["id"])).sent == 1
