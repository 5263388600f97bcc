"""PaymentBatchPreviewWorkflow: previews a file of payments in pages; what each row would come to is in the database.

The batch's row is the truth, as it is for PaymentBatchWorkflow: one that is cancelled is noticed at the next page.
"""

from __future__ import annotations

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.messages import PaymentBatchInput, PaymentBatchPreviewStatus

ROUND_SECONDS: Final = 10
"""So long a step previews before it says how far it is. The largest file takes some ten."""


@workflow.defn
class PaymentBatchPreviewWorkflow:
    @workflow.init
    def __init__(self, request: PaymentBatchInput) -> None:
        self._status = PaymentBatchPreviewStatus("starting", "a worker", None, 0, 0)
        self._round = contracts.BatchRound(request.tenant_id, request.batch_id, ROUND_SECONDS)

    @workflow.run
    async def run(self, request: PaymentBatchInput) -> PaymentBatchPreviewStatus:
        workflow.set_current_details("previewing; waiting on pages of rows")
        while True:
            progress = await workflow.execute_activity(contracts.preview_batch, self._round, **options.BATCH)
            done = progress.status != "previewing"
            self._show(progress, "nobody" if done else "pages of rows")
            if done:
                workflow.upsert_search_attributes([options.STAGE.value_set("done")])
                return self._status

    @workflow.query
    def status(self) -> PaymentBatchPreviewStatus:
        """Step, who is waited for, how many rows are previewed."""
        return self._status

    def _show(self, progress: contracts.PreviewProgress, waiting_on: str) -> None:
        self._status = PaymentBatchPreviewStatus(
            progress.status, waiting_on, progress.rows, progress.previewed, progress.rejected
        )
        done = f"{progress.previewed} of {progress.rows} rows previewed, {progress.rejected} rejected"
        workflow.set_current_details(f"{progress.status}: {done}; waiting on {waiting_on}")
