"""What a bank answers, carried out by workflows on a real Temporal server."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

from temporalio.worker import Replayer

from infra.settings import Settings
from services import rail_files, returns
from tests import bank
from tests.conftest import MakeTenant
from tests.rails.lender import Lender, by_nacha
from tests.services import sending
from tests.workflows import histories
from tests.workflows.platform import VAULT, Platform, eventually

DUE = date(2020, 10, 9)


async def test_a_file_from_the_bank_is_carried_out_and_says_how_far_it_is(
    platform: Platform, settings: Settings, make_tenant: MakeTenant, replayer: Replayer
) -> None:
    lender = Lender(platform.rows(await make_tenant(DUE)), settings)
    await by_nacha(lender.rows)
    loans = [await lender.enrolled(account) for account in ("000123456789", "000987654321")]
    cutoff_id = await sending.due(lender.rows)
    await sending.collect(lender.rows, cutoff_id)
    async with lender.rows.uow() as uow:
        found = await rail_files.batch(uow, VAULT, cutoff_id)
        await uow.commit()
    assert found is not None
    assert found[1].file is not None
    ours = found[1].file.content
    first, second = bank.traces(ours)
    given = [bank.Answer(first, "R01"), bank.Answer(second, "C05", information="37")]
    content = bank.answer(ours, given, date(2020, 10, 13))

    file_id, created = await platform.act(lender.rows.tenant, lambda uow: returns.upload(uow, VAULT, content))
    assert created

    async def started() -> bool:
        return {row["status"] for row in await lender.rows.intents(returns.workflow_id(file_id))} == {"delivered"}

    await eventually(started, "the workflow is started")
    handle = platform.client.get_workflow_handle(returns.workflow_id(file_id))
    done = {"step": "done", "waiting_on": "nobody", "posted": 1, "corrected": 1, "repeated": 0, "for_people": 0, "left": 0}
    assert await handle.result() == done
    assert await handle.query("status") == done
    statuses = [payment["status"] for loan, _, _ in loans for payment in await lender.rows.payments(loan.loan_id)]
    assert statuses == ["returned", "processing"]
    await replayer.replay_workflow(await histories.keep("RailReturnsWorkflow.done", handle))


async def test_a_sandbox_draft_is_returned_tried_again_and_settles_as_the_date_moves(
    platform: Platform, settings: Settings, make_tenant: MakeTenant
) -> None:
    tenant: UUID = await make_tenant(date(2020, 10, 8))
    lender = Lender(platform.rows(tenant), settings)
    loan = await lender.borrowed("000000009801")
    enrolment_id = await platform.enrol(tenant, loan)
    dispatcher = asyncio.create_task(platform.delivery.run_forever(0.1))

    await platform.move_date(tenant, date(2020, 10, 15))
    drafts = await lender.rows.drafts(enrolment_id)
    assert [(row["attempt"], row["status"], row["send_on"]) for row in drafts] == [
        (1, "failed", None),
        (2, "pending", date(2020, 10, 16)),
    ]

    await platform.move_date(tenant, date(2020, 10, 21))
    dispatcher.cancel()
    drafts = await lender.rows.drafts(enrolment_id)
    assert [(row["attempt"], row["status"]) for row in drafts] == [(1, "failed"), (2, "settled")]
    assert await platform.autopay(enrolment_id).query("status") == {
        "step": "waiting",
        "waiting_on": "the business date 2020-11-09",
        "next_process_date": "2020-11-09",
        "drafts": 1,
    }
