"""What a bank sends back: each return posts once, whenever it comes and whatever has happened since."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.autopay import EnrolmentStatus
from domain.errors import InvalidInput
from domain.nacha_read import read
from infra.db.models.processes import payment_reversals, workflow_intents
from infra.db.models.rails import cases, rail_answers
from infra.db.models.servicing import borrowers, payment_instruments
from infra.db.models.tenancy import audit_log
from services import autopay, instruments, payouts, returns, reversals
from services.payments import RecordPayment, record
from services.tenants import change_settings
from tests import bank
from tests.achvalidate import Validator
from tests.rails.lender import Lender
from tests.services.lending import accounts_of, assert_consistent, counts
from tests.workflows.platform import VAULT, Borrowed

OTHER = "000987654321"
NSF = "nsf_fee"


async def sent(lender: Lender, account: str = "000123456789") -> tuple[Borrowed, UUID, str]:
    """A loan whose first draft went out in a file of its own; its enrolment and the draft's trace number."""
    loan, enrolment_id, _ = await lender.enrolled(account)
    await lender.cutoff()
    *_, file = await lender.files()
    (trace,) = bank.traces(await lender.content(file))
    return loan, enrolment_id, trace


async def answered(lender: Lender, *answers: bank.Answer, created: date = date(2020, 10, 13), modifier: str = "A") -> UUID:
    """The bank's file, uploaded and carried out; each step twice."""
    ours = [await lender.content(file) for file in await lender.files()]
    content = bank.answer(ours, answers, created, modifier=modifier)
    for _ in range(2):
        async with lender.rows.uow() as uow:
            file_id, _ = await returns.upload(uow, VAULT, content)
            await uow.commit()
        await carry_out(lender, file_id)
    return file_id


async def carry_out(lender: Lender, file_id: UUID) -> None:
    """What the workflow does."""
    async with lender.rows.uow() as uow:
        page = await returns.next_answers(uow, file_id, 100)
    for answer_id in page:
        async with lender.rows.uow() as uow:
            await returns.take(uow, VAULT, answer_id)
            await uow.commit()
    async with lender.rows.uow() as uow:
        await returns.progress(uow, file_id)
        await uow.commit()
    for reversal in await lender.rows.all(select(payment_reversals)):
        async with lender.rows.uow() as uow:
            await reversals.replan_autopay(uow, reversal["id"])
            await uow.commit()


async def outcomes(lender: Lender, file_id: UUID) -> list[tuple[str, str | None]]:
    found = select(rail_answers).where(rail_answers.c.file_id == file_id).order_by(rail_answers.c.line)
    return [(row["outcome"], row["reason"]) for row in await lender.rows.all(found)]


async def payment_of(lender: Lender, loan: Borrowed) -> Any:
    (payment,) = await lender.rows.payments(loan.loan_id)
    return payment


@pytest.mark.parametrize(
    "when", [date(2020, 10, 9), date(2020, 10, 16), date(2020, 12, 10)], ids=["in transit", "settled", "60 days on"]
)
async def test_a_return_takes_the_payment_back_whenever_it_comes(lender: Lender, when: date) -> None:
    loan, enrolment_id, trace = await sent(lender)
    async with lender.rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)  # nothing else happens on the way
        await uow.commit()
    if when > date(2020, 10, 9):
        await lender.move_to(when)

    file_id = await answered(lender, bank.Answer(trace, "R02", when), created=when)

    payment = await payment_of(lender, loan)
    assert (payment["status"], payment["settlement_status"], payment["return_code"]) == ("returned", "returned", "R02")
    draft = await lender.only_draft(enrolment_id)
    assert (draft["status"], draft["reason"]) == ("failed", "R02 Account Closed")
    assert await outcomes(lender, file_id) == [("posted", None)]
    (reversal,) = await lender.rows.all(select(payment_reversals))
    assert (reversal["requested_by"], reversal["decided_by"], reversal["reason"]) == (None, None, "R02 Account Closed")
    (told,) = await lender.rows.intents(reversals.workflow_id(reversal["id"]))
    assert told["action"] == "start"
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)
        net = await accounts_of(uow, loan.loan_id)
    assert (net[1010], net[1000]) == (0, -10_000_00)  # only the disbursement is left


async def test_a_file_ingested_twice_and_the_same_return_in_another_file_change_nothing(lender: Lender) -> None:
    loan, enrolment_id, trace = await sent(lender)
    first = await answered(lender, bank.Answer(trace, "R01", date(2020, 10, 13)))
    async with lender.rows.uow() as uow:
        before = await counts(uow)

    second = await answered(lender, bank.Answer(trace, "R01", date(2020, 10, 13)), modifier="B")

    assert first != second
    assert await outcomes(lender, second) == [("repeated", "it came back as R01 on 2020-10-13 already")]
    async with lender.rows.uow() as uow:
        after = await counts(uow)
        await assert_consistent(uow, loan.loan_id)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"rail_return_files", "rail_answers", "audit_log", "workflow_intents"}
    assert len(await lender.rows.drafts(enrolment_id)) == 2


