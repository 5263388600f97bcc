"""Payments that come at the same moment are recorded in one transaction: most of what a payment costs is the transaction.

Nobody waits for others to come. While as many transactions as there may be at once are under way, what comes waits, and goes
with the next; a payment that comes alone is recorded alone. Each gets its own answer, and what is refused of one is not felt
by the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import exc

from api.deps import Caller
from domain.errors import Refusal
from services.intents import Delivery
from services.payments import PaymentRecord, RecordPayment, record_many

AT_ONCE: Final = 2
"""Transactions of a caller under way at the same time,"""
MOST: Final = 16
"""and payments in each."""

_CONNECTION: Final = ("08", "57")
"""Classes of PostgreSQL's errors: the connection, and an operator who ends it."""

Who = tuple[UUID, UUID]
"""Tenant and user: a transaction is of one tenant, and the audit trail names one who acts."""


@dataclass(frozen=True, slots=True)
class _Asked:
    command: RecordPayment
    answer: asyncio.Future[PaymentRecord]


class Together:
    """One per process."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._waiting: defaultdict[Who, list[_Asked]] = defaultdict(list)
        self._under_way: Counter[Who] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, caller: Caller, command: RecordPayment) -> PaymentRecord:
        """Record a payment, as `services.payments.record` does, and commit. Raises what that raises."""
        who = (caller.tenant_id, caller.user_id)
        asked = _Asked(command, asyncio.get_running_loop().create_future())
        self._waiting[who].append(asked)
        if self._under_way[who] < AT_ONCE:
            self._under_way[who] += 1
            task = asyncio.create_task(self._work(caller, who))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(asked.answer)

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, caller: Caller, who: Who) -> None:
        """Record what waits until nothing does."""
        try:
            await asyncio.sleep(0)  # what came in the same moment comes along
            while batch := self._next(who):
                await self._record(caller, batch)
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]
                _give_up(self._waiting.pop(who, []))  # none are left, unless this was cancelled

    def _next(self, who: Who) -> list[_Asked]:
        """The oldest of what waits, no two of one loan."""
        batch: dict[UUID, _Asked] = {}
        rest = []
        for asked in self._waiting[who]:
            if len(batch) < MOST and asked.command.loan_id not in batch:
                batch[asked.command.loan_id] = asked
            else:
                rest.append(asked)
        self._waiting[who] = rest
        return list(batch.values())

    async def _record(self, caller: Caller, batch: Sequence[_Asked]) -> None:
        committing = False
        try:
            async with caller.uow() as uow:
                recorded = await record_many(uow, [asked.command for asked in batch])
                committing = True
                await uow.commit()
        except Exception as error:
            if len(batch) > 1 and _is_of_one(error, committing):
                for asked in batch:
                    await self._record(caller, [asked])
            else:
                _refuse(batch, error)
        except BaseException:
            _give_up(batch)
            raise
        else:
            for asked, payment in zip(batch, recorded, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(payment)
            if uow.intents:
                self._delivery.soon(caller.tenant_id, uow.intents)


def _is_of_one(error: Exception, committing: bool) -> bool:
    """Whether nothing was committed for certain, and for a reason that the other payments need not share: then each is
    recorded alone, or told what is wrong with it. A connection that is lost, or that nobody has, is everybody's."""
    if isinstance(error, exc.DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        return state is not None and state[:2] not in _CONNECTION
    return isinstance(error, Refusal) or not (committing or isinstance(error, exc.TimeoutError))


def _refuse(batch: Sequence[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)


def _give_up(batch: Sequence[_Asked]) -> None:
    for asked in batch:
        asked.answer.cancel()
