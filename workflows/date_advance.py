"""DateAdvanceWorkflow: moves a sandbox's business date, day by day.

On each date: wake what has something to do, wait until it is done, close the date, open the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.business_day import close_day, open_day, run_cutoff, send_notices, settle_day
    from workflows.messages import DateAdvanceInput, DateAdvanceStatus

DAYS_PER_RUN: Final = 25
"""After so many days the workflow continues as new, so that its history stays short."""
_ONE_DAY: Final = timedelta(days=1)
_LONGEST_PAUSE: Final = 30


@dataclass(slots=True)
class _State:
    """All that changes while the workflow runs."""

    day: date
    step: str = "starting"
    waiting_on: str = "a worker"
    pending: int = 0


@workflow.defn
class DateAdvanceWorkflow:
    @workflow.init
    def __init__(self, request: DateAdvanceInput) -> None:
        self._request = request
        self._state = _State(request.day or request.from_date)

    @workflow.run
    async def run(self, request: DateAdvanceInput) -> None:
        state = self._state
        first = state.day
        while True:
            await self._let_everything_happen(state.day)
            if state.day >= request.to_date:
                break
            self._show("closing", f"the close of {state.day}")
            await close_day(request.tenant_id, state.day)
            state.day += _ONE_DAY
            if (state.day - first).days >= DAYS_PER_RUN:
                tenant_id, advance_id = request.tenant_id, request.advance_id
                span = (request.from_date, request.to_date)
                workflow.continue_as_new(DateAdvanceInput(tenant_id, advance_id, *span, day=state.day))
        advance = contracts.AdvanceRef(request.tenant_id, request.advance_id)
        await workflow.execute_activity(contracts.finish_advance, advance, **options.QUICK)
        self._show("done", "nobody")
        workflow.upsert_search_attributes([options.STAGE.value_set("done")])

    @workflow.query
    def status(self) -> DateAdvanceStatus:
        """Step, who is waited for, where the date has come to."""
        state = self._state
        return DateAdvanceStatus(state.step, state.waiting_on, state.day, self._request.to_date, state.pending)

    async def _let_everything_happen(self, day: date) -> None:
        """Open a date, run its cutoff once every draft is prepared, and wait until nothing is pending on it, looking again
        in growing intervals."""
        self._show("opening", "a worker")
        tenant_id = self._request.tenant_id
        opened = await open_day(tenant_id, day)
        pending = opened.count
        pause = 1
        while pending:
            self._state.pending = pending
            self._show("settling the day", f"{pending} autopays, drafts and payouts")
            settled = await settle_day(tenant_id, day)
            pending = settled.count
            if settled.cutoff is not None:
                self._show("sending drafts", f"cutoff {settled.cutoff.number} of {day}")
                await run_cutoff(tenant_id, settled.cutoff)
                pause = 1
            elif pending:
                await workflow.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._state.pending = 0
        if opened.notices:
            self._show("telling of drafts to come", "a worker")
            await send_notices(tenant_id)

    def _show(self, step: str, waiting_on: str) -> None:
        self._state.step, self._state.waiting_on = step, waiting_on
        details = f"{step} {self._state.day}, on the way to {self._request.to_date}; waiting on {waiting_on}"
        workflow.set_current_details(details)
