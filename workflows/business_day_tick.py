"""BusinessDayTickWorkflow: brings a live tenant's business date to the calendar's, day by day.

Started at each midnight of the tenant's zone by its schedule. Days that were missed run in order; where the date is right
already, nothing happens. The row of the business date is the truth, so a second tick beside this one changes nothing.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contracts
    from workflows import options
    from workflows.business_day import close_day, open_day, send_notices, settle_day
    from workflows.messages import BusinessDayTickInput, BusinessDayTickStatus

DAYS_PER_RUN: Final = 25
"""After so many days the workflow continues as new, so that its history stays short."""
_ONE_DAY: Final = timedelta(days=1)


@workflow.defn
class BusinessDayTickWorkflow:
    @workflow.init
    def __init__(self, request: BusinessDayTickInput) -> None:
        self._tenant_id: UUID = request.tenant_id
        self._status = BusinessDayTickStatus("starting", "a worker", None, None)

    @workflow.run
    async def run(self, request: BusinessDayTickInput) -> None:
        for _ in range(DAYS_PER_RUN):
            calendar = await self._calendar()
            if calendar.business_date >= calendar.today:
                self._show("done", "nobody", calendar)
                workflow.upsert_search_attributes([options.STAGE.value_set("done")])
                return
            await self._go_on_from(calendar.business_date, calendar)
        workflow.continue_as_new(request)

    @workflow.query
    def status(self) -> BusinessDayTickStatus:
        """Step, who is waited for, the business date, and the calendar's date it is on the way to."""
        return self._status

    async def _calendar(self) -> contracts.Calendar:
        """Asked again for each day: a long way may take past the next midnight. The instant is the server's, whose clock
        fired the schedule; a worker's that is a little late would still see the day before, and a day would be lost."""
        asked = contracts.Instant(self._tenant_id, workflow.now())
        return await workflow.execute_local_activity(contracts.read_calendar, asked, **options.LOCAL)

    async def _go_on_from(self, day: date, calendar: contracts.Calendar) -> None:
        """Close the open date and open the next. What is due then is woken but not waited for: it happens at its hour of
        that day, and the calendar does not stop for it."""
        self._show("closing", f"the close of {day}", calendar)
        await close_day(self._tenant_id, day)
        following = day + _ONE_DAY
        self._show("opening", "a worker", calendar)
        opened = await open_day(self._tenant_id, following)
        if opened.count:
            await settle_day(self._tenant_id, following)
        if opened.notices:
            self._show("telling of drafts to come", "a worker", calendar)
            await send_notices(self._tenant_id)

    def _show(self, step: str, waiting_on: str, calendar: contracts.Calendar) -> None:
        self._status = BusinessDayTickStatus(step, waiting_on, calendar.business_date, calendar.today)
        way = f"{calendar.business_date}, on the way to {calendar.today}"
        workflow.set_current_details(f"{step} {way}; waiting on {waiting_on}")
