"""The sandbox rail: a bank in a table. It takes a draft once, and settles it on the next banking day; it takes a payout
once, and sends it on the banking day that it is or comes next.

Returns are not simulated yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from domain.calendars import add_banking_days, next_banking_day
from infra.calendar import bank_holidays
from infra.db.models.processes import rail_payouts, rail_transfers
from infra.db.uow import UnitOfWork
from infra.ids import new_id

SETTLEMENT_DAYS: Final = 1


async def accept(uow: UnitOfWork, entries: Sequence[RowMapping], on: date) -> None:
    """Hand drafts (`draft_id`, `amount` in minor units) to the rail on the business date `on`. Those that it has already
    stay as they are."""
    if not entries:
        return
    settles_on = add_banking_days(on, SETTLEMENT_DAYS, bank_holidays())
    rows = [
        {
            "tenant_id": uow.tenant_id,
            "id": new_id(),
            "draft_id": entry["draft_id"],
            "amount": entry["amount"],
            "accepted_on": on,
            "settles_on": settles_on,
            "created_at": uow.recorded_at,
        }
        for entry in entries
    ]
    await uow.execute(insert(rail_transfers).on_conflict_do_nothing(index_elements=["tenant_id", "draft_id"]), rows)


async def pay_out(uow: UnitOfWork, payout_id: UUID, amount: int, on: date) -> date:
    """Hand a payout (minor units) to the rail on the business date `on`. Returns the banking day on which the money goes
    out; handing the same payout over again returns the first one."""
    values = {"payout_id": payout_id, "amount": amount, "accepted_on": on, "created_at": uow.recorded_at}
    await uow.execute(
        insert(rail_payouts)
        .values(tenant_id=uow.tenant_id, id=new_id(), goes_out_on=next_banking_day(on, bank_holidays()), **values)
        .on_conflict_do_nothing(index_elements=["tenant_id", "payout_id"])
    )
    found = select(rail_payouts.c.goes_out_on).where(rail_payouts.c.payout_id == payout_id)
    goes_out_on: date = (await uow.one(found, "rail payout"))["goes_out_on"]
    return goes_out_on
