"""The unit of work: one transaction of one tenant. Leaving without `commit()` rolls back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import psycopg
from sqlalchemy import Executable, Uuid, bindparam, insert, select
from sqlalchemy.engine import CursorResult, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import NotFound
from domain.periods import OpenBooks
from infra.clock import Clock, utc_now
from infra.db.connections import as_sqlalchemy, give_back, take
from infra.db.exchange import Driver
from infra.db.models.processes import workflow_intents
from infra.db.models.tenancy import audit_log, tenants
from infra.db.pipeline import BIND, Asked, Change, Query, Row, Write, combined, run
from infra.ids import new_id

_TENANT: Final = Query(
    select(tenants.c.mode, tenants.c.zone, tenants.c.business_date).where(tenants.c.id == bindparam("tenant", type_=Uuid))
)


class ActorKind(StrEnum):
    USER = "user"
    WORKFLOW = "workflow"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user (id), a workflow step, or an operator at the command line."""

    kind: ActorKind
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow to start: its id, its input, and its search attributes. Ids and dates only."""

    workflow_id: str
    payload: dict[str, Any]
    search_attributes: dict[str, str]


@dataclass(slots=True)
class UnitOfWork:
    """`async with UnitOfWork(engine, tenant_id, actor) as uow: ...; await uow.commit()`.

    Every statement inside sees this tenant's rows only. `recorded_at` is the transaction's instant (UTC); `intents`
    collects the ids of workflow intents written, so that whoever opened the unit of work can deliver them at once.
    `books`: where postings go, once that is held (infra.db.repositories.periods).

    What is written `later` is sent together, before the next statement or with the commit: an error of it is raised there.
    """

    engine: AsyncEngine
    tenant_id: UUID
    actor: Actor
    clock: Clock = utc_now
    intents: list[UUID] = field(default_factory=list)
    books: OpenBooks | None = None
    _connection: AsyncConnection | None = None
    _recorded_at: datetime | None = None
    _tenant: Row | None = None
    _business_date: date | None = None
    _driver: Driver | None = None
    _bound: bool = False
    _only_read: bool = False
    _later: list[Change] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._connection, self._driver = await take(self.engine)
        self._recorded_at = self.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._only_read and not self._later:
                await self._end()  # as good as rolled back; but when it rolls back, psycopg forgets what it has prepared
        finally:
            await self._close()

    async def _close(self) -> None:
        """Roll back what was not committed and give the connection back."""
        connection, driver = self._connection, self._driver
        assert connection is not None
        assert driver is not None
        self._connection = self._driver = None
        await give_back(connection, driver)

    @property
    def connection(self) -> AsyncConnection:
        """The open connection of this transaction, once something was sent by it, and while nothing is to be written."""
        connection = self._open
        if self._later or not self._bound:
            raise RuntimeError("the unit of work has something to send first: use its own methods")
        self._only_read = False  # who knows
        return connection

    async def driver(self) -> Driver:
        """psycopg's own connection in this transaction, with nothing left to send: for COPY."""
        await self._send()
        self._only_read = False  # who knows
        assert self._driver is not None
        return self._driver

    @property
    def _open(self) -> AsyncConnection:
        if self._connection is None:
            raise RuntimeError("the unit of work is not open")
        return self._connection

    @property
    def recorded_at(self) -> datetime:
        """The instant (UTC) this transaction records its rows at."""
        assert self._recorded_at is not None
        return self._recorded_at

    async def commit(self) -> None:
        """Commit everything at once, what is still to be written with it."""
        await self._end()

    async def _end(self) -> None:
        await self._send(commit=True)
        if self._open.in_transaction():
            await self._open.commit()  # tells SQLAlchemy what the database knows

    def later(self, change: Change) -> None:
        """Write this with what else is to be written."""
        if not isinstance(change, Write) or change.rows:
            self._later.append(change)

    async def fetch(self, *asked: Asked) -> list[list[Row]]:
        """The rows of several queries, in one round trip. Each query is answered when its turn comes: what comes after one
        that takes a lock sees what was committed until the lock was taken."""
        return await self._send(asked)

    async def flush(self) -> None:
        """Write what is to be written now: to have its locks, or its errors."""
        await self._send()

    async def look(self, *asked: Asked) -> list[list[Row]]:
        """Like `fetch` for a transaction that does nothing else: it ends with this round trip."""
        return await self._send(asked, commit=True)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done inside is undone when it raises; what was to be written before is written."""
        await self._send()
        books = self.books
        try:
            async with self.connection.begin_nested():
                yield
                await self._send()
        except BaseException:
            self._later.clear()
            self.books = books  # a lock taken inside is given back
            raise

    async def execute(
        self, statement: Executable, rows: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement (or one for many rows)."""
        await self._send()
        reads = self._only_read and bool(getattr(statement, "is_select", False))
        connection, self._only_read = self.connection, reads
        return await connection.execute(statement, rows)

    async def _send(self, asked: Sequence[Asked] = (), *, commit: bool = False) -> list[list[Row]]:
        """Bind the transaction to its tenant if it is not yet, write what is to be written, and ask; in one round trip."""
        writes: list[Any] = [] if self._bound else [(BIND, (str(self.tenant_id),))]
        writes += combined(self._later)
        if not (writes or asked or commit):
            return []
        connection = self._open
        assert self._driver is not None
        self._only_read = not (self._later or commit) and (self._only_read or not self._bound)
        try:
            found = await run(self._driver, writes, asked, commit=commit)
        except psycopg.Error as error:
            raise await as_sqlalchemy(connection, error) from error
        self._bound = True
        self._later.clear()
        return found

    async def one(self, statement: Executable, what: str) -> RowMapping:
        """The single row a statement finds. Raises NotFound(what) when there is none."""
        row = (await self.execute(statement)).mappings().one_or_none()
        if row is None:
            raise NotFound(what)
        return row

    async def one_or_none(self, statement: Executable) -> RowMapping | None:
        """The single row a statement finds, or None."""
        return (await self.execute(statement)).mappings().one_or_none()

    async def all(self, statement: Executable) -> Sequence[RowMapping]:
        """Every row a statement finds."""
        return (await self.execute(statement)).mappings().all()

    async def add(self, table: Any, **values: Any) -> UUID:
        """Insert one row of a tenant's table; `id` is made here unless given. Returns the id."""
        row_id: UUID = values.setdefault("id", new_id()) if "id" in table.c else new_id()
        await self.execute(insert(table).values(tenant_id=self.tenant_id, **values))
        return row_id

    async def business_date(self) -> date:
        """The tenant's open business date (read once a transaction)."""
        if self._business_date is None:
            self._business_date = (await self.tenant())["business_date"]
        return self._business_date

    async def tenant(self) -> Row:
        """The tenant's `mode`, its `zone`, and its `business_date` (read once a transaction)."""
        if self._tenant is None:
            (rows,) = await self.fetch(_TENANT(tenant=self.tenant_id))
            if not rows:
                raise NotFound("tenant")
            self._tenant = rows[0]
        return self._tenant

    def hold(self, books: OpenBooks) -> None:
        """The books are held from now on: nobody changes where postings go until this transaction ends."""
        self.books = books
        self._business_date = self._business_date or books.business_date

    async def audit(
        self,
        action: str,
        object_type: str,
        object_id: UUID,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record who did what to which object. `before` and `after` are JSON values without secrets."""
        row = {
            "tenant_id": self.tenant_id,
            "id": new_id(),
            "actor_id": self.actor.id,
            "actor_kind": str(self.actor.kind),
            "action": action,
            "object_type": object_type,
            "object_id": object_id,
            "before": before,
            "after": after,
            "reason": reason,
            "business_date": await self.business_date(),
            "recorded_at": self.recorded_at,
        }
        self.later(Write(audit_log, [row]))

    async def intend(
        self,
        action: str,
        workflow_type: str,
        workflow_id: str,
        payload: dict[str, Any],
        *,
        message_id: str = "",
        message_name: str | None = None,
        search_attributes: dict[str, str] | None = None,
    ) -> UUID:
        """Write a workflow intent: `action` is "start", or "signal" with a `message_name` and a unique `message_id`, or
        "schedule" (at each midnight of payload["zone"], with payload["input"]) with a unique `message_id` a change.

        Delivered after commit, at least once; the unique key makes writing it twice an IntegrityError.
        """
        intent_id = await self.add(
            workflow_intents,
            action=action,
            workflow_type=workflow_type,
            workflow_id=workflow_id,
            message_id=message_id,
            message_name=message_name,
            payload=payload,
            search_attributes=search_attributes or {},
        )
        self.intents.append(intent_id)
        return intent_id

    async def intend_starts(self, workflow_type: str, starts: Sequence[Start]) -> None:
        """Write the intents to start many workflows of one type in one statement; see `intend`."""
        if not starts:
            return
        ids = [new_id() for _ in starts]
        rows = [
            {
                "tenant_id": self.tenant_id,
                "id": intent_id,
                "action": "start",
                "workflow_type": workflow_type,
                "workflow_id": start.workflow_id,
                "payload": start.payload,
                "search_attributes": start.search_attributes,
            }
            for intent_id, start in zip(ids, starts, strict=True)
        ]
        self.later(Write(workflow_intents, rows))
        self.intents.extend(ids)
