"""Webhooks: the event feed, the endpoints events are sent to, and what became of each delivery."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.engine import RowMapping

from api.commands import Answer, execute
from api.deps import Admin, Viewer
from api.pagination import DEFAULT_LIMIT, MAX_LIMIT, Page, Paging, make_page
from api.schemas.webhooks import (
    EventPage,
    RotateSecret,
    WebhookAttempt,
    WebhookDelivery,
    WebhookDeliveryDetail,
    WebhookEndpoint,
    WebhookEndpointIn,
    WebhookEndpointPatch,
    WebhookEndpointWithSecret,
    WebhookEvent,
)
from domain.errors import InvalidInput
from domain.webhooks import DeliveryStatus, WebhookType
from infra.db.queries import webhooks as queries
from infra.db.uow import UnitOfWork
from services import webhooks as service

router = APIRouter(tags=["webhooks"])

_CURSOR = struct.Struct(">Q16s")


@router.get("/events")
async def list_events(
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="events a page")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")] = None,
    type: WebhookType | None = None,
    loan_id: UUID | None = None,
) -> EventPage:
    """Everything that happened, oldest first. Who has missed webhooks goes on from the last cursor, and misses nothing: an
    event is listed once all that were recorded before it are."""
    after = None if cursor is None else _decode(cursor)
    async with caller.uow() as uow:
        rows = await uow.all(queries.feed(queries.EventFilter(type, loan_id), after, limit))
    shown = rows[:limit]
    following = _encode(shown[-1]) if shown else cursor
    return EventPage(items=[_event(row) for row in shown], next_cursor=following, has_more=len(rows) > limit)


@router.get("/events/{event_id}")
async def get_event(event_id: UUID, caller: Viewer) -> WebhookEvent:
    """One event, as it was sent."""
    async with caller.uow() as uow:
        return _event(await uow.one(queries.event(event_id), "event"))


@router.get("/webhook-endpoints")
async def list_webhook_endpoints(caller: Admin, paging: Paging) -> Page[WebhookEndpoint]:
    """Endpoints, newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.endpoints(paging.after, paging.limit))
    return make_page(rows, paging, lambda row: WebhookEndpoint(**row))


@router.post("/webhook-endpoints", status_code=201, response_model=WebhookEndpointWithSecret)
async def add_webhook_endpoint(body: WebhookEndpointIn, request: Request, caller: Admin) -> Response:
    """Have events sent to a URL from now on. The answer has the secret that signs them: keep it, it is not shown again."""
    command = service.NewEndpoint(body.url, body.event_types, body.description)

    async def action(uow: UnitOfWork) -> Answer:
        endpoint_id, secret = await service.add(uow, caller.vault, command, insecure=_insecure(request))
        return await _with_secret(uow, endpoint_id, secret, 201)

    return await execute(request, caller, action)


@router.get("/webhook-endpoints/{endpoint_id}")
async def get_webhook_endpoint(endpoint_id: UUID, caller: Admin) -> WebhookEndpoint:
    """One endpoint."""
    async with caller.uow() as uow:
        return await _endpoint(uow, endpoint_id)


@router.patch("/webhook-endpoints/{endpoint_id}", response_model=WebhookEndpoint)
async def change_webhook_endpoint(
    endpoint_id: UUID, body: WebhookEndpointPatch, request: Request, caller: Admin
) -> Response:
    """Change where events are sent, which, or whether. Deliveries under way go to the new URL."""
    changes = body.model_dump(include=body.model_fields_set)

    async def action(uow: UnitOfWork) -> WebhookEndpoint:
        await service.change(uow, endpoint_id, changes, insecure=_insecure(request))
        return await _endpoint(uow, endpoint_id)

    return await execute(request, caller, action, status=200)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204)
async def remove_webhook_endpoint(endpoint_id: UUID, request: Request, caller: Admin) -> Response:
    """Send nothing to an endpoint any more; what was sent stays to be seen among the deliveries."""

    async def action(uow: UnitOfWork) -> None:
        await service.remove(uow, endpoint_id)

    return await execute(request, caller, action, status=204)


