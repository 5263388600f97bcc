"""RailCutoffWorkflow: waits for the cutoff's hour, takes the drafts that are prepared, and hands them to the rail.

The cutoff's row is the truth. What was taken before a crash is not taken again, and nothing is added once it is collected.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.rails import CutoffProgress, CutoffStatus
    from workflows import business_time, options
    from workflows.messages import RailCutoffInput, RailCutoffState

LATEST: Final = timedelta(minutes=10)
"""So long after its hour a cutoff waits for autopays that have yet to prepare a draft; what comes later goes in the next."""
_PAUSE: Final = timedelta(seconds=15)


async def carry_out(cutoff: contracts.CutoffRef, show: Callable[[str, CutoffProgress], None]) -> CutoffProgress:
    """Take what is prepared, page by page, and hand it to the rail; `show` is told of each step. Again does nothing."""
    progress = CutoffProgress(0, 0, collected=False)
    while not progress.collected:
        show("collecting", progress)
        progress = await workflow.execute_activity(contracts.collect_drafts, cutoff, **options.BATCH)
    show("handing over", progress)
    await workflow.execute_activity(contracts.hand_over_cutoff, cutoff, **options.BATCH)
    show("acknowledged", progress)
    return progress


@workflow.defn
class RailCutoffWorkflow:
    @workflow.init
    def __init__(self, request: RailCutoffInput) -> None:
        self._request = request
        self._cutoff = contracts.CutoffRef(request.tenant_id, request.cutoff_id)
        self._state = RailCutoffState("starting", "a worker", 0, 0)
        self._told = False

    @workflow.run
    async def run(self, request: RailCutoffInput) -> RailCutoffState:
        await self._wait_for_its_hour()
        await carry_out(self._cutoff, self._show)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    @workflow.signal
    def changed(self) -> None:
        """The lender's zone or cutoff time was changed: look again."""
        self._told = True

    @workflow.query
    def status(self) -> RailCutoffState:
        """Step, who is waited for, drafts that were sent and that did not go out after all."""
        return self._state

    async def _wait_for_its_hour(self) -> None:
        since = None
        while True:
            self._told = False
            plan = await workflow.execute_activity(contracts.plan_cutoff, self._cutoff, **options.QUICK)
            if plan.status is not CutoffStatus.OPEN:
                return
            if not business_time.has_come(plan.at):
                self._wait(f"the cutoff at {plan.at:%Y-%m-%d %H:%M} UTC")
                await business_time.told_or_at(lambda: self._told, plan.at)
                continue
            since = since or workflow.now()
            if not plan.acting or workflow.now() - since >= LATEST:
                return
            self._wait(f"{plan.acting} autopays, at most {LATEST.seconds // 60} minutes")
            await workflow.sleep(_PAUSE)

    def _wait(self, waiting_on: str) -> None:
        self._state = RailCutoffState("waiting", waiting_on, 0, 0)
        workflow.set_current_details(f"waiting; waiting on {waiting_on}")

    def _show(self, step: str, progress: CutoffProgress) -> None:
        waiting_on = {"collecting": "pages of drafts", "handing over": "the rail"}.get(step, "nobody")
        self._state = RailCutoffState(step, waiting_on, progress.sent, progress.kept_back)
        done = f"{progress.sent} drafts sent, {progress.kept_back} kept back"
        workflow.set_current_details(f"{step}; waiting on {waiting_on}; {done}")
        workflow.upsert_search_attributes([options.STAGE.value_set(step)])
