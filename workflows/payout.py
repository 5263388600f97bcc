"""PayoutWorkflow: takes an approved payout to the rail, posts that it was sent on its banking day, and tells the borrower.

The payout's row is the truth; each message only says "look again".
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.payouts import PayoutPlan, PayoutStatus, progress
    from workflows import business_time, options
    from workflows.messages import PayoutInput, PayoutProgress


@workflow.defn
class PayoutWorkflow:
    @workflow.init
    def __init__(self, request: PayoutInput) -> None:
        self._payout = contracts.PayoutRef(request.tenant_id, request.payout_id)
        self._progress = PayoutProgress("starting", "a worker", None)
        self._plan: PayoutPlan | None = None
        self._told = False

    @workflow.run
    async def run(self, request: PayoutInput) -> PayoutProgress:
        plan = await self._look()
        while not plan.ended:
            if plan.goes_out_on is None:
                plan = await workflow.execute_activity(contracts.hand_over_payout, self._payout, **options.QUICK)
                self._keep(plan)
            elif plan.due:
                plan = await workflow.execute_activity(contracts.send_payout, self._payout, **options.QUICK)
                self._keep(plan)
            else:
                await business_time.told_or_at(lambda: self._told, None)
                plan = await self._look()
        if plan.status is PayoutStatus.SENT:
            await self._tell_the_borrower()
        self._keep(plan)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._progress

    @workflow.signal
    def changed(self) -> None:
        """The business date that the payout waits for has opened, or it was cancelled: look again."""
        self._told = True

    @workflow.query
    def status(self) -> PayoutProgress:
        """Step, who is waited for, the banking day on which the money goes out."""
        return self._progress

    async def _look(self) -> PayoutPlan:
        self._told = False
        plan = await workflow.execute_activity(contracts.plan_payout, self._payout, **options.QUICK)
        self._keep(plan)
        return plan

    async def _tell_the_borrower(self) -> None:
        """The money is gone whether the mail arrives or not."""
        self._show("telling the borrower", "the mail server")
        try:
            await workflow.execute_activity(contracts.tell_of_payout, self._payout, **options.MAIL)
        except ActivityError as error:
            kind = error.cause.type if isinstance(error.cause, ApplicationError) else type(error.cause).__name__
            workflow.logger.error("the borrower was not told: %s", kind)

    def _keep(self, plan: PayoutPlan) -> None:
        before, self._plan = self._plan, plan
        self._show(*progress(plan.status, plan.goes_out_on))
        if before is None or (before.status, before.goes_out_on) != (plan.status, plan.goes_out_on):
            updates = [options.STAGE.value_set(str(plan.status))]
            if plan.goes_out_on is not None:
                updates.append(options.BUSINESS_DATE.value_set(plan.goes_out_on.isoformat()))
            workflow.upsert_search_attributes(updates)

    def _show(self, step: str, waiting_on: str) -> None:
        goes_out_on = self._plan.goes_out_on if self._plan else None
        self._progress = PayoutProgress(step, waiting_on, goes_out_on)
        workflow.set_current_details(f"{step}; waiting on {waiting_on}")
