"""The sandbox rail: a bank in a table, which does with each draft what the script of its account says
(domain.sandbox_bank). It takes a payout once, and sends it on the banking day that it is or comes next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from domain.calendars import next_banking_day
from domain.sandbox_bank import script
from infra.calendar import bank_holidays
from infra.db.models.processes import rail_payouts, rail_transfers
from infra.db.models.rails import rail_messages
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.rails import Batch, Returned


class SandboxRail:
    """The rail within one transaction."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def hand_over(self, batch: Batch) -> Mapping[UUID, date | None]:
        """Take the drafts, and write down what the bank is going to say of each. Those it has already stay as they are."""
        own = {"tenant_id": self._uow.tenant_id}
        scripts = [script(item.account_last_four, batch.on, item.attempt, bank_holidays()) for item in batch.items]
        transfers, messages = [], []
        for item, found in zip(batch.items, scripts, strict=True):
            values = {"draft_id": item.draft_id, "amount": item.amount, "accepted_on": batch.on}
            transfers.append({**own, "id": new_id(), **values, "settles_on": found.settles_on})
            for number, message in enumerate(found.messages, 1):
                said = {"code": message.code, "comes_on": message.on, "corrected": message.corrected}
                messages.append({**own, "id": new_id(), "draft_id": item.draft_id, "number": number, **said})
        if transfers:
            once = insert(rail_transfers).on_conflict_do_nothing(index_elements=["tenant_id", "draft_id"])
            await self._uow.execute(once, transfers)
        if messages:
            once = insert(rail_messages).on_conflict_do_nothing(index_elements=["tenant_id", "draft_id", "number"])
            await self._uow.execute(once, messages)
        return {item.entry_id: found.settles_on for item, found in zip(batch.items, scripts, strict=True)}

    async def came_back(self, on: date, limit: int) -> Sequence[Returned]:
        """What the bank says by a date and was not taken, in the order of dates."""
        table = rail_messages
        columns = (table.c.draft_id, table.c.number, table.c.code, table.c.comes_on, table.c.corrected)
        due = select(*columns).where(table.c.comes_on <= on, table.c.taken_at.is_(None))
        rows = await self._uow.all(due.order_by(table.c.comes_on, table.c.draft_id, table.c.number).limit(limit))
        return [Returned(*row.values()) for row in rows]

    async def mark_taken(self, answer: Returned) -> bool:
        """Take an answer; returns False when it was taken already. Held until the transaction ends."""
        table = rail_messages
        one = (table.c.draft_id == answer.draft_id, table.c.number == answer.number, table.c.taken_at.is_(None))
        taken = await self._uow.execute(update(table).where(*one).values(taken_at=self._uow.recorded_at))
        return bool(taken.rowcount)


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
