"""A business date wakes what is due on it: each once while there is progress, and few at a time, however many there are."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.contracts import BusinessDay
from activities.dates import DateActivities
from infra.db.models.processes import autopay_enrolments
from infra.db.uow import UnitOfWork
from services import autopay
from tests.conftest import MakeTenant
from tests.workflows.platform import VAULT, Rows

DUE = date(2020, 10, 9)


class Listening:
    """A client that counts what is told through it: how often each workflow, and how many at one moment."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.told: Counter[str] = Counter()
        self.now = self.most = 0

    def get_workflow_handle(self, workflow_id: str) -> Any:
        return _Handle(self, self._client.get_workflow_handle(workflow_id), workflow_id)

    def has_told(self, workflow_id: str) -> None:
        self.told[workflow_id] += 1


class _Handle:
    def __init__(self, listening: Listening, handle: Any, workflow_id: str) -> None:
        self._listening, self._handle, self._id = listening, handle, workflow_id

    async def signal(self, *args: Any, **options: Any) -> None:
        listening = self._listening
        listening.now += 1
        listening.most = max(listening.most, listening.now)
        try:
            await self._handle.signal(*args, **options)
        finally:
            listening.now -= 1
            listening.has_told(self._id)


async def enrolled(rows: Rows, count: int) -> list[UUID]:
    """Enrolments that are due, without processes: whoever is told is not there."""
    loans = [await rows.borrowed() for _ in range(count)]
    async with rows.uow() as uow:
        ids = [await autopay.enrol(uow, autopay.Enrol(loan.loan_id, loan.instrument_id)) for loan in loans]
        await uow.execute(update(autopay_enrolments).values(next_process_date=DUE))
        await uow.commit()
    return ids


async def done(uow: UnitOfWork, enrolment_id: UUID) -> None:
    """As if this one's process had drafted."""
    of_it = autopay_enrolments.c.id == enrolment_id
    await uow.execute(update(autopay_enrolments).where(of_it).values(next_process_date=DUE + timedelta(days=31)))
    await uow.commit()


async def test_few_are_told_at_a_time(engine: AsyncEngine, temporal_client: Client, make_tenant: MakeTenant) -> None:
    """Hundreds at once would wait for each other at the server until the first give up, and all are told anew."""
    rows = Rows(engine, await make_tenant(DUE))
    ids = await enrolled(rows, 30)
    listening = Listening(temporal_client)
    dates = DateActivities(engine, listening, VAULT)  # type: ignore[arg-type]
    left = await ActivityEnvironment().run(dates.settle_day, BusinessDay(rows.tenant, DUE))
    assert left.count == 30
    assert listening.told == Counter(autopay.workflow_id(one) for one in ids)
    assert 1 < listening.most <= 20


async def test_nobody_is_told_again_while_others_are_at_work(
    engine: AsyncEngine, temporal_client: Client, make_tenant: MakeTenant
) -> None:
    """Each takes its time, all together longer than one who does nothing is waited for."""
    rows = Rows(engine, await make_tenant(DUE))
    ids = await enrolled(rows, 5)
    listening = Listening(temporal_client)

    async def work() -> None:
        for one in ids:
            await asyncio.sleep(0.7)
            async with rows.uow() as uow:
                await done(uow, one)

    dates = DateActivities(engine, listening, VAULT)  # type: ignore[arg-type]
    settling = ActivityEnvironment().run(dates.settle_day, BusinessDay(rows.tenant, DUE))
    left, _ = await asyncio.gather(settling, work())
    assert left.count == 0
    assert set(listening.told.values()) == {1}
