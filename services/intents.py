"""Delivery of workflow intents: what a transaction said must start, be told or be scheduled, is so after its commit.

At least once, and until it is done: the process that committed tries at once, in the background; the dispatcher in the
worker tries whatever is still pending. Each row is locked while it is being delivered, so no two try the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, bindparam, case, exists, func, null, or_, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from infra.db.models.processes import workflow_intents
from infra.settings import SettingsError
from infra.temporal import RPC_TIMEOUT, Temporal, readable, typed_search_attributes

log = logging.getLogger(__name__)

BATCH: Final = 100
MAX_BACKOFF_SECONDS: Final = 15
_CONCURRENCY: Final = 20
_CLOSE_SECONDS: Final = 2.0
_MIDNIGHT: Final = ScheduleCalendarSpec()  # every day at 00:00; a midnight skipped by daylight saving waits for the next
_CATCH_UP: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt: delivered, dropped (there is nobody left to tell) or pending (try again later)."""

    status: str
    error: str | None = None


DELIVERED: Final = Outcome("delivered")


class Delivery:
    """One per process. `engine` is the dispatch role's: it sees the intents of every tenant and nothing else."""

    def __init__(self, engine: AsyncEngine, temporal: Temporal) -> None:
        self._engine = engine
        self._temporal = temporal
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_CONCURRENCY)

    def soon(self, tenant_id: UUID, ids: Iterable[UUID]) -> None:
        """Deliver these intents in the background (of very many, the first); never waits, never fails: what does not succeed
        stays pending."""
        wanted = workflow_intents.c.id.in_(tuple(ids)[:BATCH])
        task = asyncio.create_task(self._try((workflow_intents.c.tenant_id == tenant_id) & wanted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run_once(self, limit: int = BATCH) -> int:
        """Try up to `limit` intents that are due, of any tenant; returns how many were tried."""
        return await self._deliver(workflow_intents.c.next_attempt_at <= func.now(), limit)

    async def run_forever(self, poll_seconds: float = 0.5) -> None:
        """The dispatcher's loop, until cancelled. What goes wrong is logged, and tried again."""
        while True:
            try:
                tried = await self.run_once()
            except Exception:
                log.exception("the dispatcher could not read its intents; it goes on")
                tried = 0
            if tried < BATCH:
                await asyncio.sleep(poll_seconds)

    async def close(self) -> None:
        """Give what is under way in the background two seconds, and cancel the rest (it stays pending)."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()

    async def _try(self, wanted: ColumnElement[bool]) -> None:
        try:
            await self._deliver(wanted, BATCH)
        except Exception as error:
            log.warning("intents stay pending for the dispatcher: %s", type(error).__name__)

    async def _deliver(self, wanted: ColumnElement[bool], limit: int) -> int:
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_pending(wanted, limit))).mappings().all()
            if not rows:
                return 0
            rows = sorted(rows, key=lambda row: (row["workflow_id"], row["action"] != "start", row["id"]))
            groups = [list(group) for _, group in groupby(rows, key=lambda row: row["workflow_id"])]
            attempts = await asyncio.gather(*(self._in_order(group) for group in groups))
            results = [result for group in attempts for result in group]
            await connection.execute(_UPDATE, results)
        return len(rows)

    async def _in_order(self, group: Sequence[RowMapping]) -> list[dict[str, Any]]:
        """The intents of one workflow, its start first; a message waits while the start has not succeeded. Those of one
        schedule in the order they were written; each waits for the one before, so that the last one stands."""
        async with self._slots:
            results = []
            ready = not group[0]["leader_pending"]
            for row in group:
                leader = "an earlier change of the schedule" if row["action"] == "schedule" else "the workflow's start"
                outcome = Outcome("pending", f"waits for {leader}")
                if row["action"] == "start" or ready:
                    outcome = await self._one(row)
                if row["action"] != "signal":
                    ready = outcome is DELIVERED
                results.append(
                    {
                        "b_tenant": row["tenant_id"],
                        "b_id": row["id"],
                        "b_status": outcome.status,
                        "b_error": outcome.error and outcome.error[:500],
                    }
                )
            return results

    async def _one(self, row: RowMapping) -> Outcome:
        try:
            async with asyncio.timeout(2 * RPC_TIMEOUT.total_seconds()):
                client = await self._temporal.client()
                match row["action"]:
                    case "start":
                        return await self._start(client, row)
                    case "schedule":
                        return await self._schedule(client, row)
                    case _:
                        return await _signal(client, row)
        except RPCError as error:
            return Outcome("pending", f"{error.status.name}: {error.message}")
        except (TimeoutError, RuntimeError, SettingsError) as error:  # RuntimeError: the SDK could not connect
            return Outcome("pending", str(error) or "Temporal did not answer in time")
        except Exception as error:  # one that cannot be sent must not stop the others of its batch
            log.exception("intent %s cannot be sent", row["id"])
            return Outcome("pending", f"{type(error).__name__}: {error}")

    async def _start(self, client: Client, row: RowMapping) -> Outcome:
        try:
            await client.start_workflow(
                row["workflow_type"],
                row["payload"],
                id=row["workflow_id"],
                task_queue=self._temporal.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=typed_search_attributes(row["search_attributes"]),
                static_summary=_summary(row),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return DELIVERED
        return DELIVERED

    async def _schedule(self, client: Client, row: RowMapping) -> Outcome:
        """Start the workflow at each midnight of a zone, one after the other. A schedule that is there already takes over
        what is wanted now; that an operator has paused it stays."""
        attributes = typed_search_attributes(row["search_attributes"])
        kind = row["search_attributes"]["WorkflowKind"]
        wanted = Schedule(
            action=ScheduleActionStartWorkflow(
                row["workflow_type"],
                row["payload"]["input"],
                id=f"{kind}/{row['workflow_id'].partition('/')[2]}",  # Temporal appends the instant
                task_queue=self._temporal.task_queue,
                typed_search_attributes=attributes,
                static_summary=_summary(row),
            ),
            spec=ScheduleSpec(calendars=[_MIDNIGHT], time_zone_name=row["payload"]["zone"]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL, catchup_window=_CATCH_UP),
        )
        try:
            await client.create_schedule(row["workflow_id"], wanted, search_attributes=attributes, rpc_timeout=RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(row["workflow_id"]).update(
                lambda found: ScheduleUpdate(replace(wanted, state=found.description.schedule.state)),
                rpc_timeout=RPC_TIMEOUT,
            )
        return DELIVERED


def _summary(row: RowMapping) -> str:
    kind = row["search_attributes"].get("WorkflowKind", row["workflow_type"])
    return readable(f"{kind} {row['workflow_id'].partition('/')[2]}")


async def _signal(client: Client, row: RowMapping) -> Outcome:
    handle = client.get_workflow_handle(row["workflow_id"])
    payload = [row["payload"]] if row["payload"] else []
    try:
        await handle.signal(row["message_name"], args=payload, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Outcome("dropped", "the workflow is closed: it needs no message")
        raise
    return DELIVERED


def _pending(wanted: ColumnElement[bool], limit: int) -> Any:
    """Pending intents, locked. Whether what comes before them (the start of their workflow, an earlier change of their
    schedule) is pending is read before anything is sent: so a message that then finds no workflow has come after its end,
    not before its beginning."""
    table, leader = workflow_intents, workflow_intents.alias("leader")
    leader_pending = exists().where(
        leader.c.tenant_id == table.c.tenant_id,
        leader.c.workflow_id == table.c.workflow_id,
        leader.c.status == "pending",
        or_(leader.c.action == "start", and_(leader.c.action == "schedule", leader.c.id < table.c.id)),
    )
    return (
        select(table, leader_pending.label("leader_pending"))
        .where(table.c.status == "pending", wanted)
        .order_by(table.c.next_attempt_at)
        .limit(limit)
        .with_for_update(of=table, skip_locked=True)
    )


_UPDATE: Final = (
    update(workflow_intents)
    .where(workflow_intents.c.tenant_id == bindparam("b_tenant"), workflow_intents.c.id == bindparam("b_id"))
    .values(
        status=bindparam("b_status"),
        last_error=bindparam("b_error"),
        attempts=workflow_intents.c.attempts + 1,
        next_attempt_at=text(
            f"now() + least({MAX_BACKOFF_SECONDS}, 0.5 * power(2, least(workflow_intents.attempts, 10))) * interval '1 s'"
        ),
        delivered_at=case((bindparam("b_status", type_=String) == "pending", null()), else_=func.now()),
    )
)
