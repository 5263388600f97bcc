"""WebhookWorkflow: brings one event to one endpoint, trying again ever more slowly until it is taken or given up."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.webhooks import DeliveryStatus, Progress
    from workflows import options
    from workflows.messages import WebhookInput, WebhookResult, WebhookStatus


@workflow.defn
class WebhookWorkflow:
    @workflow.init
    def __init__(self, request: WebhookInput) -> None:
        self._delivery = contracts.DeliveryRef(request.tenant_id, request.delivery_id)
        self._status = WebhookStatus("sending", "the endpoint", 0, None)

    @workflow.run
    async def run(self, request: WebhookInput) -> WebhookResult:
        while True:
            self._show("sending", "the endpoint", self._status.attempts)
            queue = contracts.webhook_queue(workflow.info().task_queue)
            config: workflow.ActivityConfig = {**options.DELIVERY, "task_queue": queue}
            progress = await workflow.execute_activity(contracts.deliver_webhook, self._delivery, **config)
            if progress.status is not DeliveryStatus.PENDING or progress.retry_in is None:
                return self._end(progress)
            self._show("waiting", f"the next attempt, {progress.retry_in} s after the last", progress.attempts, progress)
            await workflow.sleep(progress.retry_in)

    @workflow.query
    def status(self) -> WebhookStatus:
        """Step, who is waited for, attempts so far."""
        return self._status

    def _end(self, progress: Progress) -> WebhookResult:
        self._show(str(progress.status), "nobody", progress.attempts)
        workflow.upsert_search_attributes([options.STAGE.value_set(str(progress.status))])
        return WebhookResult(str(progress.status), progress.attempts)

    def _show(self, step: str, waiting_on: str, attempts: int, progress: Progress | None = None) -> None:
        self._status = WebhookStatus(step, waiting_on, attempts, progress.retry_in if progress else None)
        workflow.set_current_details(f"{step}; waiting on {waiting_on}; {attempts} attempts so far")
