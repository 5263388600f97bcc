"""What happens to a loan is written once, in the transaction of its cause, whatever the cause."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.changes import Extended
from domain.errors import NotFound, Refusal
from domain.events import ChargedOff
from domain.flags import LoanFlag
from infra.db.models.processes import autopay_enrolments
from infra.db.models.webhooks import webhook_deliveries, webhook_endpoints, webhook_events
from infra.db.queries import webhooks as queries
from infra.db.uow import UnitOfWork
from services import autopay, corrections, drafts, flags
from services.actions import act
from services.payments import RecordPayment, record, settle
from tests.conftest import MakeTenant
from tests.services import sending
from tests.services.lending import UowOf, active_loan, advance, jump, open_dates, pay, run_date
from tests.services.reversing import reverse
from tests.services.watching import watched
from tests.workflows.platform import Borrowed, Rows


async def told(uow: UnitOfWork, loan_id: UUID) -> Sequence[RowMapping]:
    """The events of a loan, in the order they were written."""
    statement = select(webhook_events).where(webhook_events.c.loan_id == loan_id)
    return await uow.all(statement.order_by(webhook_events.c.recorded_in, webhook_events.c.id))


async def types(uow_of: UowOf, tenant: UUID, loan_id: UUID) -> list[str]:
    async with uow_of(tenant) as uow:
        return [row["type"] for row in await told(uow, loan_id)]


async def test_a_payment_of_staff_is_recorded_and_settled(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 297_47)
    async with uow_of(tenant) as uow:
        disbursed, recorded, settled = await told(uow, loan_id)
    assert (disbursed["type"], disbursed["loan_event_number"]) == ("loan.disbursed", 1)
    assert disbursed["data"] == {"amount": "10000.00", "effective_date": "2020-09-09"}
    assert (recorded["type"], recorded["payment_id"], recorded["loan_event_number"]) == ("payment.recorded", paid.id, 3)
    assert recorded["data"] == {
        "amount": "297.47",
        "effective_date": "2020-09-09",
        "principal_applied": "260.48",
        "interest_applied": "36.99",
        "fees_applied": "0.00",
        "overpayment": "0.00",
        "due_from_borrower_applied": "0.00",
        "principal_balance": "9739.52",
    }
    assert (settled["type"], settled["payment_id"]) == ("payment.settled", paid.id)
    assert settled["data"] == {"settled_on": "2020-09-09"}
    assert recorded["business_date"] == date(2020, 9, 9)


async def test_money_in_transit_settles_later_and_once(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        draft = RecordPayment(loan_id, 5000, "ach", status="processing", settlement_status="in_transit")
        payment = await record(uow, draft)
        await uow.commit()
    assert await types(uow_of, tenant, loan_id) == ["loan.disbursed", "payment.recorded"]
    for _ in range(2):
        async with uow_of(tenant) as uow:
            await settle(uow, [payment.id])
            await uow.commit()
    assert await types(uow_of, tenant, loan_id) == ["loan.disbursed", "payment.recorded", "payment.settled"]


async def test_a_payment_recorded_twice_is_told_once(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    for _ in range(2):
        async with uow_of(tenant) as uow:
            await record(uow, RecordPayment(loan_id, 5000, "ach", external_id="the same"))
            await uow.commit()
    assert (await types(uow_of, tenant, loan_id)).count("payment.recorded") == 1


async def test_what_is_rolled_back_or_refused_was_never_told(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        await record(uow, RecordPayment(loan_id, 5000, "ach"))
    async with uow_of(tenant) as uow:
        with pytest.raises(Refusal):
            await record(uow, RecordPayment(loan_id, 5000, "ach", effective_date=date(2020, 9, 8)))
        await uow.commit()
    assert await types(uow_of, tenant, loan_id) == ["loan.disbursed"]


async def test_backdated_and_reversed(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await open_dates(uow_of, tenant, date(2020, 9, 20))
    paid = await pay(uow_of, tenant, loan_id, 297_47)
    async with uow_of(tenant) as uow:
        await corrections.backdate(uow, paid.id, date(2020, 9, 15), "the bank said so")
        await uow.commit()
    async with uow_of(tenant) as uow:
        await reverse(uow, paid.id, "it bounced at Jane Roe's bank")
        await uow.commit()
    async with uow_of(tenant) as uow:
        *_, backdated, reversed_ = await told(uow, loan_id)
        assert "Jane" not in str(await told(uow, loan_id))
    assert (backdated["type"], backdated["payment_id"]) == ("payment.backdated", paid.id)
    dates = {name: backdated["data"][name] for name in ("effective_date", "previous_effective_date")}
    assert dates == {"effective_date": "2020-09-15", "previous_effective_date": "2020-09-20"}
    assert (reversed_["type"], reversed_["payment_id"]) == ("payment.reversed", paid.id)
    assert reversed_["data"] == {"amount": "297.47", "effective_date": "2020-09-15"}
    assert reversed_["loan_event_number"] > backdated["loan_event_number"]
    seen = await types(uow_of, tenant, loan_id)
    assert seen == ["loan.disbursed", "payment.recorded", "payment.settled", "payment.backdated", "payment.reversed"]


async def test_paid_off_and_reopened(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    paid = await pay(uow_of, tenant, loan_id, 10_100_00)
    assert (await types(uow_of, tenant, loan_id))[-1] == "loan.paid_off"
    async with uow_of(tenant) as uow:
        await reverse(uow, paid.id, "no funds")
        await uow.commit()
    async with uow_of(tenant) as uow:
        *_, reversed_, reopened = await told(uow, loan_id)
    assert (reversed_["type"], reopened["type"]) == ("payment.reversed", "loan.reopened")
    assert reopened["data"] == {"previous_status": "paid_off", "principal_balance": "10000.00"}


async def test_charged_off_modified_and_taken_back(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    async with uow_of(tenant) as uow:
        acted = await act(uow, loan_id, lambda _: Extended(2, True), None, "a plan")
        await uow.commit()
    async with uow_of(tenant) as uow:
        await corrections.void_event(uow, loan_id, acted.event.sequence, "a mistake")
        await act(uow, loan_id, lambda _: ChargedOff("John Doe is bankrupt"), None, "as said")
        await uow.commit()
    async with uow_of(tenant) as uow:
        _, modified, voided, charged_off = await told(uow, loan_id)
    assert (modified["type"], modified["data"]["kind"], modified["data"]["voided"]) == ("loan.modified", "extended", False)
    assert (voided["type"], voided["data"]["kind"], voided["data"]["voided"]) == ("loan.modified", "extended", True)
    assert charged_off["type"] == "loan.charged_off"
    assert "Doe" not in str(charged_off["data"])


async def test_a_bucket_changes_at_close_of_business_and_is_told_once(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await advance(uow_of, tenant, date(2020, 10, 9))
    assert await types(uow_of, tenant, loan_id) == ["loan.disbursed"]
    await advance(uow_of, tenant, date(2020, 10, 12))
    async with uow_of(tenant) as uow:
        _, changed = await told(uow, loan_id)
    assert (changed["type"], changed["business_date"]) == ("loan.delinquency_bucket_changed", date(2020, 10, 10))
    assert changed["data"] == {
        "bucket": "dpd_1_29",
        "previous_bucket": "current",
        "past_due_amount": "297.47",
        "days_past_due": 1,
    }
    await jump(uow_of, tenant, date(2020, 11, 8))
    await pay(uow_of, tenant, loan_id, 2 * 297_47 + 30_00)
    async with uow_of(tenant) as uow:
        *_, late, recorded, settled, cured = await told(uow, loan_id)
    assert (late["data"]["bucket"], late["data"]["previous_bucket"]) == ("dpd_30_59", "dpd_1_29")
    assert [row["type"] for row in (recorded, settled)] == ["payment.recorded", "payment.settled"]
    assert (cured["data"]["bucket"], cured["data"]["previous_bucket"]) == ("current", "dpd_30_59")


async def test_a_loan_that_ends_past_due_does_not_become_current(uow_of: UowOf, tenant: UUID) -> None:
    """Charged off it is in no bucket; reopened it is in the one it comes back to."""
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 12))
    async with uow_of(tenant) as uow:
        acted = await act(uow, loan_id, lambda _: ChargedOff("given up"), None, "as said")
        await uow.commit()
    async with uow_of(tenant) as uow:
        await corrections.void_event(uow, loan_id, acted.event.sequence, "a mistake")
        await uow.commit()
    async with uow_of(tenant) as uow:
        _, late, charged_off, reopened, again = await told(uow, loan_id)
    assert (late["data"]["bucket"], charged_off["type"], reopened["type"]) == (
        "dpd_1_29",
        "loan.charged_off",
        "loan.reopened",
    )
    assert (again["type"], again["data"]["bucket"]) == ("loan.delinquency_bucket_changed", "dpd_1_29")


async def test_a_close_that_runs_twice_tells_nothing_twice(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    await jump(uow_of, tenant, date(2020, 10, 12))
    before = await types(uow_of, tenant, loan_id)
    await run_date(uow_of, tenant, date(2020, 10, 12))
    assert await types(uow_of, tenant, loan_id) == before
    assert before.count("loan.delinquency_bucket_changed") == 1


async def test_a_flag_that_is_set_and_cleared_is_told_once_each_without_the_reason(uow_of: UowOf, tenant: UUID) -> None:
    loan_id = await active_loan(uow_of, tenant)
    endpoint = {"url": "https://example.com/hooks", "status": "active", "event_types": ["loan.flag_cleared"], "secret": b"-"}
    async with uow_of(tenant) as uow:
        await uow.add(webhook_endpoints, created_at=uow.recorded_at, updated_at=uow.recorded_at, **endpoint)
        await uow.commit()
    for _ in range(2):
        async with uow_of(tenant) as uow:
            await flags.set_flag(uow, loan_id, LoanFlag.DECEASED, "Jane Roe called: he died")
            await uow.commit()
    async with uow_of(tenant) as uow:
        await flags.clear_flag(uow, loan_id, LoanFlag.DECEASED, "Jane Roe was wrong")
        await uow.commit()
    async with uow_of(tenant) as uow:
        with pytest.raises(NotFound):
            await flags.clear_flag(uow, loan_id, LoanFlag.DECEASED, "once more")
        await uow.commit()
    async with uow_of(tenant) as uow:
        disbursed, *found = await told(uow, loan_id)
        deliveries = await uow.all(select(webhook_deliveries.c.event_id))
    assert [(row["type"], row["data"]) for row in found] == [
        ("loan.flagged", {"flag": "deceased"}),
        ("loan.flag_cleared", {"flag": "deceased"}),
    ]
    assert {row["loan_event_number"] for row in found} == {disbursed["loan_event_number"]}
    assert [row["event_id"] for row in deliveries] == [found[1]["id"]]


async def test_without_endpoints_a_payment_costs_one_insert(
    uow_of: UowOf, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan_id = await active_loan(uow_of, tenant)
    with watched(monkeypatch) as seen:
        await pay(uow_of, tenant, loan_id, 5000)
    ours = [statement for statement in seen if "webhook" in statement and "FROM loans" not in statement]
    assert [re.findall(r"INSERT INTO (webhook\w+)", statement) for statement in ours] == [["webhook_events"]]
    async with uow_of(tenant) as uow:
        assert (await uow.execute(select(func.count()).select_from(webhook_deliveries))).scalar_one() == 0


class TestAutopay:
    """On 2020-10-09, the first due date."""

    @pytest.fixture
    async def rows(self, engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
        return Rows(engine, await make_tenant(date(2020, 10, 9)))

    async def drafted(self, rows: Rows, loan: Borrowed) -> UUID:
        """Enrol and run the draft of today, each step twice; returns the draft's id."""
        async with rows.uow() as uow:
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
            await uow.commit()
        for _ in range(2):
            async with rows.uow() as uow:
                prepared = await drafts.prepare_draft(uow, enrolment_id, date(2020, 10, 9))
                await uow.commit()
        assert prepared.id is not None
        cutoff_id = await sending.due(rows)
        for _ in range(2):
            await sending.collect(rows, cutoff_id)
        return prepared.id

    async def test_a_draft_that_was_sent_is_told_once_with_its_payment(self, rows: Rows) -> None:
        loan = await rows.borrowed()
        draft_id = await self.drafted(rows, loan)
        async with rows.uow() as uow:
            _, recorded, sent = await told(uow, loan.loan_id)
        assert (recorded["type"], sent["type"]) == ("payment.recorded", "autopay.draft_sent")
        assert sent["payment_id"] == recorded["payment_id"] == draft_id
        assert sent["loan_event_number"] == recorded["loan_event_number"] == 2
        assert (sent["data"]["amount"], sent["data"]["process_date"]) == ("297.47", "2020-10-09")

    async def test_nothing_to_draft_is_told_once_with_the_reason(self, rows: Rows) -> None:
        loan = await rows.borrowed()
        async with rows.uow() as uow:
            await record(uow, RecordPayment(loan.loan_id, 297_47, "check", effective_date=date(2020, 9, 9)))
            enrolment_id = await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id))
            await uow.execute(update(autopay_enrolments).values(next_process_date=date(2020, 10, 9)))
            await uow.commit()
        for _ in range(2):
            async with rows.uow() as uow:
                await drafts.prepare_draft(uow, enrolment_id, date(2020, 10, 9))
                await uow.commit()
        async with rows.uow() as uow:
            *_, last = await told(uow, loan.loan_id)
            found = await told(uow, loan.loan_id)
        assert [row["type"] for row in found].count("autopay.not_drafted") == 1
        assert (last["type"], last["data"]["reason"]) == ("autopay.not_drafted", "nothing is due")


