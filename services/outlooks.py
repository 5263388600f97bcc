"""The drafts to come of an enrolment: what its workflow will prepare, decided as it will decide. Writes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.autopay import EnrolmentStatus
from domain.drafting import PREVIEWED, Authorization, Outlook, preview, with_drafts
from infra.calendar import bank_holidays
from infra.db.repositories import autopay as repository
from infra.db.uow import UnitOfWork
from services.authorizations import (
    amounts_of,
    authorization,
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
    rows = await repository.open_enrolments(uow, loan.id)
    drafting = [await _authorization(uow, one) for one in rows if _why_none(one) is None]
    active = [one for one in rows if one["status"] == EnrolmentStatus.ACTIVE]
    known, ahead, holidays = await prospect(uow, loan), await prepared(uow, loan.id, active), bank_holidays()

    def look() -> Outlook:
        return preview(with_drafts(known, ahead, as_of, holidays), drafting, enrolment_id, as_of, holidays, count)

    return await asyncio.to_thread(look)


async def _authorization(uow: UnitOfWork, row: RowMapping) -> Authorization:
    """What an enrolment authorizes; the next period of one that resumes by itself is the first one from that day on."""
    found = await authorization(uow, row)
    if row["status"] == EnrolmentStatus.ACTIVE:
        return found
    upcoming = await first_period(uow, row["loan_id"], cadence_of(row), amounts_of(row), row["paused_until"])
    return replace(found, next_process_date=upcoming)


def _why_none(row: RowMapping) -> str | None:
    """Why an enrolment drafts nothing, whatever the loan owes; None when it does."""
    status = EnrolmentStatus(row["status"])
    if status is EnrolmentStatus.ACTIVE or (status is EnrolmentStatus.PAUSED and row["paused_until"] is not None):
        return None
    if status is EnrolmentStatus.PAUSED:
        return "it is paused until it is resumed"
    return row["end_reason"] or f"it is {status}"
