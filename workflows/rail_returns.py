"""RailReturnsWorkflow: does what a file from the bank says, answer by answer. What was done before a crash is not done
again: each answer's outcome is written with what it does."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.messages import RailReturnsInput, RailReturnsState


@workflow.defn
class RailReturnsWorkflow:
    @workflow.init
    def __init__(self, request: RailReturnsInput) -> None:
        self._file = contracts.ReturnFileRef(request.tenant_id, request.file_id)
        self._state = RailReturnsState("starting", "a worker", 0, 0, 0, 0, None)

    @workflow.run
    async def run(self, request: RailReturnsInput) -> RailReturnsState:
        workflow.set_current_details("taking answers; waiting on pages of them")
        while True:
            progress = await workflow.execute_activity(contracts.take_answers, self._file, **options.BATCH)
            self._show(progress)
            if not progress.left:
                workflow.upsert_search_attributes([options.STAGE.value_set("done")])
                return self._state

    @workflow.query
    def status(self) -> RailReturnsState:
        """Step, who is waited for, how many answers have come to what."""
        return self._state

    def _show(self, progress: contracts.ReturnsProgress) -> None:
        step, waiting_on = ("taking answers", "pages of them") if progress.left else ("done", "nobody")
        parts = (progress.posted, progress.corrected, progress.repeated, progress.for_people)
        self._state = RailReturnsState(step, waiting_on, *parts, progress.left)
        done = "{} posted, {} corrected, {} repeated, {} for people".format(*parts)
        workflow.set_current_details(f"{step}; waiting on {waiting_on}; {done}, {progress.left} left")
