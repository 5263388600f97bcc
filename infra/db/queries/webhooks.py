"""Reads of the event feed, of webhook endpoints and of their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Select, Uuid, literal, literal_column, or_, select, tuple_

from infra.db.models.webhooks import webhook_attempts, webhook_deliveries, webhook_endpoints, webhook_events
from infra.db.queries.paging import newest_first

Position = tuple[int, UUID]
"""A place in the feed: the transaction an event was written in, and its id."""

_RUNNING: Final = literal_column("(pg_snapshot_xmin(pg_current_snapshot()))::text::bigint", BigInteger)
_UNBEGUN: Final = literal_column("(pg_snapshot_xmax(pg_current_snapshot()))::text::bigint", BigInteger)

_SHOWN: Final = tuple(
    column for column in webhook_endpoints.c if column.name not in ("tenant_id", "secret", "previous_secret", "removed_at")
)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What the feed is narrowed to; None does not narrow."""

    type: str | None = None
    loan_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What a list of deliveries is narrowed to; None does not narrow."""

    endpoint_id: UUID | None = None
    status: str | None = None
    event_type: str | None = None
    event_id: UUID | None = None


def feed(narrow: EventFilter, after: Position | None, limit: int) -> Select[Any]:
    """`limit` + 1 events after a place in the feed, oldest first.

    In the order of transactions, and none whose transaction, or one begun before it, still runs: so nothing can appear
    before a place that was read. (A transaction from after the snapshot is one of a cluster this data was restored from.)
    """
    column = webhook_events.c
    statement = select(webhook_events).where(or_(column.recorded_in < _RUNNING, column.recorded_in >= _UNBEGUN))
    for name in ("type", "loan_id"):
        value = getattr(narrow, name)
        if value is not None:
            statement = statement.where(column[name] == value)
    if after is not None:
        place = tuple_(literal(after[0], BigInteger), literal(after[1], Uuid))
        statement = statement.where(tuple_(column.recorded_in, column.id) > place)
    return statement.order_by(column.recorded_in, column.id).limit(limit + 1)


def event(event_id: UUID) -> Select[Any]:
    """One event."""
    return select(webhook_events).where(webhook_events.c.id == event_id)


def endpoints(after: UUID | None, limit: int) -> Select[Any]:
    """Endpoints, newest first, without their secrets."""
    statement = select(*_SHOWN).where(webhook_endpoints.c.removed_at.is_(None))
    return newest_first(statement, webhook_endpoints.c.id, after, limit)


def endpoint(endpoint_id: UUID) -> Select[Any]:
    """One endpoint without its secrets."""
    table = webhook_endpoints
    return select(*_SHOWN).where(table.c.id == endpoint_id, table.c.removed_at.is_(None))


def _deliveries() -> Select[Any]:
    return select(webhook_deliveries, webhook_events.c.type.label("event_type")).join(
        webhook_events, webhook_events.c.id == webhook_deliveries.c.event_id
    )


def deliveries(narrow: DeliveryFilter, after: UUID | None, limit: int) -> Select[Any]:
    """Deliveries with their `event_type`, newest first."""
    statement = _deliveries()
    for name in ("endpoint_id", "status", "event_id"):
        value = getattr(narrow, name)
        if value is not None:
            statement = statement.where(webhook_deliveries.c[name] == value)
    if narrow.event_type is not None:
        statement = statement.where(webhook_events.c.type == narrow.event_type)
    return newest_first(statement, webhook_deliveries.c.id, after, limit)


def delivery(delivery_id: UUID) -> Select[Any]:
    """One delivery with its `event_type`."""
    return _deliveries().where(webhook_deliveries.c.id == delivery_id)


def attempts(delivery_id: UUID) -> Select[Any]:
    """The attempts of a delivery, in order."""
    table = webhook_attempts
    return select(table).where(table.c.delivery_id == delivery_id).order_by(table.c.number)
