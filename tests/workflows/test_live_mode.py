"""Live mode: on its business date a draft waits for its hour in the tenant's zone. The server's clock is moved, not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, update
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from domain.autopay import process_instant
from domain.calendars import add_months, next_banking_day
from domain.rails import RailSettings, cutoff_instant
from infra.calendar import bank_holidays
from infra.db.models.processes import autopay_enrolments, workflow_intents
from infra.db.models.tenancy import tenants
from services import autopay, drafts, rail_settings
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE
from tests.workflows import histories
from tests.workflows.platform import Borrowed, Platform, eventually
from workflows.rail_cutoff import LATEST

ZONE = "America/Chicago"


async def acknowledged(cutoff: WorkflowHandle[Any, Any]) -> Any:
    """What a cutoff says of itself once the rail has what it took."""

    async def done() -> Any:
        status = await cutoff.query("status")
        return status["step"] == "acknowledged" and status

    return await eventually(done, "the cutoff is acknowledged")


async def make_live(platform: Platform, tenant: UUID) -> None:
    async with platform.rows(tenant).uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(mode="live", zone=ZONE))
        await uow.commit()


async def test_a_draft_waits_for_its_hour_in_the_tenants_zone(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    now = await skipping.get_current_time()
    contract = now.date() - timedelta(days=3)
    due = add_months(contract, 1)
    process_date = next_banking_day(due, bank_holidays())
    tenant = await make_tenant(process_date)  # the date has opened; its hour, by the server's clock, has not come
    await make_live(live, tenant)
    rows = live.rows(tenant)
    borrowed = await rows.borrowed(replace(EXAMPLE, contract_date=contract, first_due_date=due))
    enrolment_id = await live.enrol(tenant, borrowed)
    instant = process_instant(process_date, ZONE, enrolment_id)

    async def waiting() -> Any:
        await live.delivery.run_once()
        return [row["status"] for row in await rows.intents(f"autopay/{enrolment_id}")] == ["delivered"]

    await eventually(waiting, "the workflow is started")
    await skipping.sleep(instant - now - timedelta(minutes=5))
    assert await rows.drafts(enrolment_id) == []

    await skipping.sleep(timedelta(minutes=10))

    async def is_(status: str) -> Any:
        drafts = [(row["process_date"], row["status"]) for row in await rows.drafts(enrolment_id)]
        return drafts == [(process_date, status)]

    await eventually(lambda: is_("pending"), "the draft is prepared at its hour")
    await histories.keep("AutopayWorkflow.live", live.autopay(enrolment_id))
    following = next_banking_day(add_months(contract, 2), bank_holidays())
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == following

    cutoff = live.cutoff(tenant, process_date)
    await live.delivery.run_once()
    instant = cutoff_instant(process_date, ZONE)
    assert (instant.astimezone(ZoneInfo(ZONE)).hour, instant.astimezone(ZoneInfo(ZONE)).date()) == (16, process_date)
    await skipping.sleep(instant - await skipping.get_current_time() - timedelta(minutes=5))
    assert await is_("pending")
    assert await cutoff.query("status") == {
        "step": "waiting",
        "waiting_on": f"the cutoff at {instant:%Y-%m-%d %H:%M} UTC",
        "sent": 0,
        "kept_back": 0,
    }
    await skipping.sleep(timedelta(minutes=10))
    assert await acknowledged(cutoff) == {"step": "acknowledged", "waiting_on": "nobody", "sent": 1, "kept_back": 0}
    assert await is_("sent")
    await histories.keep("RailCutoffWorkflow.live", cutoff)


async def test_a_draft_prepared_after_the_cutoff_goes_in_the_next_days(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    day = (await skipping.get_current_time()).astimezone(ZoneInfo(ZONE)).date() + timedelta(days=40)
    tenant = await make_tenant(day)
    await make_live(live, tenant)
    rows = live.rows(tenant)
    loans = [await rows.borrowed(replace(EXAMPLE, contract_date=add_months(day, -1), first_due_date=day)) for _ in range(2)]

    async def prepare(loan: Borrowed) -> UUID:
        async with rows.uow() as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
            await uow.execute(update(autopay_enrolments).values(next_process_date=day))
            await drafts.prepare_draft(uow, enrolment_id, day)
            await uow.execute(update(autopay_enrolments).values(next_process_date=day + timedelta(days=30)))
            await uow.commit()
        return enrolment_id

    async def until(instant: datetime) -> None:
        await live.delivery.run_once()
        await skipping.sleep(instant - await skipping.get_current_time())

    first = await prepare(loans[0])
    await until(cutoff_instant(day, ZONE) + timedelta(minutes=1))
    assert (await acknowledged(live.cutoff(tenant, day)))["sent"] == 1

    second = await prepare(loans[1])
    following = cutoff_instant(day + timedelta(days=1), ZONE)
    await until(following - timedelta(minutes=1))
    assert [row["status"] for row in await rows.drafts(second)] == ["pending"]
    await until(following + timedelta(minutes=1))
    assert (await acknowledged(live.cutoff(tenant, day + timedelta(days=1))))["sent"] == 1
    assert [row["status"] for enrolment in (first, second) for row in await rows.drafts(enrolment)] == ["sent", "sent"]


async def test_a_cutoff_whose_hour_is_changed_waits_for_the_new_one(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    day = (await skipping.get_current_time()).astimezone(ZoneInfo(ZONE)).date() + timedelta(days=40)
    tenant = await make_tenant(day)
    await make_live(live, tenant)
    rows = live.rows(tenant)
    loan = await rows.borrowed(replace(EXAMPLE, contract_date=add_months(day, -1), first_due_date=day))
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
        await uow.execute(update(autopay_enrolments).values(next_process_date=day))
        await drafts.prepare_draft(uow, enrolment_id, day)
        await uow.execute(update(autopay_enrolments).values(next_process_date=day + timedelta(days=30)))
        await uow.commit()
    await live.delivery.run_once()

    await live.act(tenant, lambda uow: rail_settings.change(uow, RailSettings(cutoff_time=time(20)), None))
    await live.delivery.run_once()

    await skipping.sleep(cutoff_instant(day, ZONE, time(19)) - await skipping.get_current_time())
    assert [row["status"] for row in await rows.drafts(enrolment_id)] == ["pending"]
    await skipping.sleep(timedelta(hours=1, minutes=1))
    assert (await acknowledged(live.cutoff(tenant, day)))["sent"] == 1
    await histories.keep("RailCutoffWorkflow.changed_hour", live.cutoff(tenant, day))


async def test_a_cutoff_waits_a_little_for_autopays_that_are_late(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    """One enrolment never prepares its draft: nobody runs its workflow. The other's goes out all the same."""
    tenant = await make_tenant(date(2020, 10, 9))
    await make_live(live, tenant)
    rows = live.rows(tenant)
    loans = [await rows.borrowed() for _ in range(2)]
    async with rows.uow() as uow:
        ids = [await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id)) for loan in loans]
        await drafts.prepare_draft(uow, ids[0], date(2020, 10, 9))
        await uow.execute(delete(workflow_intents).where(workflow_intents.c.workflow_type == "AutopayWorkflow"))
        await uow.commit()
    await live.delivery.run_once()
    cutoff = live.cutoff(tenant, date(2020, 10, 9))

    await skipping.sleep(LATEST - timedelta(minutes=1))
    status = await cutoff.query("status")
    assert (status["step"], status["waiting_on"]) == ("waiting", "1 autopays, at most 10 minutes")
    await skipping.sleep(timedelta(minutes=2))
    assert (await acknowledged(cutoff))["sent"] == 1
    assert await rows.drafts(ids[1]) == []
    await histories.keep("RailCutoffWorkflow.late_autopay", cutoff)


async def test_a_draft_does_not_go_out_before_its_date_has_opened(
    live: Platform, skipping: WorkflowEnvironment, make_tenant: MakeTenant
) -> None:
    """The clock is long past the due date, but the business date is not there yet: the close of a day is late."""
    tenant = await make_tenant(date(2020, 10, 8))
    await make_live(live, tenant)
    rows = live.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await live.enrol(tenant, borrowed)
    await live.delivery.run_once()
    await skipping.sleep(timedelta(days=2))
    assert await rows.drafts(enrolment_id) == []

    async with rows.uow() as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(business_date=date(2020, 10, 9)))
        await uow.commit()
    await live.autopay(enrolment_id).signal("changed")

    async def sent() -> Any:
        await live.delivery.run_once()
        return [row["status"] for row in await rows.drafts(enrolment_id)] == ["sent"]

    await eventually(sent, "the draft goes out when its date opens")
