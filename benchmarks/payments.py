"""How many payments a second one API process records over HTTP for 16 clients, beside a bare loop that writes the same rows.

Both sides work on one durable PostgreSQL of this run, on loans of the same kind. The bare loop knows no rules: 16
asynchronous psycopg connections lock a loan and write, in a pipeline and a transaction each, as many rows of each table, and
as wide, as a payment of ours was seen to write. Ours share a transaction when they come at the same moment (ADR 0021).
Payments are small, so that many of them pay one instalment: a larger one would be a curtailment, which makes 35 instalments
anew, and the bare loop writes one. Loans are young: each is paid a few times. Both sides run a while before, then the tables
are analyzed, as autovacuum does within a minute. Rounds alternate and the median counts. The last line is one JSON object;
QUICK=1 measures less.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from fractions import Fraction
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import uvloop
from sqlalchemy import any_, func, insert, literal_column, select, text

from benchmarks.bare_payments import BareLoop, written_by
from domain.events import Disbursed
from domain.program import Program
from domain.program_form import program_to_dict
from domain.roles import Role
from domain.terms import LoanTerms
from infra.clock import utc_now
from infra.crypto import Vault
from infra.db.engine import app_engine, owner_engine
from infra.db.migrate import upgrade
from infra.db.models.servicing import borrowers, loans, payments, program_versions, programs
from infra.db.models.tenancy import business_days, tenant_directory, tenants, users
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import Settings
from services.auth import Platform, open_session
from services.replaying import apply_events, lock_loans
from services.users import create_user
from standalone.credentials import Credentials
from standalone.postgres import Postgres
from standalone.progress import Progress

GOAL: Final = 0.6
"""Payments a second of the bare loop's."""
CLIENTS: Final = 16
QUICK: Final = os.environ.get("QUICK") == "1"
LOANS: Final = 2400 if QUICK else 12_800
_PAGE: Final = 800
ROUNDS: Final = 3 if QUICK else 7
SECONDS: Final = 4.0 if QUICK else 10.0
OPENED: Final = date(2020, 9, 9)


@dataclass(frozen=True, slots=True)
class Round:
    """Payments done, in how long, and how long each took (seconds)."""

    done: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return self.done / self.seconds


