"""AutopayWorkflow on a real Temporal server and database: one draft a due date, whatever happens."""

from __future__ import annotations

import base64
import json
from datetime import date, timedelta
from uuid import UUID

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client

from domain.autopay import EnrolmentKind
from domain.cadence import DraftFrequency
from domain.calendars import due_dates, is_banking_day, next_banking_day
from domain.draft_amounts import AmountType
from domain.instruments import VerificationMethod, VerificationStatus
from domain.program import Frequency
from infra.calendar import bank_holidays
from infra.settings import Settings
from infra.temporal import Temporal
from services import autopay, drafts, instruments
from services.payments import RecordPayment, record
from tests.conftest import MakeTenant
from tests.services import lending
from tests.workflows import histories
from tests.workflows.platform import ACCOUNT, VAULT, Platform, eventually


async def test_a_draft_goes_out_on_the_due_date_and_the_next_period_is_scheduled(platform: Platform, tenant: UUID) -> None:
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)

    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["process_date"], draft["amount"], draft["status"]) == (date(2020, 10, 9), 29747, "sent")
    (payment,) = await rows.payments(borrowed.loan_id)
    assert (payment["id"], payment["amount"], payment["effective_date"]) == (draft["payment_id"], 29747, date(2020, 10, 9))
    assert (payment["status"], payment["settlement_status"], payment["source"]) == ("processing", "in_transit", "autopay")
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    status = await platform.autopay(enrolment_id).query("status")
    assert status == {
        "step": "waiting",
        "waiting_on": "the business date 2020-11-09",
        "next_process_date": "2020-11-09",
        "drafts": 1,
    }


async def test_thirty_six_drafts_pay_the_example_loan_off(platform: Platform, tenant: UUID) -> None:
    """Through year ends, weekends and bank holidays, and three runs of the workflow (it continues as new every 12).

    The days between are opened without the workflow that moves the date, and closed by the last of them.
    """
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    dues = due_dates(Frequency.MONTHLY, date(2020, 10, 9), 36)

    for due in dues:
        await lending.jump(lambda _: rows.uow(), tenant, due - timedelta(days=1))
        process_date = next_banking_day(due, bank_holidays())
        await platform.move_date(tenant, process_date)
    await lending.advance(lambda _: rows.uow(), tenant, date(2023, 9, 13))

    result = await platform.autopay(enrolment_id).result()
    assert result == {"status": "completed", "reason": "the loan is paid off", "drafts": 36}
    payments = await rows.payments(borrowed.loan_id)
    assert [row["amount"] for row in payments] == [29747] * 35 + [29686]
    assert sum(row["amount"] for row in payments) == 1070831
    assert [row["effective_date"] for row in payments] == dues
    drafted = await rows.drafts(enrolment_id)
    assert [row["status"] for row in drafted] == ["settled"] * 36
    assert all(is_banking_day(row["process_date"], bank_holidays()) for row in drafted)
    loan = await rows.loan(borrowed.loan_id)
    assert (loan["status"], loan["principal_balance"], loan["fees_balance"]) == ("paid_off", 0, 0)
    assert (loan["paid_off_on"], loan["unapplied_balance"]) == (date(2023, 9, 9), 0)
    enrolment = await rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("completed", None)
    await histories.keep("AutopayWorkflow.first_run", await platform.first_run(autopay.workflow_id(enrolment_id)))


async def test_a_due_date_on_a_weekend_is_drafted_on_the_next_banking_day_and_counts_on_the_due_date(
    platform: Platform, make_tenant: MakeTenant
) -> None:
    """9 January 2021 is a Saturday. Nothing goes out earlier; the payment counts as made on the 9th."""
    tenant = await make_tenant(date(2021, 1, 7))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed, amount_type=AmountType.STATIC, amount=5000)

    await platform.move_date(tenant, date(2021, 1, 10))
    assert await rows.drafts(enrolment_id) == []

    await platform.move_date(tenant, date(2021, 1, 12))
    (draft,) = await rows.drafts(enrolment_id)
    (payment,) = await rows.payments(borrowed.loan_id)
    (transfer,) = await rows.transfers()
    assert (draft["process_date"], payment["effective_date"]) == (date(2021, 1, 11), date(2021, 1, 9))
    assert (transfer["accepted_on"], transfer["settles_on"]) == (date(2021, 1, 11), date(2021, 1, 12))


