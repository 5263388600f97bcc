"""What autopay never does, each at the moment at which it could: between deciding a draft and sending it, and before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.autopay import EnrolmentKind
from domain.cadence import DraftFrequency
from domain.draft_amounts import AmountType
from domain.events import ChargedOff
from domain.instruments import VerificationMethod, VerificationStatus
from infra.db.models.rails import rail_entries
from infra.db.models.servicing import payment_instruments, payments
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import autopay, cutoffs, drafts, instruments, loans
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from tests.conftest import MakeTenant
from tests.services import drafting, lending, sending
from tests.services.lending import assert_consistent
from tests.workflows.platform import Borrowed, Rows

DUE = date(2020, 10, 9)
LEVEL = 29747


@pytest.fixture
async def rows(engine: AsyncEngine, make_tenant: MakeTenant) -> Rows:
    return Rows(engine, await make_tenant(DUE))


@pytest.fixture
async def loan(rows: Rows) -> Borrowed:
    return await rows.borrowed()


async def commit(rows: Rows, action: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
    async with rows.uow() as uow:
        result = await action(uow)
        await uow.commit()
    return result


async def enrol(rows: Rows, loan: Borrowed, **terms: Any) -> UUID:
    command = autopay.Enrol(loan.loan_id, loan.instrument_id, **terms)
    enrolment_id: UUID = await commit(rows, lambda uow: autopay.enrol(uow, command))
    return enrolment_id


async def recurring(rows: Rows, loan: Borrowed, amount: int) -> UUID:
    terms = {"amount_type": AmountType.STATIC, "frequency": DraftFrequency.MONTHLY, "kind": EnrolmentKind.RECURRING}
    return await enrol(rows, loan, amount=amount, **terms)


async def prepare(rows: Rows, enrolment_id: UUID, on: date = DUE) -> Any:
    return await commit(rows, lambda uow: drafts.prepare_draft(uow, enrolment_id, on))


async def pay(rows: Rows, loan: Borrowed, amount: int) -> None:
    await commit(rows, lambda uow: record(uow, RecordPayment(loan.loan_id, amount, "wire")))


async def charge_off(uow: UnitOfWork, loan: Borrowed) -> None:
    await apply_event(uow, await lock_loan(uow, loan.loan_id), ChargedOff("default"), await uow.business_date())


async def sent(rows: Rows) -> list[int]:
    return sorted(row["amount"] for row in await rows.all(select(rail_entries)))


async def test_never_an_instalment_twice_however_often_and_by_how_many_it_is_prepared(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    results = await asyncio.gather(*(prepare(rows, own) for _ in range(8)))
    assert len({result.id for result in results}) == 1
    await sending.run(rows)
    await asyncio.gather(*(prepare(rows, own) for _ in range(4)))
    assert (len(await rows.drafts(own)), await sent(rows)) == (1, [LEVEL])


@pytest.mark.parametrize(
    ("promised", "drafted", "reason"), [(LEVEL, 0, "what is due is already in transit"), (10_000, 19_747, None)]
)
async def test_never_what_a_payment_in_transit_pays(
    rows: Rows, loan: Borrowed, promised: int, drafted: int, reason: str | None
) -> None:
    """A payment that was promised and is not applied yet, made before the draft is decided."""
    own = await enrol(rows, loan)
    values = {
        "tenant_id": rows.tenant,
        "id": new_id(),
        "loan_id": loan.loan_id,
        "amount": promised,
        "payment_method": "ach",
        "status": "pending",
        "settlement_status": "in_transit",
        "source": "portal",
        "effective_date": DUE,
        "principal_applied": 0,
        "interest_applied": 0,
        "fees_applied": 0,
        "unapplied_amount": 0,
        "recorded_business_date": DUE,
    }
    await commit(rows, lambda uow: uow.execute(insert(payments).values(**values)))
    prepared = await prepare(rows, own)
    assert (prepared.amount, prepared.reason) == (drafted, reason)


@pytest.mark.parametrize(
    ("kind", "end"),
    [(EnrolmentKind.AUTOPAY, "cancelled"), (EnrolmentKind.AUTOPAY, "paused"), (EnrolmentKind.RECURRING, "cancelled")],
)
async def test_never_after_a_cancel_or_a_pause(rows: Rows, loan: Borrowed, kind: EnrolmentKind, end: str) -> None:
    own = await (enrol(rows, loan) if kind is EnrolmentKind.AUTOPAY else recurring(rows, loan, 5_000))
    assert (await prepare(rows, own)).status == "pending"
    if kind is EnrolmentKind.RECURRING:
        await commit(rows, lambda uow: autopay.cancel_recurring(uow, own, "no more"))
    elif end == "paused":
        await commit(rows, lambda uow: autopay.pause(uow, loan.loan_id))
    else:
        await commit(rows, lambda uow: autopay.cancel(uow, loan.loan_id, "no more"))
    await sending.run(rows)
    (draft,) = await rows.drafts(own)
    assert (draft["status"], draft["amount"], await sent(rows)) == ("not_drafted", 0, [])


async def test_never_after_it_was_skipped_when_it_was_prepared_already(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    await prepare(rows, own)
    await commit(rows, lambda uow: drafts.skip_next(uow, loan.loan_id, "a bad month"))
    (draft,) = await rows.drafts(own)
    assert (draft["status"], draft["reason"]) == ("not_drafted", "skipped: a bad month")
    assert (await rows.enrolment(own))["next_process_date"] == date(2020, 11, 9)
    async with rows.uow() as uow:
        assert await cutoffs.to_run(uow, DUE) is None  # nothing is left to send


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_never_more_than_the_payoff_of_all_that_go_out_on_one_day(
    rows: Rows, loan: Borrowed, order: tuple[int, ...]
) -> None:
    """Two fixed amounts of 300.00 and the autopay, prepared in any order, take together just what pays the loan off."""
    await pay(rows, loan, 950_000)
    async with rows.uow() as uow:
        _, quote = await loans.payoff(uow, loan.loan_id, None)
    ids = [await recurring(rows, loan, 30_000), await recurring(rows, loan, 30_000), await enrol(rows, loan)]
    for index in order:
        await prepare(rows, ids[index])
    await sending.run(rows)
    after = await rows.loan(loan.loan_id)
    assert (after["status"], after["principal_balance"], after["unapplied_balance"]) == ("paid_off", 0, 0)
    assert sum(await sent(rows)) == quote.total < LEVEL + 2 * 30_000
    async with rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


@pytest.mark.parametrize("when", ["before it is decided", "between deciding and sending"])
@pytest.mark.parametrize(("ended", "said"), [("paid off", "paid_off"), ("charged off", "charged_off")])
async def test_never_a_loan_that_has_ended(rows: Rows, loan: Borrowed, when: str, ended: str, said: str) -> None:
    own = await enrol(rows, loan)
    if when != "before it is decided":
        assert (await prepare(rows, own)).status == "pending"
    if ended == "paid off":
        await pay(rows, loan, 2_000_000)
    else:
        await commit(rows, lambda uow: charge_off(uow, loan))
    if when == "before it is decided":
        prepared = await prepare(rows, own)
        assert (prepared.status, prepared.reason) == ("not_drafted", f"the loan is {said}")
    else:
        await sending.run(rows)
        (draft,) = await rows.drafts(own)
        assert (draft["status"], draft["reason"]) == ("not_drafted", f"the loan is {said}")
    await drafting.look(rows, own)
    enrolment = await rows.enrolment(own)
    assert (enrolment["status"], enrolment["end_reason"]) == ("completed", f"the loan is {ended}")
    assert await sent(rows) == []


async def test_never_a_fixed_amount_of_a_loan_that_owes_nothing(rows: Rows, loan: Borrowed) -> None:
    """Also when it is to be drafted though nothing is due (process_zero_or_negative)."""
    own = await enrol(rows, loan, amount_type=AmountType.STATIC, amount=5_000, process_zero_or_negative=True)
    await pay(rows, loan, 1_003_821)
    await drafting.act(rows)
    assert (await rows.loan(loan.loan_id))["status"] == "paid_off"
    assert (await sent(rows), (await rows.enrolment(own))["status"]) == ([], "completed")


async def test_never_earlier_because_of_a_holiday_and_no_late_fee_for_it(
    engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """9 January 2021 is a Saturday: nothing on the Friday, all of it on the Monday, counting on the 9th."""
    rows = Rows(engine, await make_tenant(date(2021, 1, 8)))
    loan = await rows.borrowed()
    await commit(rows, lambda uow: record(uow, RecordPayment(loan.loan_id, 3 * LEVEL, "wire", effective_date=DUE)))
    own = await enrol(rows, loan)
    await drafting.act(rows)
    assert await rows.drafts(own) == []
    await drafting.live(rows, own, 1)
    (draft,) = await rows.drafts(own)
    assert (draft["process_date"], draft["apply_date"]) == (date(2021, 1, 11), date(2021, 1, 9))
    await lending.jump(lambda _: rows.uow(), rows.tenant, date(2021, 2, 1))
    assert (await rows.loan(loan.loan_id))["fees_balance"] == 0


async def test_one_draft_that_failed_never_stops_the_next_period(rows: Rows, loan: Borrowed) -> None:
    own = await enrol(rows, loan)
    borrower = (await rows.loan(loan.loan_id))["borrower_id"]

    async def verification(status: str) -> None:
        said = (VerificationStatus(status), VerificationMethod.MANUAL, "says the bank")
        await commit(rows, lambda uow: instruments.set_verification(uow, borrower, loan.instrument_id, *said))

    await verification("failed")
    await drafting.live(rows, own, 1)
    await verification("verified")
    await drafting.live(rows, own, 2)
    first, second = await rows.drafts(own)
    assert (first["status"], first["reason"]) == ("not_drafted", "the verification of the account has failed")
    assert (second["process_date"], second["status"], second["amount"]) == (date(2020, 11, 9), "sent", 2 * LEVEL + 3_000)


async def test_never_from_an_account_that_changes_while_it_is_decided(rows: Rows, loan: Borrowed) -> None:
    """Whoever changes the account waits for the draft that is decided on it, and the draft for whoever came first."""
    own = await enrol(rows, loan)
    account = select(payment_instruments.c.id).where(payment_instruments.c.id == loan.instrument_id)
    async with rows.uow() as uow:
        await drafts.prepare_draft(uow, own, DUE)
        with pytest.raises(OperationalError, match="could not obtain lock"):
            async with rows.uow() as other:
                await other.execute(account.with_for_update(nowait=True, key_share=True))
