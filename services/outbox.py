"""The outbox: what happened is written in the transaction of its cause, and its deliveries start after the commit.

One INSERT for all that a transaction tells. Where nobody listens that is all; the events are the feed all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from domain.happenings import Happening
from domain.webhooks import DeliveryStatus
from infra.db.repositories import webhooks as repository
from infra.db.uow import Start, UnitOfWork
from infra.ids import new_id

WORKFLOW_TYPE: Final = "WebhookWorkflow"


def workflow_id(delivery_id: UUID) -> str:
    """The id of a delivery's workflow."""
    return f"webhook-delivery/{delivery_id}"


Told = tuple[UUID, int, Happening]
"""A loan, the number of its last event, and what happened to it."""


async def tell(uow: UnitOfWork, told: Sequence[Told], *, has_listeners: bool | None = None) -> None:
    """Write events in the order given, and a delivery to each endpoint that wants them.

    `has_listeners`: whether the tenant has an active endpoint, where the caller knows; None looks. An endpoint that is
    made at this very moment may not be found: it begins with the next event.
    """
    if not told:
        return
    business_date = await uow.business_date()
    rows = [event_row(uow, business_date, *item) for item in told]
    await repository.add_events(uow, rows)
    if await repository.has_listeners(uow) if has_listeners is None else has_listeners:
        endpoints = await repository.listeners(uow)
        wanted = [(row, at["id"]) for row in rows for at in endpoints if at["event_types"] is None or _chosen(row, at)]
        await deliver(uow, wanted)


def event_row(
    uow: UnitOfWork, business_date: date, loan_id: UUID | None, number: int | None, happening: Happening
) -> dict[str, Any]:
    """The row of an event that is recorded now."""
    return {
        "tenant_id": uow.tenant_id,
        "id": new_id(),
        "type": str(happening.type),
        "loan_id": loan_id,
        "payment_id": None if happening.payment_id is None else UUID(happening.payment_id),
        "loan_event_number": number,
        "occurred_at": uow.recorded_at,
        "business_date": business_date,
        "data": happening.data,
    }


async def deliver(uow: UnitOfWork, wanted: Sequence[tuple[Any, UUID]], replay_of: UUID | None = None) -> list[UUID]:
    """Write a delivery for each event (its row) and endpoint; each has a process that starts after the commit. Returns
    their ids."""
    deliveries = [
        {
            "tenant_id": uow.tenant_id,
            "id": new_id(),
            "event_id": event["id"],
            "endpoint_id": endpoint_id,
            "replay_of": replay_of,
            "status": str(DeliveryStatus.PENDING),
            "next_attempt_at": uow.recorded_at,
            "created_at": uow.recorded_at,
        }
        for event, endpoint_id in wanted
    ]
    await repository.add_deliveries(uow, deliveries)
    starts = [_start(uow, event, row["id"]) for (event, _), row in zip(wanted, deliveries, strict=True)]
    await uow.intend_starts(WORKFLOW_TYPE, starts)
    return [row["id"] for row in deliveries]


def _start(uow: UnitOfWork, event: Any, delivery_id: UUID) -> Start:
    attributes = {
        "TenantId": str(uow.tenant_id),
        "WorkflowKind": "webhook-delivery",
        "BusinessDate": event["business_date"].isoformat(),
        "Stage": str(DeliveryStatus.PENDING),
    }
    if event["loan_id"] is not None:
        attributes["LoanId"] = str(event["loan_id"])
    payload = {"tenant_id": str(uow.tenant_id), "delivery_id": str(delivery_id)}
    return Start(workflow_id(delivery_id), payload, attributes)


def _chosen(event: dict[str, Any], endpoint: Any) -> bool:
    return event["type"] in endpoint["event_types"]
