"""What a bank sends back: each return posts once, whenever it comes and whatever has happened since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import select

from domain.errors import InvalidInput
from domain.events import ChargedOff
from infra.db.models.processes import payment_reversals
from services import autopay, ledger, payouts, returns, reversals
from services.payments import RecordPayment, record
from services.replaying import apply_event, lock_loan
from services.tenants import change_settings
from tests import bank
from tests.domain.ach_files import ORIGINATOR
from tests.domain.loans import under
from tests.rails.answering import answered, carry_out, outcomes, payment_of, sent
from tests.rails.lender import Lender
from tests.services.lending import accounts_of, assert_consistent, counts
from tests.workflows.platform import VAULT

DUE = date(2020, 10, 9)


def _as_credit(text: str) -> str:
    """The file with its one debit made a credit, and its sums with it."""
    debit, none = f"{297_47:012d}", "0" * 12
    lines = [line.replace(debit + none, none + debit) for line in text.splitlines()]
    as_credit = {"5225": "5220", "8225": "8220", "626": "621"}
    for index, line in enumerate(lines):
        begins = next((old for old in as_credit if line.startswith(old)), "")
        lines[index] = as_credit.get(begins, "") + line[len(begins) :]
    return "\n".join(lines)


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


@pytest.mark.parametrize(("code", "fee"), [("R01", 25_00), ("R09", 25_00), ("R02", 0)])
async def test_money_that_was_not_there_costs_the_programs_fee_once(lender: Lender, code: str, fee: int) -> None:
    loan, _, trace = await sent(lender, under(nsf_fee=25_00))
    await answered(lender, bank.Answer(trace, code, date(2020, 10, 13)))
    await answered(lender, bank.Answer(trace, code, date(2020, 10, 13)), modifier="B")
    assert (await lender.rows.loan(loan.loan_id))["nsf_fees"] == fee
    (reversal,) = await lender.rows.all(select(payment_reversals))
    assert reversal["nsf_fee"] == (fee or None)


async def test_a_return_posts_also_where_the_fee_cannot_be_charged(lender: Lender) -> None:
    """The loan was charged off while the draft was in transit: no fee is charged to it any more."""
    loan, _, trace = await sent(lender, under(nsf_fee=25_00))
    async with lender.rows.uow() as uow:
        await apply_event(uow, await lock_loan(uow, loan.loan_id), ChargedOff("given up"), DUE)
        await uow.commit()

    await lender.move_to(date(2020, 10, 13))

    file_id = await answered(lender, bank.Answer(trace, "R01"))

    assert await outcomes(lender, file_id) == [("posted", None)]
    assert (await payment_of(lender, loan))["status"] == "returned"
    row = await lender.rows.loan(loan.loan_id)
    assert (row["status"], row["nsf_fees"], row["principal_balance"]) == ("charged_off", 0, 10_000_00)
    assert row["charged_off_balance"] > 10_000_00
    async with lender.rows.uow() as uow:
        assert ledger.reconciled(await ledger.reconcile(uow))


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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace(ORIGINATOR.company_id, "1987654321"), "of the company 1987654321"),
        (_as_credit, "is a credit"),
    ],
    ids=["another company", "another direction"],
)
async def test_a_return_of_what_somebody_else_sent_is_not_taken_for_ours(
    lender: Lender, change: Callable[[str], str], says: str
) -> None:
    """Two lenders at one bank number their entries alike: the trace number and the amount may be the same."""
    loan, _, trace = await sent(lender)
    ours = await lender.content((await lender.files())[0])
    content = change(bank.answer(ours, [bank.Answer(trace, "R02")], date(2020, 10, 13)).decode()).encode()
    async with lender.rows.uow() as uow:
        file_id, _ = await returns.upload(uow, VAULT, content)
        await uow.commit()
    await carry_out(lender, file_id)
    ((outcome, reason),) = await outcomes(lender, file_id)
    assert (outcome, trace in str(reason), says in str(reason)) == ("unmatched", True, True), reason
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
