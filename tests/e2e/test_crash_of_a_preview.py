"""Real processes, killed while they preview a file of payments: what is previewed stays, and the rest follows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.models.payment_batches import payment_batch_rows, payment_batches
from infra.settings import Settings
from services import payment_batches as service
from standalone.binaries import locate_temporal
from standalone.stack import Stack
from tests.conftest import Database, MakeTenant, drop_pending_intents
from tests.e2e.test_crash import RECOVERY_SECONDS, held, is_waited_for, start
from tests.workflows.platform import Rows, eventually

pytestmark = [
    pytest.mark.skipif(locate_temporal() is None, reason="no Temporal: run `python -m standalone.binaries`"),
    pytest.mark.timeout(600),
]

LOANS = 30
ROWS_A_LOAN = 100


@pytest.fixture(scope="module")
def stack(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Temporal, API and worker as processes of their own, on the tests' database."""
    drop_pending_intents(database)
    home: Path = tmp_path_factory.mktemp("crash")
    with Stack(home, settings=settings) as stack:
        yield stack


async def test_a_worker_killed_while_it_previews_loses_no_row(
    stack: Stack, database: Database, engine: AsyncEngine, make_tenant: MakeTenant
) -> None:
    """Killed before the outcomes of a page are written, and at moments nobody chose."""
    tenant = await make_tenant(date(2020, 10, 8))
    rows = Rows(engine, tenant)
    numbers = [(await rows.loan((await rows.borrowed()).loan_id))["loan_number"] for _ in range(LOANS)]
    lines = [f"{numbers[n % LOANS]},{n + 1}.00,X{n}-{tenant}" for n in range(LOANS * ROWS_A_LOAN)]
    async with rows.uow() as uow:
        content = "\n".join(["loan_number,amount,external_id", *lines]).encode()
        batch_id, _ = await service.upload(uow, content)
        await uow.commit()

    async def progress() -> service.PreviewProgress:
        async with rows.uow() as uow:
            return await service.preview_progress(uow, batch_id)

    first = (await progress()).previewed
    assert 0 < first < len(lines)
    with held(database, "payment_batch_rows") as connection:

        async def reached() -> bool:
            return await is_waited_for(connection, "payment_batch_rows")

        await eventually(reached, "the worker writes what it has previewed", RECOVERY_SECONDS)
        stack.kill("worker")
    assert (await progress()).previewed == first
    for _ in range(2):
        await start(stack, "worker")
        await asyncio.sleep(random.uniform(0.0, 1.0))
        stack.kill("worker")
    await start(stack, "worker")

    async def previewed() -> bool:
        return (await progress()).status == "previewed"

    await eventually(previewed, "the file is previewed after all", RECOVERY_SECONDS)
    assert await progress() == service.PreviewProgress("previewed", len(lines), len(lines), await late(rows))
    (batch,) = await rows.all(select(payment_batches))
    table = payment_batch_rows
    good = await rows.all(select(table.c.amount).where(table.c.outcome.in_(("acceptable", "unapplied"))))
    assert batch["control_total"] == sum(row["amount"] for row in good) > 0


async def late(rows: Rows) -> int:
    """How many rows come after their loan is paid off: those, and no others, are rejected."""
    table = payment_batch_rows
    found = await rows.all(select(table).order_by(table.c.line))
    paid_off, count = set(), 0
    for row in found:
        if row["loan_id"] in paid_off:
            assert (row["outcome"], row["code"]) == ("rejected", "loan_paid_off")
            count += 1
        elif row["outcome"] == "unapplied":
            paid_off.add(row["loan_id"])
        else:
            assert row["outcome"] == "acceptable"
    assert count > 0
    return count
