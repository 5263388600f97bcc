"""The steps of a business date, the same for whoever moves it: open it, let happen what is due on it, close it."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.rails import cutoff_workflow_id
    from workflows import options, rail_cutoff
    from workflows.close_of_business import CloseOfBusinessWorkflow, close, workflow_id
    from workflows.messages import CloseOfBusinessInput, RailCutoffInput
    from workflows.rail_cutoff import RailCutoffWorkflow

NOTICE_SECONDS: Final = 300


async def open_day(tenant_id: UUID, day: date) -> contracts.Pending:
    """Open a date; again does nothing. Returns how many enrolments, drafts, cutoffs and payouts have something to do
    on it, and whether notices may be due."""
    asked = contracts.BusinessDay(tenant_id, day)
    return await workflow.execute_local_activity(contracts.open_date, asked, **options.LOCAL)


async def settle_day(tenant_id: UUID, day: date) -> contracts.Pending:
    """Wake what is due on a date and give it a moment. Returns how much still has something to do, and the cutoff to run."""
    asked = contracts.BusinessDay(tenant_id, day)
    return await workflow.execute_activity(contracts.settle_day, asked, **options.BATCH)


async def send_notices(tenant_id: UUID) -> None:
    """Tell borrowers of drafts to come; only where `open_day` says that some may be due. What was recorded before there
    were notices says that none are, so it replays."""
    after, done = None, False
    while not done:
        round_ = contracts.NoticeRound(tenant_id, NOTICE_SECONDS, after)
        after = (await workflow.execute_activity(contracts.send_draft_notices, round_, **options.BATCH)).after
        done = after is None


async def run_cutoff(tenant_id: UUID, cutoff: contracts.DueCutoff) -> None:
    """Run a cutoff of a sandbox and wait for it; again does nothing."""
    day, number = cutoff.business_date, cutoff.number
    attributes = [
        SearchAttributePair(options.TENANT_ID, str(tenant_id)),
        SearchAttributePair(options.WORKFLOW_KIND, "rail-cutoff"),
        SearchAttributePair(options.BUSINESS_DATE, day.isoformat()),
    ]
    try:
        await workflow.execute_child_workflow(
            RailCutoffWorkflow.run,
            RailCutoffInput(tenant_id, cutoff.id, day, number),
            id=cutoff_workflow_id(tenant_id, day, number),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"rail cutoff {day} {number}",
        )
    except WorkflowAlreadyStartedError:  # an operator ended it, or it is still running: carrying it out twice is once
        await rail_cutoff.carry_out(contracts.CutoffRef(tenant_id, cutoff.id), lambda step, progress: None)


async def close_day(tenant_id: UUID, day: date) -> None:
    """Close a date and wait for it; again does nothing. The close is a workflow of its own, so that it has its own id,
    history and status."""
    attributes = [
        SearchAttributePair(options.TENANT_ID, str(tenant_id)),
        SearchAttributePair(options.WORKFLOW_KIND, "close-of-business"),
        SearchAttributePair(options.BUSINESS_DATE, day.isoformat()),
    ]
    try:
        await workflow.execute_child_workflow(
            CloseOfBusinessWorkflow.run,
            CloseOfBusinessInput(tenant_id, day),
            id=workflow_id(tenant_id, day),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"close of business {day}",
        )
    except WorkflowAlreadyStartedError:  # an operator ended it, or it is still running: closing twice is closing once
        while not await close(tenant_id, day):
            pass
