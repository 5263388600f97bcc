"""What an autopay's own terms make of a return: when it is tried again, and from which account the next draft is taken."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from domain.instruments import VerificationMethod, VerificationStatus
from services import instruments
from tests import bank
from tests.rails.answering import answered
from tests.rails.lender import OTHER, Lender
from tests.workflows.platform import ACCOUNT, VAULT, Borrowed

RETURNED = date(2020, 10, 14)


async def sent(lender: Lender, loan: Borrowed, **terms: Any) -> tuple[UUID, str]:
    """An enrolment whose first draft went out; the draft's trace number."""
    enrolment_id = await lender.enrol(loan, **terms)
    await lender.prepare(enrolment_id)
    await lender.cutoff()
    *_, file = await lender.files()
    (trace,) = bank.traces(await lender.content(file))
    return enrolment_id, trace


@pytest.mark.parametrize(
    ("retry_days", "again"), [(0, None), (1, date(2020, 10, 15)), (2, date(2020, 10, 16)), (5, date(2020, 10, 21))]
)
async def test_a_draft_without_funds_is_tried_again_after_the_banking_days_that_were_said(
    lender: Lender, retry_days: int, again: date | None
) -> None:
    enrolment_id, trace = await sent(lender, await lender.borrowed(), retry_days=retry_days)
    await lender.move_to(RETURNED)
    await answered(lender, bank.Answer(trace, "R01", RETURNED), created=RETURNED)

    first, *others = await lender.rows.drafts(enrolment_id)
    assert (first["status"], [row["send_on"] for row in others]) == ("failed", [] if again is None else [again])
    for row in others:
        same = ("amount", "apply_date", "process_date", "payment_instrument_id")
        assert [row[name] for name in same] == [first[name] for name in same]
    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["next_process_date"]) == ("active", date(2020, 11, 9))


async def test_an_account_that_is_closed_stops_nothing_while_there_is_another_one(lender: Lender) -> None:
    """The draft that came back is over; what is due is drafted from the fallback on the next date."""
    loan = await lender.borrowed()
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        savings = await instruments.add(uow, VAULT, borrower, {**ACCOUNT, "account_number": OTHER})
        await uow.commit()
    enrolment_id, trace = await sent(lender, loan, fallback_instrument_ids=(savings,))
    await answered(lender, bank.Answer(trace, "R02"))

    enrolment = await lender.rows.enrolment(enrolment_id)
    assert (enrolment["status"], enrolment["suspended_for"]) == ("active", None)
    await lender.move_to(date(2020, 11, 9))
    await lender.prepare(enrolment_id)
    await lender.cutoff()
    first, second = await lender.rows.drafts(enrolment_id)
    assert (first["status"], first["payment_instrument_id"]) == ("failed", loan.instrument_id)
    assert (second["status"], second["payment_instrument_id"], second["amount"]) == ("sent", savings, 2 * 297_47 + 30_00)


async def test_a_retry_is_from_the_same_account_or_not_at_all(lender: Lender) -> None:
    loan = await lender.borrowed()
    borrower = (await lender.rows.loan(loan.loan_id))["borrower_id"]
    async with lender.rows.uow() as uow:
        savings = await instruments.add(uow, VAULT, borrower, {**ACCOUNT, "account_number": OTHER})
        await uow.commit()
    enrolment_id, trace = await sent(lender, loan, fallback_instrument_ids=(savings,))
    await lender.move_to(RETURNED)
    await answered(lender, bank.Answer(trace, "R01", RETURNED), created=RETURNED)
    async with lender.rows.uow() as uow:
        failed = (VerificationStatus.FAILED, VerificationMethod.MANUAL, "closed, says the borrower")
        await instruments.set_verification(uow, borrower, loan.instrument_id, *failed)
        await uow.commit()
    await lender.move_to(date(2020, 10, 16))
    assert (await lender.cutoff()).kept_back == 1
    _, again = await lender.rows.drafts(enrolment_id)
    assert "from the same account only" in again["reason"]
