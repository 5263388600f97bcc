"""CloseOfBusinessWorkflow: closes one business date of a tenant, in pages whose checkpoint is in the database."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.messages import CloseOfBusinessInput, CloseOfBusinessStatus

QUICK_SECONDS: Final = 1
ROUND_SECONDS: Final = 30
ROUNDS_PER_RUN: Final = 500
"""After so many rounds the workflow continues as new."""


def workflow_id(tenant_id: UUID, business_date: date) -> str:
    """The id of the close of a date."""
    return f"close-of-business/{tenant_id}/{business_date}"


@workflow.defn
class CloseOfBusinessWorkflow:
    @workflow.init
    def __init__(self, request: CloseOfBusinessInput) -> None:
        self._date = request.business_date
        self._step = "closing"

    @workflow.run
    async def run(self, request: CloseOfBusinessInput) -> None:
        workflow.set_current_details(f"closing {self._date}; waiting on pages of loans, settlement")
        for _ in range(ROUNDS_PER_RUN):
            if await close(request.tenant_id, request.business_date):
                self._step = "closed"
                workflow.set_current_details(f"{self._date} is closed")
                return
        workflow.continue_as_new(request)

    @workflow.query
    def status(self) -> CloseOfBusinessStatus:
        """Step, who is waited for, the date."""
        waiting_on = "nobody" if self._step == "closed" else "pages of loans, settlement"
        return CloseOfBusinessStatus(self._step, waiting_on, self._date)


async def close(tenant_id: UUID, business_date: date) -> bool:
    """Close for a while; returns whether the date is closed. A small portfolio is closed within the workflow's own task;
    what takes longer goes to an activity with a heartbeat."""
    quick = contracts.CloseRound(tenant_id, business_date, QUICK_SECONDS)
    if (await workflow.execute_local_activity(contracts.close_pages, quick, **options.LOCAL)).done:
        return True
    round_ = contracts.CloseRound(tenant_id, business_date, ROUND_SECONDS)
    return (await workflow.execute_activity(contracts.close_pages, round_, **options.BATCH)).done