async def test_what_was_paid_by_hand_is_not_drafted_again(platform: Platform, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.act(tenant, lambda uow: record(uow, RecordPayment(borrowed.loan_id, 20000, "check")))

    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    assert draft["amount"] == 29747 - 20000
    assert (await rows.loan(borrowed.loan_id))["next_due_date"] == date(2020, 11, 9)


async def test_a_period_that_is_paid_in_full_is_left_out_and_the_next_one_stays(
    platform: Platform, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.act(tenant, lambda uow: record(uow, RecordPayment(borrowed.loan_id, 29747, "check")))

    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["status"], draft["amount"], draft["reason"]) == ("not_drafted", 0, "nothing is due")
    assert (await rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)
    assert len(await rows.payments(borrowed.loan_id)) == 1
    await histories.keep("AutopayWorkflow.not_drafted", platform.autopay(enrolment_id))


async def test_nothing_is_drafted_while_paused_and_it_resumes_by_itself(platform: Platform, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.act(tenant, lambda uow: autopay.pause(uow, borrowed.loan_id, date(2020, 10, 10)))

    await platform.until_step(enrolment_id, "paused")
    await platform.move_date(tenant, date(2020, 10, 9))
    assert await rows.drafts(enrolment_id) == []
    assert (await rows.enrolment(enrolment_id))["status"] == "paused"

    await platform.move_date(tenant, date(2020, 10, 10))
    enrolment = await rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))
    await platform.until_step(enrolment_id, "waiting")


async def test_a_cancel_counts_from_its_commit_on(platform: Platform, make_tenant: MakeTenant) -> None:
    """The draft is prepared already; the cancel comes before its cutoff."""
    tenant = await make_tenant(date(2020, 10, 9))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    async with rows.uow() as uow:
        enrolment_id = await autopay.enrol(uow, autopay.Enrol(borrowed.loan_id, borrowed.instrument_id))
        prepared = await drafts.prepare_draft(uow, enrolment_id, date(2020, 10, 9))
        await autopay.cancel(uow, borrowed.loan_id, "changed my mind")
        await uow.commit()
    platform.delivery.soon(tenant, uow.intents)
    assert (prepared.status, prepared.amount) == ("pending", 29747)

    await platform.move_date(tenant, date(2020, 10, 10))

    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["status"], draft["reason"]) == ("not_drafted", "the autopay is cancelled")
    assert await rows.payments(borrowed.loan_id) == []
    assert await rows.transfers() == []
    result = await platform.autopay(enrolment_id).result()
    assert result == {"status": "cancelled", "reason": None, "drafts": 0}


async def test_after_its_account_was_replaced_it_drafts_from_the_other_one(
    platform: Platform, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.until_step(enrolment_id, "waiting")
    borrower = (await rows.loan(borrowed.loan_id))["borrower_id"]
    other = await platform.act(
        tenant, lambda uow: instruments.add(uow, VAULT, borrower, {**ACCOUNT, "account_number": "555556789"})
    )
    await platform.act(tenant, lambda uow: instruments.remove(uow, borrower, borrowed.instrument_id, other))
    messages = [row for row in await rows.intents(autopay.workflow_id(enrolment_id)) if row["action"] == "signal"]
    assert [(row["message_name"], row["payload"]) for row in messages] == [("changed", {})]

    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    (payment,) = await rows.payments(borrowed.loan_id)
    assert (draft["status"], payment["payment_instrument_id"]) == ("sent", other)


async def test_an_account_that_failed_its_verification_is_not_drafted_and_the_next_period_stays(
    platform: Platform, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    borrower = (await rows.loan(borrowed.loan_id))["borrower_id"]
    failed = (VerificationStatus.FAILED, VerificationMethod.MANUAL, "closed, says the bank")
    await platform.act(tenant, lambda uow: instruments.set_verification(uow, borrower, borrowed.instrument_id, *failed))

    await platform.move_date(tenant, date(2020, 10, 9))

    (draft,) = await rows.drafts(enrolment_id)
    assert (draft["status"], draft["reason"]) == ("not_drafted", "the verification of the account has failed")
    enrolment = await rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))
    assert await rows.transfers() == []


async def test_it_ends_on_its_end_date(platform: Platform, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed, end_date=date(2020, 11, 8))
    await platform.move_date(tenant, date(2020, 10, 9))
    result = await platform.autopay(enrolment_id).result()
    assert result == {"status": "completed", "reason": "the end date 2020-11-08 is reached", "drafts": 1}


