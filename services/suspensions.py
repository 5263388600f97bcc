"""Autopays that a bank's answer stops: suspended until the account is corrected, or until there is a new authorization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.ach_returns import Action
from domain.autopay import EnrolmentAction, EnrolmentStatus, after
from infra.db.pipeline import Row
from infra.db.uow import UnitOfWork
from services import autopay
from services.authorizations import change_row


async def suspend(uow: UnitOfWork, row: Row, action: Action, reason: str) -> None:
    """Draft nothing more for a locked enrolment: until its account is corrected, or until the borrower authorizes anew,
    which is a new enrolment. One that has ended stays as it is."""
    if row["status"] not in (EnrolmentStatus.ACTIVE, EnrolmentStatus.PAUSED):
        return
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.SUSPEND)
    values = {"status": str(status), "suspended_for": str(action), "paused_until": None}
    await _change(uow, row, "suspended", values, reason)


async def reinstate(uow: UnitOfWork, rows: Iterable[Row], reason: str) -> None:
    """Draft again, from the next date on, for those of some locked enrolments that were suspended until their account is
    corrected, as it is now."""
    for row in rows:
        values = await autopay.reinstated(uow, row)
        if values:
            await _change(uow, row, "reinstated", values, reason)


async def _change(uow: UnitOfWork, row: Row, what: str, values: dict[str, Any], reason: str) -> None:
    await change_row(uow, row, what, values, reason)
    await autopay.tell_workflow(uow, row)
