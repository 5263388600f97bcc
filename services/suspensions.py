"""Autopays that a bank's answer stops: suspended until the account is corrected, or until there is a new authorization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import RowMapping

from domain.ach_returns import Action
from domain.autopay import EnrolmentAction, EnrolmentStatus, after
from infra.db.repositories import autopay as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import autopay


async def suspend(uow: UnitOfWork, row: RowMapping, action: Action, reason: str) -> None:
    """Draft nothing more for a locked enrolment: until its account is corrected, or until the borrower authorizes anew,
    which is a new enrolment. One that has ended stays as it is."""
    if row["status"] not in (EnrolmentStatus.ACTIVE, EnrolmentStatus.PAUSED):
        return
    status = after(EnrolmentStatus(row["status"]), EnrolmentAction.SUSPEND)
    values = {"status": str(status), "suspended_for": str(action), "paused_until": None}
    await _change(uow, row, "suspended", values, reason)


async def reinstate(uow: UnitOfWork, rows: Iterable[RowMapping], reason: str) -> None:
    """Draft again, from the next date on, for those of some locked enrolments that were suspended until their account is
    corrected, as it is now."""
    for row in rows:
        values = await autopay.reinstated(uow, row)
        if values:
            await _change(uow, row, "reinstated", values, reason)


async def _change(uow: UnitOfWork, row: RowMapping, what: str, values: dict[str, Any], reason: str) -> None:
    await repository.change_enrolment(uow, row["id"], **values)
    before, changed = ({name: _text(side[name]) for name in values} for side in (row, values))
    await uow.audit(f"autopay.{what}", "autopay_enrolment", row["id"], before=before, after=changed, reason=reason)
    target, message_id = autopay.workflow_id(row["id"]), str(new_id())
    await uow.intend("signal", autopay.WORKFLOW_TYPE, target, {}, message_id=message_id, message_name=autopay.CHANGED)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
