"""Drafts as NACHA files: one a cutoff, the same bytes whenever they are made, and only what may be drafted in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, update

from domain.nacha_read import read
from domain.rails import RailKind
from infra.db.models.rails import rail_cutoffs, rail_entries
from infra.db.models.servicing import payment_instruments
from infra.rails.nacha import NachaRail
from infra.storage import ObjectStore
from services import autopay, instruments, rail_files
from tests.achvalidate import Valid, Validator
from tests.domain.loans import EXAMPLE
from tests.rails.lender import OTHER, Lender
from tests.services.lending import assert_consistent, pay
from tests.workflows.platform import VAULT


async def test_a_cutoff_is_one_file_of_its_drafts_which_another_implementation_accepts(
    lender: Lender, achvalidate: Validator
) -> None:
    loans = [await lender.enrolled(account) for account in ("000123456789", OTHER, "11112222")]

    progress = await lender.cutoff()

    assert (progress.sent, progress.kept_back) == (3, 0)
    (file,) = await lender.files()
    assert (file["name"], file["entries"], file["amount"]) == ("ach-2020-10-09-1.txt", 3, 3 * 297_47)
    assert (file["created_on"], file["effective_date"]) == (date(2020, 10, 9), date(2020, 10, 13))  # the 12th is a holiday
    content = await lender.content(file)
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["size"])
    assert achvalidate(content) == Valid(batches=1, records=3, debits=3 * 297_47, credits=0)
    (batch,) = read(content).batches
    assert (batch.sec_code, batch.description, batch.effective_date) == ("WEB", "LOAN PYMT", "201013")
    entries = await lender.rows.all(select(rail_entries).order_by(rail_entries.c.number))
    assert [entry.trace_number for entry in batch.entries] == [entry["trace_number"] for entry in entries]
    assert [entry["trace_number"] for entry in entries] == [f"09100001000000{n}" for n in (1, 2, 3)]
    assert {entry.account_number for entry in batch.entries} == {"000123456789", OTHER, "11112222"}
    assert {(entry["handed_over_on"], entry["settles_on"]) for entry in entries} == {(date(2020, 10, 9), date(2020, 10, 14))}
    for loan, _, draft_id in loans:
        (payment,) = await lender.rows.payments(loan.loan_id)
        assert (payment["id"], payment["status"], payment["settlement_status"]) == (draft_id, "processing", "in_transit")


async def test_what_is_not_returned_settles_after_two_banking_days(lender: Lender) -> None:
    loan, enrolment_id, _ = await lender.enrolled()
    await lender.cutoff()
    await lender.move_to(date(2020, 10, 13))
    (payment,) = await lender.rows.payments(loan.loan_id)
    assert (payment["status"], payment["settlement_status"]) == ("processing", "in_transit")

    await lender.move_to(date(2020, 10, 14))

    (payment,) = await lender.rows.payments(loan.loan_id)
    assert (payment["status"], payment["settlement_status"]) == ("completed", "settled")
    assert (await lender.only_draft(enrolment_id))["status"] == "settled"
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)


@pytest.mark.parametrize("crash", ["after building", "after storing", "before acknowledging", "never"])
async def test_a_crash_on_the_way_leaves_one_file_with_the_bytes_of_the_first(lender: Lender, crash: str) -> None:
    """And a correction of the account in between does not change them."""
    loan, _, _ = await lender.enrolled()
    cutoff_id = await lender.collected()
    async with lender.rows.uow() as uow:
        found = await rail_files.batch(uow, VAULT, cutoff_id)
        assert found is not None
        assert found[0] is RailKind.NACHA
        if crash != "never":
            await uow.commit()
    if crash in ("after storing", "before acknowledging"):
        await NachaRail(ObjectStore(lender.settings)).hand_over(found[1])
    if crash == "before acknowledging":
        async with lender.rows.uow() as uow:
            await rail_files.mark_stored(uow, cutoff_id)
            await uow.commit()
    await correct_account(lender, loan.loan_id, loan.instrument_id)

    for _ in range(2):
        await lender.hand_over(cutoff_id)

    (file,) = await lender.files()
    assert await lender.stored() == [file["storage_key"]]
    assert found[1].file is not None
    assert await lender.content(file) == found[1].file.content
    assert file["stored_at"] is not None
    (cutoff,) = await lender.rows.all(select(rail_cutoffs))
    assert (cutoff["status"], cutoff["sent"]) == ("acknowledged", 1)


async def correct_account(lender: Lender, loan_id: UUID, instrument_id: UUID) -> None:
    borrower = (await lender.rows.loan(loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        await instruments.change(uow, VAULT, borrower, instrument_id, {"account_number": OTHER})
        await uow.commit()


async def test_a_cancel_one_second_before_the_file_is_built_is_not_in_it(lender: Lender) -> None:
    kept, _, _ = await lender.enrolled()
    cancelled, enrolment_id, _ = await lender.enrolled(OTHER)
    async with lender.rows.uow() as uow:
        await autopay.cancel(uow, cancelled.loan_id, "changed my mind")
        await uow.commit()

    assert (await lender.cutoff()).kept_back == 1

    (file,) = await lender.files()
    (batch,) = read(await lender.content(file)).batches
    assert [entry.account_number for entry in batch.entries] == ["000123456789"]
    assert (await lender.only_draft(enrolment_id))["reason"] == "the autopay is cancelled"
    assert (len(await lender.rows.payments(kept.loan_id)), await lender.rows.payments(cancelled.loan_id)) == (1, [])


async def test_nothing_to_send_makes_no_file(lender: Lender) -> None:
    loan, _, _ = await lender.enrolled()
    async with lender.rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)
        await uow.commit()
    assert (await lender.cutoff()).sent == 0
    assert (await lender.files(), await lender.stored()) == ([], [])


async def test_a_loan_paid_off_by_hand_while_its_draft_is_in_transit_is_not_overdrawn(lender: Lender) -> None:
    """What is in transit counts already: the payoff is what is left beside it, and nothing more is drafted."""
    loan, enrolment_id, _ = await lender.enrolled()
    await lender.cutoff()
    left = (await lender.rows.loan(loan.loan_id))["principal_balance"]
    await pay(lambda _: lender.rows.uow(), lender.rows.tenant, loan.loan_id, left)

    await lender.move_to(date(2020, 11, 9))

    row = await lender.rows.loan(loan.loan_id)
    assert (row["status"], row["principal_balance"], row["unapplied_balance"]) == ("paid_off", 0, 0)
    assert sum(payment["amount"] for payment in await lender.rows.payments(loan.loan_id)) == left + 297_47
    assert len(await lender.rows.drafts(enrolment_id)) == 1


async def test_the_odd_final_amount_is_drafted_exactly(lender: Lender) -> None:
    """A loan of two instalments; the second is a cent or more off the first."""
    terms = replace(EXAMPLE, principal=100_01, periods=2)
    loan = await lender.borrowed(terms=terms)
    enrolment_id = await lender.enrol(loan)
    await lender.prepare(enrolment_id)
    await lender.cutoff()
    await lender.move_to(date(2020, 11, 9))
    await lender.prepare(enrolment_id)
    await lender.cutoff()
    await lender.move_to(date(2020, 11, 12))

    paid = [payment["amount"] for payment in await lender.rows.payments(loan.loan_id)]
    first, last = await lender.files()
    assert [first["amount"], last["amount"]] == paid
    assert paid[0] != paid[1]
    row = await lender.rows.loan(loan.loan_id)
    assert (row["status"], row["principal_balance"], row["unapplied_balance"]) == ("paid_off", 0, 0)


async def test_an_account_of_which_only_a_processors_token_is_held_is_not_in_a_file(lender: Lender) -> None:
    loan, enrolment_id, _ = await lender.enrolled()
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        changes = {"account_number": None, "processor_token": "token-12345678"}
        await instruments.change(uow, VAULT, borrower, loan.instrument_id, changes)
        await uow.commit()
    assert (await lender.cutoff()).kept_back == 1
    draft = await lender.only_draft(enrolment_id)
    assert draft["reason"] == "the account number is not held, and a file for a bank needs it"
    assert await lender.rows.payments(loan.loan_id) == []


async def test_a_name_that_the_format_cannot_hold_keeps_its_draft_back_and_no_other(lender: Lender) -> None:
    odd, enrolment_id, _ = await lender.enrolled()
    await lender.enrolled(OTHER)
    async with lender.rows.uow() as uow:
        own = payment_instruments.c.id == odd.instrument_id
        await uow.execute(update(payment_instruments).where(own).values(account_holder_name="李"))
        await uow.commit()
    assert await lender.cutoff() is not None
    (file,) = await lender.files()
    assert file["entries"] == 1
    assert "no letter that the format knows" in (await lender.only_draft(enrolment_id))["reason"]
