"""How many drafts a second are made when 500 autopays fall due at one instant, beside an empty workflow on the same server.

The platform is a real one: durable PostgreSQL, Temporal, one worker process. A sandbox's business date is moved to a due
date, and from the moment it opens it is counted until every draft is there. The empty workflow is told as often, and has as
many activities and timers as the history of an autopay shows for that; its worker is a process of its own with the same
settings. The tables are analyzed once the loans are there, as autovacuum does within a minute. The two take turns, and the
median counts. The last line is one JSON object; QUICK=1 measures less.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.bare_autopay import QUEUE, BareWorkflow, Shape
from domain.events import Disbursed
from domain.program import Frequency, Program
from domain.program_form import program_to_dict
from domain.terms import LoanTerms
from infra.crypto import Vault
from infra.db.engine import app_engine, owner_engine
from infra.db.models.processes import autopay_drafts, workflow_intents
from infra.db.models.servicing import borrowers, loans, program_versions, programs
from infra.db.models.tenancy import date_advances
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.settings import BusinessMode, load_settings
from infra.temporal import Temporal
from services import autopay, dates, instruments
from services.replaying import apply_events, lock_loans
from services.tenants import CreateTenant, create_tenant
from standalone.processes import spawn
from standalone.stack import REPOSITORY, Stack

GOAL: Final = 0.7
"""Drafts a second of the empty workflow's."""
LIMIT: Final = 60.0
"""Seconds in which all must be drafted."""
QUICK: Final = os.environ.get("QUICK") == "1"
ENROLMENTS: Final = 100 if QUICK else 500
ROUNDS: Final = 2 if QUICK else 3
OPENED: Final = date(2020, 9, 9)
DUES: Final = [OPENED + timedelta(weeks=week) for week in range(1, ROUNDS + 2)]
"""Of loans that fall due once a week, so that few days lie between the rounds."""
ACCOUNT: Final = {
    "instrument_type": "bank_account",
    "account_holder_name": "John Doe",
    "routing_number": "021000021",
    "account_type": "checking",
}
_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds until all was drafted (or through), until the rail had it (0 for the empty workflow), and seconds of processor
    time of the worker and of Temporal meanwhile."""

    drafted: float
    sent: float
    worker: float
    temporal: float


class Processors:
    """The processor time of two processes since this was made."""

    def __init__(self, worker: int, temporal: int) -> None:
        self._pids = (worker, temporal)
        self._began = self._now()

    def used(self) -> tuple[float, float]:
        worker, temporal = (now - then for now, then in zip(self._now(), self._began, strict=True))
        return worker, temporal

    def _now(self) -> list[float]:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._pids]
        return [(int(each[11]) + int(each[12])) / os.sysconf("SC_CLK_TCK") for each in fields]


@dataclass(frozen=True, slots=True)
class Ours:
    """The lender, and what it needs to be looked at and moved on."""

    engine: AsyncEngine
    client: Client
    tenant: UUID

    def uow(self) -> UnitOfWork:
        return UnitOfWork(self.engine, self.tenant, Actor(ActorKind.OPERATOR))

    async def count(self, statement: Any) -> int:
        async with self.uow() as uow:
            return int((await uow.execute(statement)).scalar_one())

    async def move_to(self, day: date) -> None:
        """Move the business date, and wait until it is there."""
        advance = await self._request(day)
        await until(lambda: self.has_arrived(advance))

    async def due_round(self, due: date, worker: int, temporal: int) -> Round:
        """Open the date on which all are due, and wait until all are drafted and sent."""
        advance = await self._request(due)
        await until(lambda: self.is_open(due))
        opened, processors = time.perf_counter(), Processors(worker, temporal)
        await until(lambda: self.drafted(due))
        drafted, used = time.perf_counter() - opened, processors.used()
        await until(lambda: self.has_arrived(advance))
        return Round(drafted, time.perf_counter() - opened, *used)

    async def _request(self, day: date) -> UUID:
        async with self.uow() as uow:
            advance = await dates.request_advance(uow, day)
            await uow.commit()
        return advance

    async def is_open(self, day: date) -> bool:
        async with self.uow() as uow:
            return await uow.business_date() == day

    async def has_arrived(self, advance: UUID) -> bool:
        wanted = select(func.count()).where(date_advances.c.id == advance, date_advances.c.status == "done")
        return await self.count(wanted) == 1

    async def drafted(self, due: date) -> bool:
        """Whether every draft of a date is there."""
        return await self.count(select(func.count()).where(autopay_drafts.c.process_date == due)) == ENROLMENTS

    async def all_wait(self) -> bool:
        """Whether every process has started and looked."""
        if await self.count(select(func.count()).where(workflow_intents.c.status == "pending")):
            return False
        attributes = f"WorkflowKind = 'autopay' AND TenantId = '{self.tenant}' AND BusinessDate = '{DUES[0]}'"
        return (await self.client.count_workflows(attributes)).count == ENROLMENTS


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 600.0) -> None:
    """Returns as soon as it holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)


