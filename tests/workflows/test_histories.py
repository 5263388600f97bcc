"""Histories of every path replay on today's code: what is running now survives the next deployment."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from services import autopay, dates
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE
from tests.workflows import histories
from tests.workflows.platform import Platform
from workflows.close_of_business import workflow_id as close_id


@pytest.mark.parametrize("path", histories.recorded(), ids=lambda path: path.name)
async def test_a_recorded_history_replays(path: Path, replayer: Replayer) -> None:
    await replayer.replay_workflow(histories.load(path))


def test_every_workflow_has_a_recorded_history() -> None:
    assert {path.name.partition(".")[0] for path in histories.recorded()} == histories.KINDS


async def test_a_history_of_other_steps_does_not_replay(replayer: Replayer) -> None:
    """The proof that the tests above can fail."""
    history = histories.load(histories.DIRECTORY / "AutopayWorkflow.cancelled.json")
    other = WorkflowHistory.from_json(history.workflow_id, history.to_json().replace("plan_autopay", "plan_something_else"))
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(other)


async def test_a_loan_of_two_instalments_from_enrolment_to_payoff(
    platform: Platform, make_tenant: MakeTenant, replayer: Replayer
) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed(replace(EXAMPLE, periods=2))
    enrolment_id = await platform.enrol(tenant, borrowed)
    advance_id = await platform.move_date(tenant, date(2020, 11, 9))
    assert await platform.autopay(enrolment_id).result() == {
        "status": "completed",
        "reason": "the loan is paid off",
        "drafts": 2,
    }
    handles = {
        "AutopayWorkflow.paid_off": platform.autopay(enrolment_id),
        "DateAdvanceWorkflow.first_run": await platform.first_run(dates.workflow_id(advance_id)),
        "DateAdvanceWorkflow.last_run": platform.client.get_workflow_handle(dates.workflow_id(advance_id)),
        "RailCutoffWorkflow.sandbox": platform.cutoff(tenant, date(2020, 10, 9)),
        "CloseOfBusinessWorkflow.a_day": platform.client.get_workflow_handle(close_id(tenant, date(2020, 10, 9))),
    }
    for name, handle in handles.items():
        await replayer.replay_workflow(await histories.keep(name, handle))


async def test_paused_resumed_and_cancelled(platform: Platform, make_tenant: MakeTenant, replayer: Replayer) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)

    await platform.until_step(enrolment_id, "waiting")
    await platform.act(tenant, lambda uow: autopay.pause(uow, borrowed.loan_id))
    await platform.until_step(enrolment_id, "paused")
    await platform.act(tenant, lambda uow: autopay.resume(uow, borrowed.loan_id))
    await platform.until_step(enrolment_id, "waiting")
    await platform.act(tenant, lambda uow: autopay.cancel(uow, borrowed.loan_id, "moved away"))
    handle = platform.autopay(enrolment_id)
    assert (await handle.result())["status"] == "cancelled"
    await replayer.replay_workflow(await histories.keep("AutopayWorkflow.cancelled", handle))
