"""The borrower is told of a draft to come by the business date's process, and a mail server that is away stops no date."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Replayer

from activities import draft_notices
from activities.contracts import NoticeRound, NoticesProgress
from activities.draft_notices import DraftNoticeActivities
from domain.drafting import Outlook
from domain.errors import WrongState
from domain.events import ChargedFee, FeeCharged
from domain.terms import LoanTerms
from infra.clock import date_in_zone
from infra.db.models.processes import autopay_notices
from infra.db.models.servicing import borrowers
from infra.db.uow import UnitOfWork
from infra.notifier import Mail, Notifier, Undelivered
from infra.settings import Settings
from services import autopay, dates
from services import draft_notices as service
from services.replaying import apply_event, lock_loan
from tests.api.mailbox import Mailbox
from tests.conftest import MakeTenant
from tests.domain.loans import EXAMPLE
from tests.workflows import histories
from tests.workflows.platform import Borrowed, Platform, Rows
from tests.workflows.test_business_day_tick import ONE_DAY, live_tenant, tick, zone

__all__ = ["zone"]  # a fixture

DUE = date(2020, 10, 9)
FIRST = DUE - timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Sends(Notifier):
    """A notifier that keeps what it sends; `failure`: what comes of each mail instead."""

    failure: Undelivered | None = None
    tried: list[Mail] = field(default_factory=list)

    async def deliver(self, mail: Mail) -> None:
        self.tried.append(mail)
        if self.failure is not None:
            raise self.failure


async def with_a_fee(rows: Rows, email: str, terms: LoanTerms = EXAMPLE) -> Borrowed:
    """A loan whose next draft takes a fee too."""
    borrowed = await rows.borrowed(terms)
    owner = (await rows.loan(borrowed.loan_id))["borrower_id"]
    async with rows.uow() as uow:
        await uow.execute(update(borrowers).where(borrowers.c.id == owner).values(email=email))
        fee = FeeCharged("f", ChargedFee.OTHER, 15_00)
        await apply_event(uow, await lock_loan(uow, borrowed.loan_id), fee, await uow.business_date())
        await uow.commit()
    return borrowed


async def told(rows: Rows) -> list[tuple[UUID, date]]:
    """Enrolments and business dates of the notices that were sent."""
    found = await rows.all(select(autopay_notices).order_by(autopay_notices.c.enrolment_id))
    return [(row["enrolment_id"], row["sent_on"]) for row in found]


async def test_an_opened_date_tells_of_the_draft_once(
    platform: Platform, make_tenant: MakeTenant, replayer: Replayer, settings: Settings
) -> None:
    tenant = await make_tenant(FIRST - timedelta(days=1))
    rows, address = platform.rows(tenant), f"{tenant}@example.com"
    enrolment_id = await platform.enrol(tenant, await with_a_fee(rows, address))
    advance_id = await platform.move_date(tenant, FIRST + timedelta(days=2))
    assert await told(rows) == [(enrolment_id, FIRST)]
    (mail,) = Mailbox(Notifier(settings).outbox).to(address)
    text = mail.get_content().replace("\n", " ")
    assert f"automatic payment of {DUE}" in text
    assert "not the regular amount" in text  # there was none before it
    handle = platform.client.get_workflow_handle(dates.workflow_id(advance_id))
    history = await histories.keep("DateAdvanceWorkflow.notices", handle)
    assert "send_draft_notices" in history.to_json()
    await replayer.replay_workflow(history)


async def test_so_does_the_calendar_of_a_live_tenant(
    platform: Platform, make_tenant: MakeTenant, replayer: Replayer, zone: str
) -> None:
    tenant = await live_tenant(platform, make_tenant, zone, behind=1)
    rows, today = platform.rows(tenant), date_in_zone(zone)
    terms = replace(EXAMPLE, contract_date=today - 9 * ONE_DAY, first_due_date=today + 11 * ONE_DAY)
    enrolment_id = await platform.enrol(tenant, await with_a_fee(rows, f"{tenant}@example.com", terms))
    handle = await tick(platform, tenant)
    assert await told(rows) == [(enrolment_id, today)]
    await replayer.replay_workflow(await histories.keep("BusinessDayTickWorkflow.notices", handle))


@pytest.fixture
async def three(engine: AsyncEngine, make_tenant: MakeTenant) -> tuple[Rows, list[UUID]]:
    """Three enrolments of whose next drafts notices are due."""
    rows = Rows(engine, await make_tenant(FIRST))
    loans = [await with_a_fee(rows, f"{number}@example.com") for number in range(3)]
    async with rows.uow() as uow:
        enrolled = [await autopay.enrol(uow, autopay.Enrol(one.loan_id, one.instrument_id)) for one in loans]
        await uow.commit()
    return rows, sorted(enrolled)


async def send(rows: Rows, notifier: Notifier, seconds: int = 60, after: UUID | None = None) -> NoticesProgress:
    step = DraftNoticeActivities(rows.engine, notifier).send_draft_notices
    return await ActivityEnvironment().run(step, NoticeRound(rows.tenant, seconds, after))


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_notices, "AT_ONCE", 1)


@pytest.mark.usefixtures("one_at_a_time")
async def test_a_mail_server_that_is_away_is_asked_once_a_date(three: tuple[Rows, list[UUID]], settings: Settings) -> None:
    (rows, enrolled), away = three, Sends(settings, Undelivered("TimeoutError", final=False, away=True))
    assert await send(rows, away) == NoticesProgress(None)
    assert (len(away.tried), await told(rows)) == (1, [])
    there = Sends(settings)
    await send(rows, there)
    assert (len(there.tried), await told(rows)) == (3, [(one, FIRST) for one in enrolled])


async def test_an_address_that_is_refused_keeps_no_notice_of_others(
    three: tuple[Rows, list[UUID]], settings: Settings
) -> None:
    refusing = Sends(settings, Undelivered("SMTPRecipientsRefused", final=True, away=False))
    assert await send(three[0], refusing) == NoticesProgress(None)
    assert (len(refusing.tried), await told(three[0])) == (3, [])


async def test_a_loan_whose_drafts_cannot_be_foreseen_keeps_no_notice_of_others(
    three: tuple[Rows, list[UUID]], settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (rows, (first, second, third)), notifier = three, Sends(settings)
    foresee = service.outlook

    async def refused(uow: UnitOfWork, enrolment_id: UUID, count: int) -> Outlook:
        if enrolment_id == second:
            raise WrongState("The loan is paid_off: only an active loan is modified.", state="paid_off", allowed=["active"])
        return await foresee(uow, enrolment_id, count)

    monkeypatch.setattr(service, "outlook", refused)
    assert await send(rows, notifier) == NoticesProgress(None)
    assert await told(rows) == [(first, FIRST), (third, FIRST)]
    assert f"the drafts of enrolment {second} cannot be foreseen: wrong_state" in caplog.text


@pytest.mark.usefixtures("one_at_a_time")
async def test_a_round_that_is_over_says_where_to_go_on(three: tuple[Rows, list[UUID]], settings: Settings) -> None:
    (rows, enrolled), notifier = three, Sends(settings)
    after, rounds = None, []
    while (after := (await send(rows, notifier, 0, after)).after) is not None:
        rounds.append(after)
    assert rounds == enrolled
    assert await told(rows) == [(one, FIRST) for one in enrolled]
    assert len({mail.key for mail in notifier.tried}) == len(notifier.tried) == 3
