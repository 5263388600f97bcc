"""What each code of a bank does: another attempt, a suspended autopay, a corrected account, a case, a letter."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update

from domain.autopay import EnrolmentStatus
from domain.nacha_read import read
from infra.db.models.processes import payment_reversals, workflow_intents
from infra.db.models.rails import cases
from infra.db.models.servicing import borrowers, payment_instruments
from infra.db.models.tenancy import audit_log
from services import autopay, instruments, reversals
from services.payments import RecordPayment, record
from tests import bank
from tests.achvalidate import Validator
from tests.rails.answering import answered, outcomes, payment_of, sent
from tests.rails.lender import OTHER, Lender
from tests.services.lending import assert_consistent
from tests.workflows.platform import VAULT, Borrowed


async def test_r01_r01_and_success(lender: Lender, achvalidate: Validator) -> None:
    """Each attempt is the same amount, labelled RETRY PYMT, and counts on its own day; each return costs the fee once."""
    loan, enrolment_id, trace = await sent(lender)
    first = bank.Answer(trace, "R01", date(2020, 10, 14))
    await lender.move_to(date(2020, 10, 14))
    await answered(lender, first, created=date(2020, 10, 14))
    for on, back in ((date(2020, 10, 16), date(2020, 10, 20)), (date(2020, 10, 22), None)):
        await lender.move_to(on)
        assert (await lender.cutoff()).sent == 1
        *_, file = await lender.files()
        content = await lender.content(file)
        achvalidate(content)
        (batch,) = read(content).batches
        assert (batch.description, [entry.amount for entry in batch.entries]) == ("RETRY PYMT", [297_47])
        if back is not None:
            await lender.move_to(back)
            await answered(lender, bank.Answer(batch.entries[0].trace_number, "R01", back), created=back)
    await lender.move_to(date(2020, 10, 27))

    drafts = await lender.rows.drafts(enrolment_id)
    assert [(row["attempt"], row["status"], row["amount"]) for row in drafts] == [
        (1, "failed", 297_47),
        (2, "failed", 297_47),
        (3, "settled", 297_47),
    ]
    paid = await lender.rows.payments(loan.loan_id)
    assert sorted((row["status"], row["effective_date"]) for row in paid) == [
        ("completed", date(2020, 10, 22)),
        ("returned", date(2020, 10, 9)),
        ("returned", date(2020, 10, 16)),
    ]
    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def test_after_two_retries_nothing_more_is_tried_and_the_next_period_stays(lender: Lender) -> None:
    _, enrolment_id, trace = await sent(lender)
    answers = [(date(2020, 10, 14), date(2020, 10, 16)), (date(2020, 10, 20), date(2020, 10, 22))]
    for back, again in answers:
        await lender.move_to(back)
        await answered(lender, bank.Answer(trace, "R09", back), created=back)
        await lender.move_to(again)
        await lender.cutoff()
        *_, file = await lender.files()
        (trace,) = bank.traces(await lender.content(file))
    await lender.move_to(date(2020, 10, 26))
    await answered(lender, bank.Answer(trace, "R09", date(2020, 10, 26)), created=date(2020, 10, 26))
    drafts = await lender.rows.drafts(enrolment_id)
    assert [row["status"] for row in drafts] == ["failed"] * 3
    assert drafts[-1]["reason"] == "R09 Uncollected Funds: attempted 3 times, no retry is left"
    assert (await lender.rows.enrolment(enrolment_id))["next_process_date"] == date(2020, 11, 9)


async def test_a_retry_is_of_the_same_amount_or_not_at_all(lender: Lender) -> None:
    loan, enrolment_id, trace = await sent(lender)
    await lender.move_to(date(2020, 10, 14))
    await answered(lender, bank.Answer(trace, "R01", date(2020, 10, 14)), created=date(2020, 10, 14))
    async with lender.rows.uow() as uow:
        await record(uow, RecordPayment(loan.loan_id, 200_00, "check"))
        await uow.commit()
    await lender.move_to(date(2020, 10, 16))
    assert (await lender.cutoff()).kept_back == 1
    _, again = await lender.rows.drafts(enrolment_id)
    assert again["reason"] == "a returned draft is tried again with the same amount only, and less is due by now"


@pytest.mark.parametrize("code", ["R02", "R03", "R04"])
async def test_an_account_that_cannot_be_drafted_stops_until_it_is_corrected(lender: Lender, code: str) -> None:
    _, enrolment_id, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, code))

    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["suspended_for"]) == ("suspended", "correct_instrument")
    (account,) = await lender.rows.all(select(payment_instruments))
    assert account["verification_status"] == "failed"
    assert len(await lender.rows.drafts(enrolment_id)) == 1
    told = [row for row in await lender.rows.intents(autopay.workflow_id(enrolment_id)) if row["action"] == "signal"]
    assert told

    await lender.move_to(date(2020, 11, 10))
    async with lender.rows.uow() as uow:
        await instruments.change(uow, VAULT, account["borrower_id"], account["id"], {"account_number": OTHER})
        await uow.commit()
    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["suspended_for"]) == ("active", None)
    assert enrolment["next_process_date"] == date(2020, 12, 9)


async def test_another_account_lifts_the_suspension_too(lender: Lender) -> None:
    loan, enrolment_id, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, "R02"))
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    data = {
        "instrument_type": "bank_account",
        "account_holder_name": "John Doe",
        "routing_number": "021000021",
        "account_number": OTHER,
        "account_type": "savings",
    }
    async with lender.rows.uow() as uow:
        other = await instruments.add(uow, VAULT, borrower, data)
        await autopay.change(uow, loan.loan_id, autopay.Change(payment_instrument_id=other))
        await uow.commit()
    assert (await lender.rows.enrolment(enrolment_id))["status"] == "active"


@pytest.mark.parametrize("code", ["R07", "R10"])
async def test_a_revoked_authorization_needs_a_new_one(lender: Lender, code: str) -> None:
    loan, enrolment_id, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, code))
    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["suspended_for"]) == ("suspended", "new_authorization")
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        await instruments.change(uow, VAULT, borrower, loan.instrument_id, {"account_number": OTHER})
        await uow.commit()
    assert (await lender.rows.enrolment(enrolment_id))["status"] == "suspended"

    async with lender.rows.uow() as uow:
        await autopay.cancel(uow, loan.loan_id, "revoked")
        await uow.commit()
    new = await lender.enrol(loan)
    assert (await lender.rows.enrolment(new))["status"] == EnrolmentStatus.ACTIVE


async def test_a_stopped_payment_ends_that_draft_only(lender: Lender) -> None:
    _, enrolment_id, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, "R08"))
    assert (await lender.only_draft(enrolment_id))["status"] == "failed"
    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))


async def test_a_code_that_needs_a_person_opens_a_case(lender: Lender) -> None:
    loan, enrolment_id, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, "R18"))
    (case,) = await lender.rows.all(select(cases))
    assert (case["kind"], case["loan_id"], case["status"]) == ("return_to_review", loan.loan_id, "open")
    assert case["detail"] == "R18 Improper Effective Entry Date"
    assert (await lender.rows.enrolment(enrolment_id))["status"] == "active"


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "C01": ("000011112222", {"account_number_last_four": "2222"}),
    "C02": ("322271627", {"routing_number": "322271627"}),
    "C03": ("322271627   000011112222", {"routing_number": "322271627", "account_number_last_four": "2222"}),
    "C05": ("37", {"account_type": "savings"}),
}


@pytest.mark.parametrize("code", CHANGES)
async def test_a_notification_of_change_corrects_the_account_and_says_so(lender: Lender, code: str) -> None:
    data, expected = CHANGES[code]
    loan, _, trace = await sent(lender)
    file_id = await answered(lender, bank.Answer(trace, code, information=data))
    assert await outcomes(lender, file_id) == [("corrected", None)]
    (account,) = await lender.rows.all(select(payment_instruments))
    assert {name: account[name] for name in expected} == expected
    (trail,) = await lender.rows.all(select(audit_log).where(audit_log.c.action == "payment_instrument.changed"))
    assert trail["reason"] == f"{code}: notification of change from the bank"
    assert "000011112222" not in str([trail["before"], trail["after"]])
    assert (await payment_of(lender, loan))["status"] == "processing"


async def test_a_notification_that_cannot_be_used_is_for_a_person(lender: Lender) -> None:
    _, _, trace = await sent(lender)
    file_id = await answered(lender, bank.Answer(trace, "C01", information="no number"))
    ((outcome, reason),) = await outcomes(lender, file_id)
    assert outcome == "review"
    (case,) = await lender.rows.all(select(cases))
    assert case["kind"] == "return_to_review"
    # received on Friday 2020-10-09; six banking days later, as the 12th is a holiday
    when = "to be made by 2020-10-20 or before the next draft, whichever is later"
    assert case["detail"] == f"C01, {when}: {reason}"


async def _replaced(lender: Lender, loan: Borrowed, **values: str) -> None:
    """The borrower corrects the account while an entry is on its way."""
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        await instruments.change(uow, VAULT, borrower, loan.instrument_id, values)
        await uow.commit()


async def test_what_was_corrected_since_is_not_corrected_back(lender: Lender) -> None:
    """The bank speaks of the account as the entry named it."""
    loan, _, trace = await sent(lender)
    await _replaced(lender, loan, account_number=OTHER)
    file_id = await answered(lender, bank.Answer(trace, "C01", information="000011112222"))
    ((outcome, reason),) = await outcomes(lender, file_id)
    assert (outcome, reason) == ("review", "The account was changed since the entry was sent: account_number.")
    (account,) = await lender.rows.all(select(payment_instruments))
    assert account["account_number_last_four"] == OTHER[-4:]
    (case,) = await lender.rows.all(select(cases))
    assert case["detail"] == f"C01, to be made by 2020-10-20 or before the next draft, whichever is later: {reason}"


async def test_two_notifications_about_an_entry_are_both_taken(lender: Lender) -> None:
    _, _, trace = await sent(lender)
    said = [bank.Answer(trace, code, information=CHANGES[code][0]) for code in ("C01", "C02", "C03")]
    file_id = await answered(lender, *said)
    assert await outcomes(lender, file_id) == [("corrected", None)] * 3
    (account,) = await lender.rows.all(select(payment_instruments))
    assert (account["routing_number"], account["account_number_last_four"]) == ("322271627", "2222")


@pytest.mark.parametrize("values", [{"account_number": OTHER}, {"routing_number": "322271627"}, {"account_type": "savings"}])
async def test_an_account_that_was_corrected_since_goes_on(lender: Lender, values: dict[str, str]) -> None:
    """It is the account before that does not exist."""
    loan, enrolment_id, trace = await sent(lender)
    await _replaced(lender, loan, **values)
    file_id = await answered(lender, bank.Answer(trace, "R03"))
    assert await outcomes(lender, file_id) == [("posted", None)]
    (account,) = await lender.rows.all(select(payment_instruments))
    assert account["verification_status"] == "unverified"
    assert (await lender.rows.enrolment(enrolment_id))["status"] == "active"


async def test_the_borrower_is_told_by_letter_of_the_failure_and_what_follows(lender: Lender) -> None:
    _, _, trace = await sent(lender)
    await answered(lender, bank.Answer(trace, "R02"))
    (reversal,) = await lender.rows.all(select(payment_reversals))
    async with lender.rows.uow() as uow:
        await uow.execute(update(borrowers).values(email="john@example.com"))
        await reversals.replan_autopay(uow, reversal["id"])
        while not await reversals.restate_page(uow, reversal["id"]):
            pass
        mail = await reversals.letter(uow, reversal["id"])
    assert mail is not None
    assert "297.47 of 2020-10-09 (R02 Account Closed)" in mail.body
    assert "Nothing more is taken from this account." in mail.body


async def test_the_workflow_is_started_by_the_upload_and_carries_ids_only(lender: Lender) -> None:
    _, _, trace = await sent(lender)
    file_id = await answered(lender, bank.Answer(trace, "R01"))
    table = workflow_intents
    (row,) = await lender.rows.all(select(table).where(table.c.workflow_id == f"rail-returns/{file_id}"))
    assert row["payload"] == {"tenant_id": str(lender.rows.tenant), "file_id": str(file_id)}
