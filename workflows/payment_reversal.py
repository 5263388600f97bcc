"""PaymentReversalWorkflow: waits for a second person where one is needed, then does what follows from a reversed payment.

The payment itself is reversed by the transaction that asked for it, or approved it; the row of the reversal is the truth.
What follows goes on from the step the row is at, whatever stopped in between.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.reversal import ReversalStatus, ReversalStep, waiting_on
    from workflows import options
    from workflows.messages import ReversalInput, ReversalState


@dataclass(slots=True)
class _State:
    """All that changes while the workflow runs."""

    status: str = "requested"
    step: str = "starting"
    waiting_on: str = "a worker"
    told: bool | None = None
    looked: bool = False


@workflow.defn
class PaymentReversalWorkflow:
    @workflow.init
    def __init__(self, request: ReversalInput) -> None:
        self._reversal = contracts.ReversalRef(request.tenant_id, request.reversal_id)
        self._state = _State()

    @workflow.run
    async def run(self, request: ReversalInput) -> ReversalState:
        status = await self._look()
        while status is ReversalStatus.PENDING_APPROVAL:
            await workflow.wait_condition(lambda: not self._state.looked)
            status = await self._look()
        if status is not ReversalStatus.REJECTED:
            await self._follow_up()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.status()

    @workflow.signal
    def decided(self) -> None:
        """A second person has decided: look at the row again."""
        self._state.looked = False

    @workflow.query
    def status(self) -> ReversalState:
        """Status, step, who is waited for, whether the borrower was told."""
        state = self._state
        return ReversalState(state.status, state.step, state.waiting_on, state.told)

    async def _look(self) -> ReversalStatus:
        self._state.looked = True
        progress = await workflow.execute_activity(contracts.look_at_reversal, self._reversal, **options.QUICK)
        self._show(progress.status, progress.step)
        return progress.status

    async def _follow_up(self) -> None:
        """Money first: what is drafted, then what was shown, then what is told."""
        self._show(ReversalStatus.APPLIED, ReversalStep.AUTOPAY)
        await workflow.execute_activity(contracts.replan_reversed_autopay, self._reversal, **options.QUICK)
        self._show(ReversalStatus.APPLIED, ReversalStep.SNAPSHOTS)
        await workflow.execute_activity(contracts.restate_days, self._reversal, **options.BATCH)
        self._show(ReversalStatus.APPLIED, ReversalStep.NOTICE)
        try:
            await workflow.execute_activity(contracts.tell_of_reversal, self._reversal, **options.MAIL)
            self._state.told = True
        except ActivityError:  # the loan is right all the same; staff see that the borrower does not know
            await workflow.execute_activity(contracts.give_up_telling, self._reversal, **options.QUICK)
            self._state.told = False
        self._show(ReversalStatus.COMPLETED, ReversalStep.DONE)

    def _show(self, status: ReversalStatus, step: ReversalStep) -> None:
        before, state = self._state.status, self._state
        state.status, state.step, state.waiting_on = str(status), str(step), waiting_on(step)
        workflow.set_current_details(f"{status}, step {step}; waiting on {state.waiting_on}")
        if before != state.status:
            workflow.upsert_search_attributes([options.STAGE.value_set(state.status)])
