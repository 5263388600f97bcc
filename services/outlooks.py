"""The drafts to come of an enrolment: what its workflow will prepare, decided as it will decide. Writes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

from domain.autopay import EnrolmentStatus
from domain.drafting import PREVIEWED, Authorization, Outlook, preview, with_drafts
from infra.calendar import bank_holidays
from infra.db.pipeline import Row
from infra.db.repositories import autopay as repository
from infra.db.repositories.draft_basis import DraftBasis
from infra.db.uow import UnitOfWork
from services.authorizations import (
    amounts_of,
    authorization,
    basis_of,
    cadence_of,
    first_period,
    prepared,
    prospect,
)
from services.replaying import load_loan, today


async def outlook(uow: UnitOfWork, enrolment_id: UUID, count: int = PREVIEWED) -> Outlook:
    """The next `count` drafts of an enrolment, as the loan is known now: with what its other enrolments will draft and what
    is prepared already, and nothing else happening. None, with the reason, where it drafts nothing. Raises NotFound."""
    row = await repository.enrolment(uow, enrolment_id)
    reason = _why_none(row)
    if reason is not None:
        return Outlook((), reason)
    loan = await load_loan(uow, row["loan_id"])
    as_of = await today(uow, loan)
    basis = await basis_of(uow, loan.id)
    drafting = [await _authorization(uow, one, basis) for one in basis.enrolments if _why_none(one) is None]
    known, ahead, holidays = prospect(loan, basis), prepared(basis), bank_holidays()

    def look() -> Outlook:
        return preview(with_drafts(known, ahead, as_of, holidays), drafting, enrolment_id, as_of, holidays, count)

    return await asyncio.to_thread(look)


async def _authorization(uow: UnitOfWork, row: Row, basis: DraftBasis) -> Authorization:
    """What an enrolment authorizes; the next period of one that resumes by itself is the first one from that day on."""
    found = authorization(row, basis)
    if row["status"] == EnrolmentStatus.ACTIVE:
        return found
    upcoming = await first_period(uow, row["loan_id"], cadence_of(row), amounts_of(row), row["paused_until"])
    return replace(found, next_process_date=upcoming)


def _why_none(row: Row) -> str | None:
    """Why an enrolment drafts nothing, whatever the loan owes; None when it does."""
    status = EnrolmentStatus(row["status"])
    if status is EnrolmentStatus.ACTIVE or (status is EnrolmentStatus.PAUSED and row["paused_until"] is not None):
        return None
    if status is EnrolmentStatus.PAUSED:
        return "it is paused until it is resumed"
    return row["end_reason"] or f"it is {status}"
