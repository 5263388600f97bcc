"""AutopayWorkflow: prepares the drafts of a loan's dues, period after period, until the loan, its dates or a person end it.
A cutoff of the rail sends them.

The enrolment's row is the truth; each message only says "look again". So a pause or a cancel counts from its commit on,
whatever this workflow is doing, because every draft is decided on the row, under the loan's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from domain.autopay import DraftStatus, EnrolmentStatus, Plan
    from workflows import business_time, options
    from workflows.messages import AutopayInput, AutopayResult, AutopayStatus

PERIODS_PER_RUN: Final = 12
"""After so many periods the workflow continues as new, so that its history stays short."""


@dataclass(slots=True)
class _State:
    """All that changes while the workflow runs."""

    step: str = "starting"
    waiting_on: str = "a worker"
    plan: Plan | None = None
    drafts: int = 0
    periods: int = 0
    told: bool = False


@workflow.defn
class AutopayWorkflow:
    @workflow.init
    def __init__(self, request: AutopayInput) -> None:
        self._request = request
        self._enrolment = contracts.EnrolmentRef(request.tenant_id, request.enrolment_id)
        self._state = _State(drafts=request.drafts)

    @workflow.run
    async def run(self, request: AutopayInput) -> AutopayResult:
        plan = await self._look()
        while not plan.ended:
            if plan.due and business_time.has_come(plan.process_at):
                plan = await self._draft(plan)
                if not plan.ended and self._run_is_long():
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    drafts = self._state.drafts
                    workflow.continue_as_new(AutopayInput(request.tenant_id, request.enrolment_id, drafts))
            else:
                # in live mode a date that has not opened yet is waited for, whatever the clock says
                instant = plan.process_at if plan.due else None
                await business_time.told_or_at(lambda: self._state.told, instant)
                plan = await self._look()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return AutopayResult(str(plan.status), plan.end_reason, self._state.drafts)

    @workflow.signal
    def changed(self) -> None:
        """The enrolment was changed, or a business date it waits for has opened: look again."""
        self._state.told = True

    @workflow.query
    def status(self) -> AutopayStatus:
        """Step, who is waited for, next process date, drafts so far."""
        state = self._state
        upcoming = state.plan.next_process_date if state.plan else None
        return AutopayStatus(state.step, state.waiting_on, upcoming, state.drafts)

    async def _look(self) -> Plan:
        self._state.told = False
        plan = await workflow.execute_activity(contracts.plan_autopay, self._enrolment, **options.QUICK)
        self._keep(plan)
        return plan

    async def _draft(self, plan: Plan) -> Plan:
        """One period: decide the draft, and go on to the next one."""
        assert plan.next_process_date is not None
        self._show("preparing", f"a worker, for {plan.next_process_date}")
        period = contracts.PeriodRef(self._request.tenant_id, self._request.enrolment_id, plan.next_process_date)
        prepared = await workflow.execute_activity(contracts.prepare_draft, period, **options.QUICK)
        self._state.drafts += prepared.draft.status is DraftStatus.PENDING
        self._state.periods += 1
        self._keep(prepared.plan)
        return prepared.plan

    def _run_is_long(self) -> bool:
        return self._state.periods >= PERIODS_PER_RUN or workflow.info().is_continue_as_new_suggested()

    def _keep(self, plan: Plan) -> None:
        before, self._state.plan = self._state.plan, plan
        match plan.status:
            case EnrolmentStatus.ACTIVE:
                upcoming = plan.next_process_date
                self._show("waiting", f"the business date {upcoming}" if upcoming else "the rail, with the last draft")
            case EnrolmentStatus.PAUSED:
                until = f"until the business date {plan.paused_until}" if plan.paused_until else "until resumed"
                self._show("paused", f"the borrower or staff, {until}")
            case EnrolmentStatus.SUSPENDED:
                self._show("suspended", "staff")
            case _:
                self._show("ended", "nobody")
        if before is None or (before.status, before.next_process_date) != (plan.status, plan.next_process_date):
            upcoming = plan.next_process_date
            workflow.upsert_search_attributes(
                [
                    options.STAGE.value_set(str(plan.status)),
                    options.BUSINESS_DATE.value_set(upcoming.isoformat())
                    if upcoming
                    else options.BUSINESS_DATE.value_unset(),
                ]
            )

    def _show(self, step: str, waiting_on: str) -> None:
        self._state.step, self._state.waiting_on = step, waiting_on
        workflow.set_current_details(f"{step}; waiting on {waiting_on}; {self._state.drafts} drafts so far")
