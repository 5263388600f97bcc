"""A bank that answers a lender's files, and the workflow's part: what tests of returns do."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.terms import LoanTerms
from infra.db.models.processes import payment_reversals
from infra.db.models.rails import rail_answers
from services import returns, reversals
from tests import bank
from tests.domain.loans import EXAMPLE
from tests.rails.lender import Lender
from tests.workflows.platform import VAULT, Borrowed


async def sent(lender: Lender, terms: LoanTerms = EXAMPLE) -> tuple[Borrowed, UUID, str]:
    """A loan whose first draft went out in a file of its own; its enrolment and the draft's trace number."""
    loan = await lender.borrowed(terms=terms)
    enrolment_id = await lender.enrol(loan)
    await lender.prepare(enrolment_id)
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