async def lend(ours: Ours, vault: Vault) -> UUID:
    """Loans of as many borrowers, each drafted from an account of its own. Returns one of the enrolments."""
    terms = LoanTerms(Program(frequency=Frequency.WEEKLY), 10_000_00, Fraction(45, 1000), 36, OPENED, DUES[0])
    async with ours.uow() as uow:
        program = await uow.add(programs, name="Bench", current_version=1)
        version = {"tenant_id": uow.tenant_id, "program_id": program, "version": 1, "terms": program_to_dict(terms.program)}
        await uow.execute(insert(program_versions), version)
        await uow.commit()
    for first in range(0, ENROLMENTS, _PAGE):
        async with ours.uow() as uow:
            booked = [await _book(uow, program, terms, number) for number in range(first, first + _PAGE)]
            locked = await lock_loans(uow, [loan_id for loan_id, _ in booked])
            await apply_events(uow, [(loan, Disbursed(terms.principal), OPENED) for loan in locked])
            for number, (loan_id, borrower) in enumerate(booked, first):
                account = {**ACCOUNT, "account_number": f"9{number:011}"}
                instrument = await instruments.add(uow, vault, borrower, account)
                enrolment = await autopay.enrol(uow, autopay.Enrol(loan_id, instrument))
            await uow.commit()
    return enrolment


async def _book(uow: UnitOfWork, program: UUID, terms: LoanTerms, number: int) -> tuple[UUID, UUID]:
    borrower = await uow.add(borrowers, first_name="John", last_name="Doe")
    loan_id = await uow.add(
        loans,
        loan_number=f"B-{number:06}",
        borrower_id=borrower,
        program_id=program,
        program_version=1,
        status="boarding",
        principal_amount=terms.principal,
        annual_rate=terms.annual_rate,
        term_periods=terms.periods,
        origination_date=terms.contract_date,
        first_due_date=terms.first_due_date,
        maturity_date=DUES[0] + timedelta(weeks=35),
        level_payment=282_25,
    )
    return loan_id, borrower


async def shape_of(ours: Ours, enrolment: UUID, file: Path) -> Shape:
    """What an autopay needed for its last draft, by its history: since it was told last."""
    history = await ours.client.get_workflow_handle(autopay.workflow_id(enrolment)).fetch_history()
    kinds = [event.event_type for event in history.events]
    told = max(at for at, kind in enumerate(kinds) if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    since = kinds[told:]
    timers = since.count(EventType.EVENT_TYPE_TIMER_STARTED)
    return Shape(timers, since.count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED), str(file))


async def start_bare(client: Client, shape: Shape) -> list[Any]:
    """As many empty workflows, each waiting to be told."""
    return await asyncio.gather(
        *(client.start_workflow(BareWorkflow.run, shape, id=f"bare/{n}", task_queue=QUEUE) for n in range(ENROLMENTS))
    )


async def bare_round(handles: list[Any], file: Path, rounds: int, worker: int, temporal: int) -> Round:
    """Tell all of them at once, and wait until the last is through."""

    async def through() -> bool:
        return await asyncio.to_thread(os.path.getsize, file) >= rounds * ENROLMENTS

    began, processors = time.perf_counter(), Processors(worker, temporal)
    await asyncio.gather(*(handle.signal(BareWorkflow.changed) for handle in handles))
    await until(through)
    return Round(time.perf_counter() - began, 0.0, *processors.used())


