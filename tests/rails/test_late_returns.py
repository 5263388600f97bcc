"""A return that comes after its deadline: posted all the same, with a case that says until when it may be dishonored.

What goes out on Friday the 9th settles on the 13th, as the 12th is a holiday; two banking days later is the 15th.
"""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from infra.db.models.rails import cases
from services import autopay
from tests import bank
from tests.rails.answering import answered, outcomes, payment_of, sent
from tests.rails.lender import Lender
from tests.services.lending import assert_consistent


async def returned(lender: Lender, code: str, on: date) -> str:
    """A loan whose first draft comes back on a date. Returns what its answer came to."""
    loan, _, trace = await sent(lender)
    async with lender.rows.uow() as uow:
        await autopay.pause(uow, loan.loan_id)  # nothing else happens on the way
        await uow.commit()
    await lender.move_to(on)
    file_id = await answered(lender, bank.Answer(trace, code, on), created=on)
    ((outcome, _),) = await outcomes(lender, file_id)
    assert (await payment_of(lender, loan))["status"] == "returned"
    async with lender.rows.uow() as uow:
        await assert_consistent(uow, loan.loan_id)
    return outcome


async def opened(lender: Lender) -> list[tuple[str, str, str]]:
    rows = await lender.rows.all(select(cases).order_by(cases.c.id))
    return [(row["kind"], row["status"], row["detail"]) for row in rows]


LATE = {
    "over a weekend": (
        "R02",
        date(2020, 10, 19),
        "R02 Account Closed: it came 4 days late. It is of 2020-10-19, and the last day for it was 2020-10-15: "
        "the lender's bank may dishonor it (R68) until 2020-10-26.",
    ),
    "by a day, over a holiday": (
        "R08",
        date(2020, 10, 16),
        "R08 Payment Stopped: it came 1 day late. It is of 2020-10-16, and the last day for it was 2020-10-15: "
        "the lender's bank may dishonor it (R68) until 2020-10-23.",
    ),
    "not authorized, after sixty days": (
        "R10",
        date(2020, 12, 15),
        "R10 Customer Advises Originator is Not Known to Receiver and/or Originator is Not Authorized by Receiver to Debit "
        "Receiver's Account: it came 1 day late. It is of 2020-12-15, and the last day for it was 2020-12-14: "
        "the lender's bank may dishonor it (R68) until 2020-12-22.",
    ),
}


@pytest.mark.parametrize("what", LATE)
async def test_a_return_after_its_deadline_is_posted_and_opens_a_case_that_says_by_how_much(
    lender: Lender, what: str
) -> None:
    code, on, detail = LATE[what]
    assert await returned(lender, code, on) == "posted"
    assert await opened(lender) == [("late_return", "open", detail)]


IN_TIME = [("R02", date(2020, 10, 15)), ("R10", date(2020, 12, 14)), ("R06", date(2020, 11, 3))]


@pytest.mark.parametrize(("code", "on"), IN_TIME)
async def test_one_that_comes_on_the_last_day_or_has_none_opens_no_case(lender: Lender, code: str, on: date) -> None:
    assert await returned(lender, code, on) == "posted"
    assert await opened(lender) == []


async def test_a_late_one_that_needs_a_person_anyway_opens_both_cases(lender: Lender) -> None:
    """One is about the borrower, the other about the bank: each is dealt with on its own."""
    await returned(lender, "R15", date(2020, 10, 16))
    assert [kind for kind, _, _ in await opened(lender)] == ["return_to_review", "late_return"]
