"""PaymentBatchWorkflow: posts a file of payments in pages; what each row has come to is in the database.

The batch's row is the truth: one that is cancelled is noticed at the next page, and nobody needs to tell this workflow.
"""

from __future__ import annotations

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.messages import PaymentBatchInput, PaymentBatchStatus

ROUND_SECONDS: Final = 30
"""So long a step posts before it says how far it is. The largest file takes some hundred: one history holds them."""


@workflow.defn
class PaymentBatchWorkflow:
    @workflow.init
    def __init__(self, request: PaymentBatchInput) -> None:
        self._status = PaymentBatchStatus("starting", "a worker", 0, 0, 0, None)
        self._round = contracts.BatchRound(request.tenant_id, request.batch_id, ROUND_SECONDS)

    @workflow.run
    async def run(self, request: PaymentBatchInput) -> PaymentBatchStatus:
        workflow.set_current_details("posting; waiting on pages of rows")
        while True:
            progress = await workflow.execute_activity(contracts.post_batch, self._round, **options.BATCH)
            done = progress.status != "posting"
            self._show(progress, "nobody" if done else "pages of rows")
            if done:
                workflow.upsert_search_attributes([options.STAGE.value_set("done")])
                return self._status

    @workflow.query
    def status(self) -> PaymentBatchStatus:
        """Step, who is waited for, how many rows have come to what."""
        return self._status

    def _show(self, progress: contracts.BatchProgress, waiting_on: str) -> None:
        self._status = PaymentBatchStatus(
            progress.status, waiting_on, progress.posted, progress.already_there, progress.rejected, progress.left
        )
        done = f"{progress.posted} posted, {progress.already_there} already there, {progress.rejected} rejected"
        workflow.set_current_details(f"{progress.status}: {done}, {progress.left} left; waiting on {waiting_on}")