@contextlib.asynccontextmanager
async def lender(stack: Stack) -> AsyncIterator[Ours]:
    settings = stack.settings
    owner, engine = owner_engine(settings), app_engine(settings)
    wanted = CreateTenant("bench", "Bench Lending", "America/New_York", BusinessMode.SANDBOX, OPENED)
    yield Ours(engine, await Temporal(settings).client(lazy=False), await create_tenant(owner, wanted))
    await owner.dispose()
    await engine.dispose()


async def measure(stack: Stack, bare_worker: int) -> tuple[list[Round], list[Round], Shape]:
    """Rounds of ours and of the empty workflow, in turns, and what a round of those is made of. The first of each is not
    counted."""
    ours_rounds, bare_rounds = [], []
    worker, temporal = stack.pid("worker"), stack.pid("temporal")
    assert worker is not None
    assert temporal is not None
    async with lender(stack) as ours:
        enrolment = await lend(ours, Vault.of(stack.settings))
        await until(ours.all_wait)
        await _analyze(stack)
        file = stack.home / "bare"
        handles: list[Any] = []
        for number, due in enumerate(DUES, 1):
            await ours.move_to(due - timedelta(days=1))
            ours_rounds.append(await ours.due_round(due, worker, temporal))
            if not handles:
                shape = await shape_of(ours, enrolment, file)
                await asyncio.to_thread(file.touch)
                handles = await start_bare(ours.client, shape)
            bare_rounds.append(await bare_round(handles, file, number, bare_worker, temporal))
            took = (ours_rounds[-1].drafted, bare_rounds[-1].drafted)
            print(f"round {number}: perdiem {took[0]:.1f} s, empty {took[1]:.1f} s", flush=True)
    return ours_rounds[1:], bare_rounds[1:], shape


async def _analyze(stack: Stack) -> None:
    """What autovacuum does within a minute of the first rows: until then foreign keys of the new loans are looked up by
    going through all of them."""
    owner = owner_engine(stack.settings)
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE"))
        await connection.commit()
    await owner.dispose()


@contextlib.contextmanager
def bare_worker(stack: Stack) -> Iterator[int]:
    """The empty workflow's worker; yields its process id."""
    command = [sys.executable, "-m", "benchmarks.bare_autopay"]
    child = spawn("empty worker", command, log=stack.home / "empty.log", environment=stack.environment, directory=REPOSITORY)
    try:
        yield child.pid
    finally:
        child.kill()


def report(name: str, rounds: list[Round]) -> float:
    """Print the rounds; returns how many a second were drafted, in the median."""
    rate = ENROLMENTS / median(one.drafted for one in rounds)
    shown = ", ".join(f"{one.drafted:.1f}" for one in rounds)
    worker, temporal = median(one.worker for one in rounds), median(one.temporal for one in rounds)
    used = f"processor ms of each: worker {1000 * worker / ENROLMENTS:.1f}, Temporal {1000 * temporal / ENROLMENTS:.1f}"
    print(f"{name:10}{rate:7.1f} a second   ({ENROLMENTS} in {shown} s; {used})")
    return rate


def main() -> int:
    """Measure, print, and say whether the goals are met. Returns 0."""
    directory = Path(tempfile.mkdtemp(prefix="perdiem-bench-"))
    directory.chmod(0o755)  # PostgreSQL does not run as root
    try:
        with Stack(directory / "home", settings=load_settings(), with_api=False) as stack, bare_worker(stack) as pid:
            ours, bare, shape = asyncio.run(measure(stack, pid))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"A draft: {shape.activities} activities and {shape.timers} timers.")
    mine, baseline = report("perdiem", ours), report("empty", bare)
    ratio, drafted, sent = mine / baseline, max(one.drafted for one in ours), max(one.sent for one in ours)
    print(f"{ratio:.3f} of the empty workflow; the goal, {GOAL}, {'is met' if ratio >= GOAL else 'does not hold yet'}.")
    verdict = "is met" if drafted <= LIMIT else "does not hold yet"
    print(f"All were drafted within {drafted:.1f} s, with the rail within {sent:.1f} s; the goal, {LIMIT:.0f} s, {verdict}.")
    summary = {"name": "autopay", "value": round(mine, 1), "unit": "drafts a second, all due at one instant, one worker"}
    summary |= {"baseline": round(baseline, 1), "ratio": round(ratio, 3), "goal": GOAL, "n": ENROLMENTS}
    print(json.dumps({**summary, "all_drafted_seconds": round(drafted, 1), "with_the_rail_seconds": round(sent, 1)}))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