async def settled_feed(uow_of: UowOf, tenant: UUID, after: queries.Position | None, count: int) -> Sequence[RowMapping]:
    """The feed, once it shows `count` events: any transaction that still writes on the server holds it back, so another
    test's in another database does too."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        async with uow_of(tenant) as uow:
            found = await uow.all(queries.feed(queries.EventFilter(), after, 100))
        if len(found) >= count or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(0.05)


class TestTheFeed:
    async def test_is_read_page_by_page_in_the_order_of_the_commits(self, uow_of: UowOf, tenant: UUID) -> None:
        loan_id = await active_loan(uow_of, tenant)
        for _ in range(3):
            await pay(uow_of, tenant, loan_id, 5000)
        everything = await settled_feed(uow_of, tenant, None, 7)
        async with uow_of(tenant) as uow:
            assert [row["type"] for row in everything] == ["loan.disbursed"] + ["payment.recorded", "payment.settled"] * 3
            read: list[UUID] = []
            after = None
            while page := await uow.all(queries.feed(queries.EventFilter(), after, 2)):
                read += [row["id"] for row in page[:2]]
                after = (page[:2][-1]["recorded_in"], page[:2][-1]["id"])
            assert read == [row["id"] for row in everything]

    async def test_never_passes_an_event_that_is_not_committed_yet(self, uow_of: UowOf, tenant: UUID) -> None:
        """Two payments at once: the one that was begun first commits last. A consumer that has read the other must still
        get it: so the other waits."""
        slow, quick = await active_loan(uow_of, tenant), await active_loan(uow_of, tenant)

        begun = await settled_feed(uow_of, tenant, None, 2)
        cursor = (begun[-1]["recorded_in"], begun[-1]["id"])
        async with uow_of(tenant) as open_:
            await record(open_, RecordPayment(slow, 5000, "ach"))
            await pay(uow_of, tenant, quick, 5000)
            async with uow_of(tenant) as uow:
                assert await uow.all(queries.feed(queries.EventFilter(), cursor, 100)) == []
            await open_.commit()
        assert [row["loan_id"] for row in await settled_feed(uow_of, tenant, cursor, 4)] == [slow, slow, quick, quick]