@router.post("/webhook-endpoints/{endpoint_id}/rotate-secret", response_model=WebhookEndpointWithSecret)
async def rotate_webhook_secret(endpoint_id: UUID, body: RotateSecret, request: Request, caller: Admin) -> Response:
    """Sign with a new secret, and for a while with the former one too, so that no delivery is refused meanwhile."""

    async def action(uow: UnitOfWork) -> Answer:
        overlap = timedelta(hours=body.overlap_hours)
        secret = await service.rotate_secret(uow, caller.vault, endpoint_id, overlap)
        return await _with_secret(uow, endpoint_id, secret, 200)

    return await execute(request, caller, action, status=200)


@router.post("/webhook-endpoints/{endpoint_id}/test", status_code=202, response_model=WebhookDelivery)
async def test_webhook_endpoint(endpoint_id: UUID, request: Request, caller: Admin) -> Response:
    """Send a ping, whatever the endpoint has chosen. What became of it is read from the delivery."""

    async def action(uow: UnitOfWork) -> WebhookDelivery:
        return await _delivery(uow, await service.ping(uow, endpoint_id))

    return await execute(request, caller, action, status=202)


def _narrow(
    endpoint_id: UUID | None = None,
    status: DeliveryStatus | None = None,
    event_type: WebhookType | None = None,
    event_id: UUID | None = None,
) -> queries.DeliveryFilter:
    return queries.DeliveryFilter(endpoint_id, status, event_type, event_id)


@router.get("/webhook-deliveries")
async def list_webhook_deliveries(
    caller: Admin, paging: Paging, narrow: Annotated[queries.DeliveryFilter, Depends(_narrow)]
) -> Page[WebhookDelivery]:
    """Deliveries, newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.deliveries(narrow, paging.after, paging.limit))
    return make_page(rows, paging, _delivery_out)


@router.get("/webhook-deliveries/{delivery_id}")
async def get_webhook_delivery(delivery_id: UUID, caller: Admin) -> WebhookDeliveryDetail:
    """A delivery with each of its attempts."""
    async with caller.uow() as uow:
        found = await _delivery(uow, delivery_id)
        rows = await uow.all(queries.attempts(delivery_id))
    names = WebhookAttempt.model_fields
    history = [WebhookAttempt(**{name: row[name] for name in names}) for row in rows]
    return WebhookDeliveryDetail(**found.model_dump(), history=history)


@router.post("/webhook-deliveries/{delivery_id}/replay", status_code=202, response_model=WebhookDelivery)
async def replay_webhook_delivery(delivery_id: UUID, request: Request, caller: Admin) -> Response:
    """Send the same event to the same endpoint once more, as a delivery of its own with the same event id."""

    async def action(uow: UnitOfWork) -> WebhookDelivery:
        return await _delivery(uow, await service.replay(uow, delivery_id))

    return await execute(request, caller, action, status=202)


def _insecure(request: Request) -> bool:
    allowed: bool = request.app.state.settings.webhook_insecure
    return allowed


async def _endpoint(uow: UnitOfWork, endpoint_id: UUID) -> WebhookEndpoint:
    return WebhookEndpoint(**await uow.one(queries.endpoint(endpoint_id), "webhook endpoint"))


async def _with_secret(uow: UnitOfWork, endpoint_id: UUID, secret: str, status: int) -> Answer:
    shown = (await _endpoint(uow, endpoint_id)).model_dump()
    return Answer(WebhookEndpointWithSecret(**shown, secret=secret), status, WebhookEndpointWithSecret(**shown, secret=None))


async def _delivery(uow: UnitOfWork, delivery_id: UUID) -> WebhookDelivery:
    return _delivery_out(await uow.one(queries.delivery(delivery_id), "webhook delivery"))


def _delivery_out(row: RowMapping) -> WebhookDelivery:
    return WebhookDelivery(**{name: row[name] for name in WebhookDelivery.model_fields})


def _event(row: RowMapping) -> WebhookEvent:
    return WebhookEvent(**{name: row[name] for name in WebhookEvent.model_fields})


def _encode(row: RowMapping) -> str:
    return base64.urlsafe_b64encode(_CURSOR.pack(row["recorded_in"], row["id"].bytes)).decode()


def _decode(cursor: str) -> queries.Position:
    """The place a cursor continues after. Raises InvalidInput for anything we did not hand out."""
    try:
        recorded_in, event_id = _CURSOR.unpack(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, struct.error):
        recorded_in, event_id = 1 << 63, b""
    if recorded_in >= 1 << 63:
        raise InvalidInput.at("/cursor", "must be a next_cursor of an earlier page", code="invalid_cursor")
    return recorded_in, UUID(bytes=event_id)
