"""One attempt of a delivery: what is sent, and what its answer makes of the delivery and of its endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.webhooks import (
    DISABLE_AFTER,
    MAX_ATTEMPTS,
    DeliveryStatus,
    EndpointStatus,
    Progress,
    WebhookEvent,
    body_of,
    retry_delay,
    signature,
)
from infra.crypto import Vault
from infra.db.repositories import webhooks as repository
from infra.db.uow import UnitOfWork
from infra.webhook_sender import Answer
from services.webhooks import disable, place_of_secret


@dataclass(frozen=True, slots=True)
class Message:
    """What an attempt sends, signed at `sent_at` (UTC)."""

    url: str
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    sent_at: datetime


async def prepare(uow: UnitOfWork, vault: Vault, delivery_id: UUID) -> Message | Progress:
    """What to send now, or that nothing is: the delivery is over, or its endpoint takes nothing any more, which cancels it.

    Raises NotFound.
    """
    row = await repository.delivery(uow, delivery_id, lock=True)
    if row["status"] != DeliveryStatus.PENDING:
        return Progress(DeliveryStatus(row["status"]), row["attempts"])
    endpoint = await repository.endpoint_of(uow, row)
    gone = "removed" if endpoint["removed_at"] else "disabled" if endpoint["status"] != EndpointStatus.ACTIVE else None
    if gone:
        await _finish(uow, row, DeliveryStatus.CANCELLED, last_reason=f"the endpoint is {gone}")
        return Progress(DeliveryStatus.CANCELLED, row["attempts"])
    body = body_of(event_of(await repository.event(uow, row["event_id"])))
    timestamp = int(uow.recorded_at.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Perdiem-Webhooks/1",
        "Perdiem-Event-Id": str(row["event_id"]),
        "Perdiem-Timestamp": str(timestamp),
        "Perdiem-Signature": signature(_secrets(uow, vault, endpoint), timestamp, body),
    }
    return Message(endpoint["url"], body, headers, uow.recorded_at)


async def conclude(uow: UnitOfWork, delivery_id: UUID, sent_at: datetime, answer: Answer) -> Progress:
    """Record an attempt, and what follows from it: delivered, to be tried again, or given up.

    2xx delivers. 410 gives up at once and disables the endpoint; so does an endpoint that has only failed for
    DISABLE_AFTER. A delivery that another attempt has ended meanwhile stays what it is. Raises NotFound.
    """
    row = await repository.delivery(uow, delivery_id, lock=True)
    attempts = row["attempts"] + 1
    await repository.add_attempt(
        uow,
        delivery_id,
        attempts,
        attempted_at=sent_at,
        status_code=answer.status_code,
        latency_ms=answer.latency_ms,
        reason=answer.reason,
    )
    got = {"attempts": attempts, "last_status_code": answer.status_code, "last_reason": answer.reason}
    if row["status"] != DeliveryStatus.PENDING:
        await repository.change_delivery(uow, delivery_id, attempts=attempts)
        return Progress(DeliveryStatus(row["status"]), attempts)
    if answer.status_code is not None and 200 <= answer.status_code < 300:
        await _finish(uow, row, DeliveryStatus.DELIVERED, **got)
        if (await repository.endpoint_of(uow, row))["failing_since"] is not None:
            await repository.change_endpoint(uow, row["endpoint_id"], failing_since=None)
        return Progress(DeliveryStatus.DELIVERED, attempts)
    await _failed(uow, await repository.endpoint_of(uow, row, lock=True), answer)
    if answer.status_code == HTTPStatus.GONE or attempts >= MAX_ATTEMPTS:
        await _finish(uow, row, DeliveryStatus.FAILED, **got)
        return Progress(DeliveryStatus.FAILED, attempts)
    retry_in = retry_delay(delivery_id, attempts)
    await repository.change_delivery(uow, delivery_id, next_attempt_at=uow.recorded_at + timedelta(seconds=retry_in), **got)
    return Progress(DeliveryStatus.PENDING, attempts, retry_in)


def event_of(row: RowMapping) -> WebhookEvent:
    """An event from its row."""
    return WebhookEvent(**{item.name: row[item.name] for item in fields(WebhookEvent)})


async def _failed(uow: UnitOfWork, endpoint: RowMapping, answer: Answer) -> None:
    """Remember since when an endpoint fails; disable one that says it is gone, or has failed for too long."""
    if endpoint["removed_at"] is not None or endpoint["status"] != EndpointStatus.ACTIVE:
        return
    since: datetime = endpoint["failing_since"] or uow.recorded_at
    if answer.status_code == HTTPStatus.GONE:
        await disable(uow, endpoint, "it answered 410 Gone")
    elif uow.recorded_at - since >= DISABLE_AFTER:
        await disable(uow, endpoint, f"nothing was delivered for {DISABLE_AFTER.days} days")
    elif endpoint["failing_since"] is None:
        await repository.change_endpoint(uow, endpoint["id"], failing_since=since)


async def _finish(uow: UnitOfWork, row: RowMapping, status: DeliveryStatus, **got: object) -> None:
    values = {"status": str(status), "finished_at": uow.recorded_at, "next_attempt_at": None}
    await repository.change_delivery(uow, row["id"], **values, **got)


def _secrets(uow: UnitOfWork, vault: Vault, endpoint: RowMapping) -> list[str]:
    """The secrets that count now: the newest first, and the one before it while the rotation overlaps."""
    sealed = [endpoint["secret"]]
    if endpoint["previous_secret"] is not None and uow.recorded_at < endpoint["previous_secret_until"]:
        sealed.append(endpoint["previous_secret"])
    place = place_of_secret(uow.tenant_id, endpoint["id"])
    return [vault.decrypt(bytes(item), place) for item in sealed]
