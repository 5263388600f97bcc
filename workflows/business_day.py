"""The steps of a business date, the same for whoever moves it: open it, let happen what is due on it, close it."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.close_of_business import CloseOfBusinessWorkflow, close, workflow_id
    from workflows.messages import CloseOfBusinessInput


async def open_day(tenant_id: UUID, day: date) -> int:
    """Open a date; again does nothing. Returns how many enrolments, drafts and payouts have something to do on it."""
    asked = contracts.BusinessDay(tenant_id, day)
    return (await workflow.execute_local_activity(contracts.open_date, asked, **options.LOCAL)).count


async def settle_day(tenant_id: UUID, day: date) -> int:
    """Wake what is due on a date and give it a moment. Returns how many still have something to do."""
    asked = contracts.BusinessDay(tenant_id, day)
    return (await workflow.execute_activity(contracts.settle_day, asked, **options.BATCH)).count


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
