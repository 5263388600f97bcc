"""Webhook events, endpoints and deliveries, as the services write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, insert, select, update
from sqlalchemy.engine import RowMapping

from infra.db.bulk import insert_rows
from infra.db.models.webhooks import webhook_attempts, webhook_deliveries, webhook_endpoints, webhook_events
from infra.db.uow import UnitOfWork

_LISTENS: Final = (webhook_endpoints.c.status == "active", webhook_endpoints.c.removed_at.is_(None))

HAS_LISTENERS: Final = exists(select(webhook_endpoints.c.id).where(*_LISTENS))
"""Whether the tenant has an active endpoint: selected along with a loan, so that a tenant without one pays no statement
for it (row-level security narrows it to the tenant)."""


async def has_listeners(uow: UnitOfWork) -> bool:
    """Whether the tenant has an active endpoint."""
    return bool((await uow.execute(select(HAS_LISTENERS))).scalar_one())


async def listeners(uow: UnitOfWork) -> Sequence[RowMapping]:
    """The active endpoints (`id`, `event_types`), in the order of their ids."""
    columns = (webhook_endpoints.c.id, webhook_endpoints.c.event_types)
    return await uow.all(select(*columns).where(*_LISTENS).order_by(webhook_endpoints.c.id))


async def add_events(uow: UnitOfWork, rows: list[dict[str, Any]]) -> None:
    """Write events, all of the same columns."""
    await insert_rows(uow, webhook_events, rows)


async def add_deliveries(uow: UnitOfWork, rows: list[dict[str, Any]]) -> None:
    """Write deliveries, all of the same columns."""
    await insert_rows(uow, webhook_deliveries, rows)


async def endpoint(uow: UnitOfWork, endpoint_id: UUID, *, lock: bool = False) -> RowMapping:
    """An endpoint that was not removed. Raises NotFound. `lock` keeps no delivery from being written for it."""
    table = webhook_endpoints
    statement = select(table).where(table.c.id == endpoint_id, table.c.removed_at.is_(None))
    return await uow.one(statement.with_for_update(key_share=True) if lock else statement, "webhook endpoint")


async def count_endpoints(uow: UnitOfWork) -> int:
    """How many endpoints the tenant has."""
    table = webhook_endpoints
    return len(await uow.all(select(table.c.id).where(table.c.removed_at.is_(None))))


async def change_endpoint(uow: UnitOfWork, endpoint_id: UUID, **values: Any) -> None:
    """Write new values to an endpoint."""
    table = webhook_endpoints
    await uow.execute(update(table).where(table.c.id == endpoint_id).values(updated_at=uow.recorded_at, **values))


async def delivery(uow: UnitOfWork, delivery_id: UUID, *, lock: bool = False) -> RowMapping:
    """A delivery. Raises NotFound."""
    table = webhook_deliveries
    statement = select(table).where(table.c.id == delivery_id)
    return await uow.one(statement.with_for_update() if lock else statement, "webhook delivery")


async def event(uow: UnitOfWork, event_id: UUID) -> RowMapping:
    """An event. Raises NotFound."""
    return await uow.one(select(webhook_events).where(webhook_events.c.id == event_id), "event")


async def endpoint_of(uow: UnitOfWork, row: RowMapping, *, lock: bool = False) -> RowMapping:
    """The endpoint of a delivery, also one that was removed."""
    statement = select(webhook_endpoints).where(webhook_endpoints.c.id == row["endpoint_id"])
    return await uow.one(statement.with_for_update(key_share=True) if lock else statement, "webhook endpoint")


async def change_delivery(uow: UnitOfWork, delivery_id: UUID, **values: Any) -> None:
    """Write new values to a delivery."""
    await uow.execute(update(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id).values(**values))


async def add_attempt(
    uow: UnitOfWork,
    delivery_id: UUID,
    number: int,
    *,
    attempted_at: datetime,
    status_code: int | None,
    latency_ms: int,
    reason: str,
) -> None:
    """Write what an attempt got."""
    values = {
        "tenant_id": uow.tenant_id,
        "delivery_id": delivery_id,
        "number": number,
        "attempted_at": attempted_at,
        "status_code": status_code,
        "latency_ms": latency_ms,
        "reason": reason,
    }
    await uow.execute(insert(webhook_attempts).values(values))