async def for_a_while(work: Callable[[int, int], Awaitable[None]], seconds: float = SECONDS) -> Round:
    """16 clients, each doing `work(client, turn)` again and again, for so many seconds."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def client(number: int) -> None:
        turn = 0
        while (started := time.perf_counter()) - began < seconds:
            await work(number, turn)
            latencies.append(time.perf_counter() - started)
            turn += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return Round(len(latencies), time.perf_counter() - began, latencies)


class HttpClient:
    """A keep-alive connection that costs the machine as little as it can: what is measured is the server."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {self._host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """POST and read the answer. Raises RuntimeError unless it is 201."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        content = json.dumps(body).encode()
        writer.write(f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(length)
        if b" 201 " not in head[:20]:
            raise RuntimeError(f"{head[:40]!r} {answer[:300]!r}")


@contextlib.contextmanager
def database(home: Path) -> Iterator[Settings]:
    """A durable PostgreSQL of this run's own, with the schema."""
    credentials = Credentials(**{field.name: "benchmark" for field in fields(Credentials)})
    server = Postgres(home, credentials, Progress())
    child = server.start()
    try:
        server.wait_ready(child)
        upgrade(server.url("perdiem_owner"))
        yield Settings(
            home=home,
            database_url=server.url("perdiem_app"),
            database_owner_url=server.url("perdiem_owner"),
            database_dispatch_url=server.url("perdiem_dispatch"),
            database_pool_size=CLIENTS,
            secret_key=new_id().hex * 2,
            log_level="WARNING",
            api_port=_free_port(),
        )
    finally:
        child.stop()


@contextlib.contextmanager
def api(settings: Settings) -> Iterator[str]:
    """One API process; yields its address."""
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", str(settings.api_port)]
    process = subprocess.Popen(
        [*command, "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "120"],
        env=os.environ | settings.as_environment(),
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", settings.api_port), 1):
                break
            time.sleep(0.1)
        yield settings.public_url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def lend(settings: Settings) -> tuple[UUID, list[UUID], str]:
    """A lender with loans disbursed today; returns its id, theirs, and an officer's access token."""
    tenant, operator = new_id(), Actor(ActorKind.OPERATOR)
    owner, engine, vault = owner_engine(settings), app_engine(settings, pool_size=2), Vault.of(settings)
    async with UnitOfWork(owner, tenant, operator) as uow:
        values = {"slug": "bench", "name": "Bench Lending", "zone": "America/New_York", "mode": "sandbox"}
        await uow.execute(insert(tenants).values(id=tenant, business_date=OPENED, **values))
        await uow.execute(insert(tenant_directory).values(slug="bench", tenant_id=tenant))
        await uow.add(business_days, business_date=OPENED)
        await uow.commit()
    async with UnitOfWork(engine, tenant, operator) as uow:
        ids = await _book(uow)
        for first in range(0, len(ids), _PAGE):
            locked = await lock_loans(uow, ids[first : first + _PAGE])
            await apply_events(uow, [(loan, Disbursed(loan.terms.principal), OPENED) for loan in locked])
        officer = await create_user(uow, vault, email="o@bench.example.com", full_name="O", role=Role.LOAN_OFFICER)
        await uow.execute(users.update().where(users.c.id == officer).values(status="active"))
        tokens = await open_session(Platform(engine, vault, utc_now), uow, officer)
        await uow.commit()
    await owner.dispose()
    await engine.dispose()
    return tenant, ids, tokens.access


async def _book(uow: UnitOfWork) -> list[UUID]:
    terms = LoanTerms(Program(), 10_000_00, Fraction(45, 1000), 36, OPENED, date(2020, 10, 9))
    borrower = await uow.add(borrowers, first_name="John", last_name="Doe")
    program = await uow.add(programs, name="Bench", current_version=1)
    version = {"tenant_id": uow.tenant_id, "program_id": program, "version": 1, "terms": program_to_dict(terms.program)}
    await uow.execute(insert(program_versions), version)
    ids = [new_id() for _ in range(LOANS)]
    rows = [
        {
            "tenant_id": uow.tenant_id,
            "id": loan_id,
            "loan_number": f"B-{number:06}",
            "borrower_id": borrower,
            "program_id": program,
            "program_version": 1,
            "status": "boarding",
            "principal_amount": terms.principal,
            "annual_rate": terms.annual_rate,
            "term_periods": terms.periods,
            "origination_date": terms.contract_date,
            "first_due_date": terms.first_due_date,
            "maturity_date": date(2023, 9, 9),
            "level_payment": 297_47,
        }
        for number, loan_id in enumerate(ids)
    ]
    await uow.execute(insert(loans), rows)
    return ids


async def measure(settings: Settings, url: str) -> tuple[list[Round], list[Round], dict[str, int]]:
    """Rounds of ours and of the bare loop, alternating, and the rows of each table a payment writes."""
    tenant, ids, token = await lend(settings)
    half = len(ids) // 2
    ids, others = ids[:half], ids[half:]
    clients = [HttpClient(url, token) for _ in range(CLIENTS)]
    amounts = [10_00 + number for number in range(CLIENTS)]

    async def pay(client: int, turn: int) -> None:
        loan = ids[(client + turn * CLIENTS) % len(ids)]
        amount = f"{amounts[client] // 100}.{amounts[client] % 100:02}"
        await clients[client].post(
            f"/api/v1/loans/{loan}/payments",
            {"amount": amount, "payment_method": "check", "external_id": new_id().hex},
        )

    rows = await written_by(settings, tenant, lambda: pay(0, 0))
    bare = await BareLoop.of(settings, tenant, others, rows, CLIENTS)
    ours, theirs = [], []
    try:
        for work in (pay, bare.pay):  # both warm, and the planner knows the tables, as it does on any server up for minutes
            await for_a_while(work, SECONDS / 4)
        await _analyze(settings)
        gc.collect()  # as the API does when it has started
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        for _ in range(ROUNDS):
            gc.collect()
            ours.append(await for_a_while(pay))
            theirs.append(await for_a_while(bare.pay))
    finally:
        await bare.close()
    await _say_how_they_were_recorded(settings, tenant, ids)
    return ours, theirs, rows


async def _analyze(settings: Settings) -> None:
    """What autovacuum does within a minute of the first rows."""
    owner = owner_engine(settings)
    async with owner.connect() as connection:
        await connection.execute(text("ANALYZE"))
        await connection.commit()
    await owner.dispose()


async def _say_how_they_were_recorded(settings: Settings, tenant: UUID, ids: list[UUID]) -> None:
    engine = app_engine(settings, pool_size=1)
    async with UnitOfWork(engine, tenant, Actor(ActorKind.OPERATOR)) as uow:
        transactions = func.count(literal_column("payments.xmin::text").distinct())
        statement = select(func.count(), transactions).where(payments.c.loan_id == any_(ids))
        recorded, shared = (await uow.execute(statement)).one()
    await engine.dispose()
    print(f"{recorded} payments on {len(ids)} loans, {recorded / shared:.1f} in a transaction")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _report(name: str, rounds: list[Round]) -> float:
    rate = median(one.rate for one in rounds)
    cuts = quantiles([seconds for one in rounds for seconds in one.latencies], n=100)
    print(f"{name:12}{rate:10.0f} payments/s   p50 {cuts[49] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms")
    return rate


def main() -> int:
    """Measure, print, and say whether the goal is met. Returns 0."""
    home = Path(tempfile.mkdtemp(prefix="perdiem-bench-"))
    try:
        with database(home) as settings, api(settings) as url:
            ours, theirs, rows = uvloop.run(measure(settings, url))  # the loop that uvicorn runs the API on
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("rows a payment writes: " + ", ".join(f"{table} {count}" for table, count in rows.items()))
    mine, bare = _report("perdiem", ours), _report("bare loop", theirs)
    ratio = mine / bare
    print(f"{ratio:.3f} of the bare loop; the goal, {GOAL}, {'is met' if ratio >= GOAL else 'does not hold yet'}.")
    p99 = quantiles([seconds for one in ours for seconds in one.latencies], n=100)[98] * 1000
    summary: dict[str, Any] = {
        "name": "payments",
        "value": round(mine, 1),
        "unit": "payments a second, 16 clients, one API process",
    }
    print(
        json.dumps(summary | {"baseline": round(bare, 1), "ratio": round(ratio, 3), "goal": GOAL, "p99_ms": round(p99, 1)})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
