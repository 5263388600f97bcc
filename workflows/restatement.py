"""RestatementWorkflow: records which archived days of a loan are otherwise since its history was corrected.

The loan and its books were corrected by the transaction that started this; the row of the correction is the checkpoint.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.messages import RestatementInput, RestatementState


@workflow.defn
class RestatementWorkflow:
    @workflow.init
    def __init__(self, request: RestatementInput) -> None:
        self._correction = contracts.CorrectionRef(request.tenant_id, request.correction_id)
        self._state = RestatementState("starting", "a worker")

    @workflow.run
    async def run(self, request: RestatementInput) -> RestatementState:
        self._show("restating", "a worker")
        await workflow.execute_activity(contracts.restate_corrected_days, self._correction, **options.BATCH)
        self._show("done", "nobody")
        return self._state

    @workflow.query
    def status(self) -> RestatementState:
        """Step, and who is waited for."""
        return self._state

    def _show(self, step: str, waiting_on: str) -> None:
        self._state = RestatementState(step, waiting_on)
        workflow.set_current_details(f"{step}; waiting on {waiting_on}")
        workflow.upsert_search_attributes([options.STAGE.value_set(step)])