async def test_a_return_taken_by_many_at_once_posts_once(lender: Lender) -> None:
    loan, _, trace = await sent(lender)
    content = bank.answer(await lender.content((await lender.files())[0]), [bank.Answer(trace, "R01")], date(2020, 10, 13))
    async with lender.rows.uow() as uow:
        file_id, _ = await returns.upload(uow, VAULT, content)
        await uow.commit()
    await asyncio.gather(*(carry_out(lender, file_id) for _ in range(6)))
    assert await outcomes(lender, file_id) == [("posted", None)]
    assert len(await lender.rows.all(select(payment_reversals))) == 1
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


async def test_a_loan_paid_off_by_the_draft_is_open_again(lender: Lender) -> None:
    loan, _, trace = await sent(lender)
    left = (await lender.rows.loan(loan.loan_id))["principal_balance"]
    async with lender.rows.uow() as uow:
        await record(uow, RecordPayment(loan.loan_id, left, "check"))
        await uow.commit()
    assert (await lender.rows.loan(loan.loan_id))["status"] == "paid_off"
    await answered(lender, bank.Answer(trace, "R01"))
    assert (await lender.rows.loan(loan.loan_id))["status"] == "active"
    (reversal,) = await lender.rows.all(select(payment_reversals))
    assert reversal["loan_reopened"]


async def test_money_that_was_refunded_since_is_owed_by_the_borrower(lender: Lender) -> None:
    """The bank's return posts all the same: what was refunded of it is due from the borrower (1130)."""
    loan, _, trace = await sent(lender)
    await lender.move_to(date(2020, 10, 15))
    left = (await lender.rows.loan(loan.loan_id))["principal_balance"]
    async with lender.rows.uow() as uow:
        paid = await record(uow, RecordPayment(loan.loan_id, left + 100_00, "check"))
        await uow.commit()
    surplus = (await lender.rows.loan(loan.loan_id))["unapplied_balance"]
    assert surplus > 0
    async with lender.rows.uow() as uow:
        await payouts.refund(uow, payouts.Refund(paid.id, surplus, "paid too much", override=False))
        await uow.commit()

    file_id = await answered(lender, bank.Answer(trace, "R10", date(2020, 10, 15)), created=date(2020, 10, 15))

    assert await outcomes(lender, file_id) == [("posted", None)]
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)
        assert (await accounts_of(uow, loan.loan_id))[1130] == surplus


async def test_what_names_no_entry_of_ours_is_listed_with_the_reason(lender: Lender) -> None:
    loan, _, trace = await sent(lender)
    content = bank.answer(await lender.content((await lender.files())[0]), [bank.Answer(trace, "R01")], date(2020, 10, 13))
    strange = content.replace(trace.encode(), b"091000017777777")
    async with lender.rows.uow() as uow:
        file_id, _ = await returns.upload(uow, VAULT, strange)
        await uow.commit()
    await carry_out(lender, file_id)
    assert await outcomes(lender, file_id) == [("unmatched", "no entry of ours has the trace number 091000017777777")]
    assert (await payment_of(lender, loan))["status"] == "processing"


async def test_a_file_that_does_not_fit_together_is_refused_whole(lender: Lender) -> None:
    _, _, trace = await sent(lender)
    content = bank.answer(await lender.content((await lender.files())[0]), [bank.Answer(trace, "R01")], date(2020, 10, 13))
    async with lender.rows.uow() as uow:
        before = await counts(uow)
        with pytest.raises(InvalidInput) as refused:
            await returns.upload(uow, VAULT, content[: 94 * 3])
        assert refused.value.code == "damaged_nacha_file"
        assert await counts(uow) == before


async def test_a_reversal_that_waits_for_a_second_person_is_overtaken(lender: Lender) -> None:
    loan, _, trace = await sent(lender)
    await lender.move_to(date(2020, 10, 15))
    async with lender.rows.uow() as uow:
        await change_settings(uow, {"approval_limit": 1_00}, {}, None)
        asked = await reversals.request(uow, (await payment_of(lender, loan))["id"], "looks wrong")
        await uow.commit()
    assert asked.corrected is None

    await answered(lender, bank.Answer(trace, "R01", date(2020, 10, 15)), created=date(2020, 10, 15))

    rows = await lender.rows.all(select(payment_reversals).order_by(payment_reversals.c.id))
    assert [(row["status"], row["return_code"]) for row in rows] == [("rejected", None), ("applied", "R01")]
    assert (await payment_of(lender, loan))["status"] == "returned"


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
    assert reason is not None
    assert len(await lender.rows.all(select(cases))) == 1


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
