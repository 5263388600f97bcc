"""The unit of work: one transaction of one tenant. Leaving without `commit()` rolls back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Executable, insert, select, text
from sqlalchemy.engine import CursorResult, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import NotFound
from infra.clock import Clock, utc_now
from infra.db.models.processes import workflow_intents
from infra.db.models.tenancy import audit_log, tenants
from infra.ids import new_id


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
    """

    engine: AsyncEngine
    tenant_id: UUID
    actor: Actor
    clock: Clock = utc_now
    intents: list[UUID] = field(default_factory=list)
    _connection: AsyncConnection | None = None
    _recorded_at: datetime | None = None
    _business_date: date | None = None

    async def __aenter__(self) -> Self:
        self._connection = await self.engine.connect()
        try:
            await set_tenant(self._connection, self.tenant_id)
        except BaseException:
            await self._close()
            raise
        self._recorded_at = self.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        """Roll back what was not committed and give the connection back, even while the task is being cancelled:
        otherwise each cancellation in the wrong moment would cost the pool one connection for good."""
        assert self._connection is not None
        closing = asyncio.ensure_future(self._connection.close())
        self._connection = None
        await asyncio.shield(closing)

    @property
    def connection(self) -> AsyncConnection:
        """The open connection of this transaction."""
        if self._connection is None:
            raise RuntimeError("the unit of work is not open")
        return self._connection

    @property
    def recorded_at(self) -> datetime:
        """The instant (UTC) this transaction records its rows at."""
        assert self._recorded_at is not None
        return self._recorded_at

    async def commit(self) -> None:
        """Commit everything at once."""
        await self.connection.commit()

    async def execute(
        self, statement: Executable, rows: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement (or one for many rows)."""
        return await self.connection.execute(statement, rows)

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
            row = await self.one(select(tenants.c.business_date).where(tenants.c.id == self.tenant_id), "tenant")
            self._business_date = row["business_date"]
        return self._business_date

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
        await self.add(
            audit_log,
            actor_id=self.actor.id,
            actor_kind=str(self.actor.kind),
            action=action,
            object_type=object_type,
            object_id=object_id,
            before=before,
            after=after,
            reason=reason,
            business_date=await self.business_date(),
            recorded_at=self.recorded_at,
        )

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
        await self.execute(insert(workflow_intents), rows)
        self.intents.extend(ids)


async def set_tenant(connection: AsyncConnection, tenant_id: UUID) -> None:
    """Bind the current transaction to a tenant; the binding ends with the transaction."""
    await connection.execute(text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant_id)})
