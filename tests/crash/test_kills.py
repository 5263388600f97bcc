"""kill -9 of the API, the worker, Temporal and PostgreSQL, at every named point and at moments nobody chose, while payments
are recorded and reversed and autopays draft: none is lost, none doubled, the books balance, and all is done a minute later.

The platform is a real and durable one; one of its lenders sends its drafts as files. A calm turn first shows which steps
there are; each is then killed before its commit and after it, and so is what comes after a rail's acknowledgement, and after
a workflow was started.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from random import Random

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.roles import Role
from infra.db.engine import app_engine, owner_engine
from infra.settings import BusinessMode, load_settings
from infra.temporal import Temporal
from services.tenants import CreateTenant, create_tenant
from standalone.binaries import locate_temporal
from tests.crash import proof
from tests.crash.budget import SOAKING, chance, either
from tests.crash.killer import VICTIMS, Killer, WatchedStack
from tests.crash.lender import Lender
from tests.crash.load import OPENED, Load
from tests.crash.watch import ACKNOWLEDGED, DELIVERED, STORED, after_commit, before_commit
from tests.e2e.home import temporary_directory
from tests.workflows.platform import eventually

pytestmark = [
    pytest.mark.skipif(locate_temporal() is None, reason="no Temporal: run `python -m standalone.binaries`"),
    pytest.mark.timeout(either(600, 3600)),
]

LENDERS = either(2, 3)
DAYS = either(6, 24)
PAYMENTS = either(40, 200)
FINISHED_SECONDS = 60.0
PAYING = "POST /api/v1/loans/{id}/payments"
BY_FILE = 1
"""Which of the lenders sends its drafts as files."""
SHORT = (before_commit(PAYING), after_commit(PAYING), ACKNOWLEDGED, STORED)
"""The points of the short run, beside one that is drawn."""


@pytest.fixture(scope="module")
def stack() -> Iterator[WatchedStack]:
    with temporary_directory() as directory, WatchedStack(directory / "home", settings=load_settings()) as stack:
        yield stack


@pytest.fixture(scope="module")
async def engine(stack: WatchedStack) -> AsyncIterator[AsyncEngine]:
    engine = app_engine(stack.settings)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def loads(stack: WatchedStack, engine: AsyncEngine) -> AsyncIterator[list[Load]]:
    owner = owner_engine(stack.settings)
    random = chance("the load")
    async with AsyncExitStack() as clients:
        result = []
        for number in range(LENDERS):
            wanted = CreateTenant(f"lender-{number}", "Lender", "America/New_York", BusinessMode.SANDBOX, OPENED)
            lender = Lender.of(stack.settings, engine, await create_tenant(owner, wanted))
            client = await clients.enter_async_context(lender.staff(Role.ADMIN, at_once=50))
            result.append(Load(lender, client, random, by_file=number == BY_FILE))
        await asyncio.gather(*(load.prepare(DAYS) for load in result))
        yield result
    await owner.dispose()


async def test_whatever_is_killed_nothing_is_lost_and_nothing_doubled(stack: WatchedStack, loads: list[Load]) -> None:
    random, killer = chance("the kills"), Killer(stack)
    points = await steps_of_a_calm_turn(stack, loads[0])
    kills = which(points, random)
    each = -(-PAYMENTS // len(kills))
    for turn, victim in enumerate(kills):
        lender = loads[{ACKNOWLEDGED: 0, STORED: BY_FILE}.get(str(victim), turn % LENDERS)]
        await lender.day_is_over()
        if isinstance(victim, str):
            stack.watch.arm(victim)
        lender.turn(each)
        if isinstance(victim, str):
            await killer.until_dead_at(victim)
        else:
            await asyncio.sleep(random.uniform(0.0, 1.0))  # a moment that nobody chose
            await killer.kill(victim)
        for load in loads:
            load.check()

    took = await all_is_done(loads, killer.last)
    log = stack.watch.entries()
    for load in loads:
        await proof.assert_payments(load)
        await proof.assert_told_once(load)
        await proof.assert_reversals(load)
        await proof.assert_drafts(load)
        await proof.assert_books(load)
    await proof.assert_workflows(await Temporal(stack.settings).client())
    again = proof.assert_retried(log)
    report(loads, killer, took, again)


async def steps_of_a_calm_turn(stack: WatchedStack, load: Load) -> list[str]:
    """Everything that happens, once, with nobody killed; returns the points at which a process can die in it."""
    load.turn(1)
    await all_is_done([load], time.monotonic())
    steps = sorted({entry.what for entry in stack.watch.entries() if entry.event == "commit"})
    assert PAYING in steps
    return [ACKNOWLEDGED, STORED, DELIVERED, *(point(step) for step in steps for point in (before_commit, after_commit))]


def which(points: list[str], random: Random) -> list[str | tuple[str, ...]]:
    """Points to die at and sets of victims, in the order in which they are killed."""
    kills: list[str | tuple[str, ...]]
    if SOAKING:
        kills = [*points, *VICTIMS, *random.choices(VICTIMS, k=len(VICTIMS))]
    else:
        kills = [*SHORT, random.choice(sorted(set(points) - set(SHORT))), ("postgres",), ("temporal", "worker")]
    return random.sample(kills, len(kills))


async def all_is_done(loads: list[Load], since: float) -> float:
    """Wait until every request is answered and every process has done its work; returns the seconds since an instant
    (monotonic). Fails the test after a minute."""
    left: dict[str, int] = {"requests not answered": 1}

    async def nothing_left() -> bool:
        left.clear()
        for load in loads:
            left.update(await proof.open_work(load))
        return not left

    try:
        async with asyncio.timeout(max(0.0, since + FINISHED_SECONDS - time.monotonic())):
            await asyncio.gather(*(load.done() for load in loads))
            await eventually(nothing_left, "nothing is left to do", 2 * FINISHED_SECONDS)
    except TimeoutError:
        raise AssertionError(f"a minute after the last restart there is still work to do: {left}") from None
    return time.monotonic() - since


def report(loads: list[Load], killer: Killer, took: float, again: dict[str, int]) -> None:
    asked = [one for load in loads for one in load.asked]
    heard = sum((load.heard for load in loads), Counter[str]())
    print(f"{len(asked)} payments, {sum(one.reversed for one in asked)} reversed, {sum(load.day for load in loads)} days")
    print(f"killed {sum(killer.killed.values())} times: {dict(killer.killed)}")
    print(f"answers: {dict(heard)}")
    print(f"calls of the log that were made again: {again}; all was done {took:.1f} s after the last restart")