async def test_operators_see_it_in_temporal_and_no_money_or_name_is_in_the_clear(
    platform: Platform, make_tenant: MakeTenant, temporal_settings: Settings, temporal: Temporal
) -> None:
    tenant = await make_tenant(date(2020, 10, 9))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    handle = platform.autopay(enrolment_id)

    async def prepared() -> bool:
        return [row["status"] for row in await rows.drafts(enrolment_id)] == ["pending"]

    await eventually(prepared, "the draft of today")
    await platform.until_step(enrolment_id, "waiting")
    description = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    ours = {name: attributes[name] for name in ("TenantId", "LoanId", "WorkflowKind", "Stage")}
    assert ours == {
        "TenantId": str(tenant),
        "LoanId": str(borrowed.loan_id),
        "WorkflowKind": "autopay",
        "Stage": "active",
    }
    assert await description.static_summary() == f"autopay {enrolment_id}"
    link = temporal.ui_link(handle.id)
    assert link == f"http://ui.test/namespaces/default/workflows/autopay%2F{enrolment_id}"

    plain = await Client.connect(temporal_settings.temporal_address)
    raw = (await plain.get_workflow_handle(handle.id).fetch_history()).to_json()
    assert (
        "binary/encrypted"
        in base64.b64decode(
            json.loads(raw)["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]["metadata"][
                "encoding"
            ]
        ).decode()
    )
    details = await plain.get_workflow_handle(handle.id).query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert details.current_details == "waiting; waiting on the business date 2020-11-09; 1 drafts so far"


async def test_a_skipped_draft_does_not_go_out_and_the_next_one_does(platform: Platform, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    enrolment_id = await platform.enrol(tenant, borrowed)
    await platform.until_step(enrolment_id, "waiting")
    await platform.act(tenant, lambda uow: drafts.skip_next(uow, borrowed.loan_id, "by the borrower"))

    async def told() -> bool:
        status = await platform.autopay(enrolment_id).query("status")
        return bool(status["next_process_date"] == "2020-11-09")

    await eventually(told, "the workflow has looked again")
    await platform.move_date(tenant, date(2020, 10, 9))
    assert [row["status"] for row in await rows.drafts(enrolment_id)] == ["not_drafted"]
    await lending.advance(lambda _: rows.uow(), tenant, date(2020, 11, 8))
    await platform.move_date(tenant, date(2020, 11, 9))

    skipped, draft = await rows.drafts(enrolment_id)
    assert (skipped["reason"], skipped["amount"]) == ("skipped: by the borrower", 0)
    assert (draft["process_date"], draft["status"], draft["amount"]) == (date(2020, 11, 9), "sent", 2 * 29747 + 3000)
    await histories.keep("AutopayWorkflow.skipped", platform.autopay(enrolment_id))


async def test_recurring_payments_beside_the_autopay_go_out_first_and_end_by_themselves_or_when_cancelled(
    platform: Platform, make_tenant: MakeTenant
) -> None:
    """On the due date two fixed amounts and the autopay are drafted, which takes what they leave due."""
    tenant = await make_tenant(date(2020, 10, 8))
    rows = platform.rows(tenant)
    borrowed = await rows.borrowed()
    follows = await platform.enrol(tenant, borrowed)
    fixed = {"amount_type": AmountType.STATIC, "kind": EnrolmentKind.RECURRING, "start_date": date(2020, 10, 9)}
    monthly = await platform.enrol(tenant, borrowed, amount=4000, frequency=DraftFrequency.MONTHLY, **fixed)
    single = await platform.enrol(tenant, borrowed, amount=1500, frequency=DraftFrequency.SINGLE, **fixed)

    await platform.move_date(tenant, date(2020, 10, 9))

    amounts = [(await rows.drafts(enrolment_id))[0]["amount"] for enrolment_id in (follows, monthly, single)]
    assert amounts == [29747 - 5500, 4000, 1500]
    assert sum(row["amount"] for row in await rows.payments(borrowed.loan_id)) == 29747
    assert await platform.autopay(single).result() == {
        "status": "completed",
        "reason": "nothing is left to draft",
        "drafts": 1,
    }
    await platform.act(tenant, lambda uow: autopay.cancel_recurring(uow, monthly, "changed my mind"))
    result = await platform.autopay(monthly).result()
    assert result == {"status": "cancelled", "reason": None, "drafts": 1}
    assert (await rows.enrolment(follows))["next_process_date"] == date(2020, 11, 9)
    await histories.keep("AutopayWorkflow.single", platform.autopay(single))
