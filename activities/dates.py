"""The steps of closing a business date and of moving to the next."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import AdvanceRef, BusinessDay, Calendar, CloseRound, DueCutoff, Instant, Pages, Pending
from activities.step import alive, beating, step
from domain.errors import WrongState
from infra.crypto import Vault
from infra.db.repositories import autopay as autopay_repository
from infra.db.repositories import payouts as payout_repository
from infra.db.uow import UnitOfWork
from infra.temporal import RPC_TIMEOUT
from services import autopay, close_of_business, cutoffs, dates, draft_notices, payouts, returns

PAGE: Final = 500
_TOLD_AT_ONCE: Final = 20  # more would wait for each other at the server, until the first of them are given up
_WATCH_SECONDS: Final = 2.0
_LONGEST_WATCH_SECONDS: Final = 60.0
_PAUSES: Final = (0.03, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class _Waker:
    """A kind of workflow that waits for business dates: a page of the rows that have something to do by a date, the id of
    a row's workflow, and the signal that says to look again."""

    acting: Callable[[UnitOfWork, date, UUID | None, int], Awaitable[Sequence[UUID]]]
    workflow_id: Callable[[UUID], str]
    signal: str


_WAKERS: Final = (
    _Waker(autopay_repository.acting, autopay.workflow_id, autopay.CHANGED),
    _Waker(payout_repository.acting, payouts.workflow_id, payouts.CHANGED),
)


async def _count_pending(uow: UnitOfWork, on: date) -> int:
    """How many rows still have something to do by a business date."""
    autopays, paid_out = await autopay_repository.count_pending(uow, on), await payout_repository.count_pending(uow, on)
    return autopays + paid_out + await cutoffs.count_pending(uow, on)


class DateActivities:
    """`engine` is the application role's; `client` tells workflows that there is something to do; `vault` opens what a bank
    says of accounts."""

    def __init__(self, engine: AsyncEngine, client: Client, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._client = client

    @activity.defn
    async def read_calendar(self, request: Instant) -> Calendar:
        async with step(self._engine, request.tenant_id) as uow:
            return Calendar(*await dates.calendar(uow, request.at))

    @activity.defn
    async def close_pages(self, request: CloseRound) -> Pages:
        until = time.monotonic() + request.seconds
        on = request.business_date
        async with step(self._engine, request.tenant_id) as uow:
            day = await close_of_business.opened_day(uow, on)
        if day["closed_at"] is not None:
            return Pages(done=True)
        if not await self._settle(request, until):
            return Pages(done=False)
        cursor: UUID | None = day["cursor"]
        for page in itertools.count():
            if time.monotonic() >= until or (page and activity.info().is_local):
                break  # reconciling a portfolio of many pages is nothing for the workflow's own task
            async with step(self._engine, request.tenant_id) as uow:
                cursor = await close_of_business.close_page(uow, on, cursor)
            alive()
            if cursor is None and await self._finish(request):
                return Pages(done=True)
        return Pages(done=False)

    async def _settle(self, request: CloseRound, until: float) -> bool:
        """Settle what is due, page by page; returns whether nothing is left."""
        while True:
            async with step(self._engine, request.tenant_id) as uow:
                settled = await close_of_business.settle_due(uow, request.business_date)
            alive()
            if not settled:
                return await self._take_said(request, until)
            if time.monotonic() >= until:
                return False

    async def _take_said(self, request: CloseRound, until: float) -> bool:
        """Do what the sandbox's bank says by a date, each in a transaction; returns whether nothing is left."""
        async with step(self._engine, request.tenant_id) as uow:
            said = await returns.due(uow, request.business_date, PAGE)
        for item in said:
            async with step(self._engine, request.tenant_id) as uow:
                await returns.take_said(uow, self._vault, item)
            alive()
            if time.monotonic() >= until:
                return False
        return len(said) < PAGE

    async def _finish(self, request: CloseRound) -> bool:
        """Close the date, unless a loan has become active behind the pages' backs: then they begin anew."""
        async with beating(), step(self._engine, request.tenant_id) as uow:
            try:
                await close_of_business.finish_close(uow, request.business_date)
            except WrongState:
                return False
        return True

    @activity.defn
    async def open_date(self, request: BusinessDay) -> Pending:
        async with step(self._engine, request.tenant_id) as uow:
            await dates.open_date(uow, request.business_date)
            await cutoffs.call_due(uow)
            count = await _count_pending(uow, request.business_date)
            return Pending(count, notices=await draft_notices.may_be_due(uow))

    @activity.defn
    async def settle_day(self, request: BusinessDay) -> Pending:
        for waker in _WAKERS:
            await self._wake(request, waker)
        return await self._watch(request)

    @activity.defn
    async def finish_advance(self, request: AdvanceRef) -> None:
        async with step(self._engine, request.tenant_id) as uow:
            await dates.finish_advance(uow, request.advance_id)

    async def _wake(self, request: BusinessDay, waker: _Waker) -> None:
        """Tell each workflow of a kind with something to do on this date to look again. One that has not started yet needs
        no telling: it looks when it starts."""
        after: UUID | None = None
        slots = asyncio.Semaphore(_TOLD_AT_ONCE)

        async def tell(row_id: UUID) -> None:
            async with slots:
                await self._tell(waker.workflow_id(row_id), waker.signal)
            alive()

        while True:
            async with step(self._engine, request.tenant_id) as uow:
                page = await waker.acting(uow, request.business_date, after, PAGE)
            await asyncio.gather(*(tell(row_id) for row_id in page))
            if len(page) < PAGE:
                return
            after = page[-1]

    async def _tell(self, workflow_id: str, signal: str) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(signal, rpc_timeout=5 * RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _watch(self, request: BusinessDay) -> Pending:
        """Look until nothing is pending, or a cutoff can be run, or nothing has come to its end for a moment: those who are
        at work are not woken again, which would only be more work."""
        latest = time.monotonic() + _LONGEST_WATCH_SECONDS
        until, fewest = time.monotonic() + _WATCH_SECONDS, None
        pauses = iter(_PAUSES)
        while True:
            await asyncio.sleep(next(pauses, _PAUSES[-1]))
            async with step(self._engine, request.tenant_id) as uow:
                pending = await _count_pending(uow, request.business_date)
                found = await cutoffs.to_run(uow, request.business_date) if pending else None
            if found is not None:
                return Pending(pending, DueCutoff(found["id"], found["business_date"], found["number"]))
            if fewest is None or pending < fewest:
                until, fewest = min(latest, time.monotonic() + _WATCH_SECONDS), pending
            if not pending or time.monotonic() > until:
                return Pending(pending)
            alive()
