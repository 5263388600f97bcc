"""Webhooks at the edge: endpoints, the event feed, deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Count, Date, Name, Schema
from domain.webhooks import MAX_URL, SUBSCRIBABLE, DeliveryStatus, EndpointStatus, WebhookType
from services.webhooks import MAX_OVERLAP

Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
Subscribable = Literal[SUBSCRIBABLE]  # type: ignore[valid-type]
EventTypes = Annotated[list[Subscribable], Field(min_length=1, max_length=len(SUBSCRIBABLE))]

_URL = "https, without user or fragment; where its name leads is looked at whenever something is sent"
_TYPES = "which events are sent; null: all, also those there will be"


class WebhookEndpointIn(Schema):
    url: Url = Field(description=_URL, examples=["https://example.com/hooks/perdiem"])
    event_types: EventTypes | None = Field(None, description=_TYPES)
    description: Name | None = None


class WebhookEndpointPatch(Schema):
    """What is left out stays as it is."""

    url: Url = Field("", description=_URL, examples=["https://example.com/hooks/perdiem"])
    event_types: EventTypes | None = Field(None, description=_TYPES)
    description: Name | None = None
    status: EndpointStatus = Field(
        EndpointStatus.ACTIVE, description="active again: what was cancelled is not sent by itself"
    )


class WebhookEndpoint(Schema):
    """`failing_since`: since when nothing was delivered. `previous_secret_until`: until when the former secret signs too."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    status: EndpointStatus
    disabled_reason: str | None
    failing_since: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookEndpointWithSecret(WebhookEndpoint):
    secret: str | None = Field(
        description="what signs from now on. It is shown this once: the same request again, by its Idempotency-Key, "
        "answers null; then rotate it"
    )


class RotateSecret(Schema):
    overlap_hours: Count = Field(
        24, ge=0, le=int(MAX_OVERLAP.total_seconds()) // 3600, description="for how long the former secret signs too"
    )


class WebhookEvent(Schema):
    """An event, as it is sent. `loan_event_number`: the number of the loan's last event then; a higher one is later."""

    id: UUID
    type: WebhookType
    occurred_at: datetime
    business_date: Date
    loan_id: UUID | None
    payment_id: UUID | None
    loan_event_number: int | None
    data: dict[str, Any] = Field(description="by type: see docs/webhooks.md")


class EventPage(Schema):
    """Events in order. `next_cursor` continues after the last of them, also later, when there are more; null at the very
    beginning only. `has_more`: whether there are more already."""

    items: list[WebhookEvent]
    next_cursor: str | None
    has_more: bool


class WebhookDelivery(Schema):
    """One event on its way to one endpoint. `replay_of`: the delivery that this one repeats."""

    id: UUID
    event_id: UUID
    event_type: str
    endpoint_id: UUID
    replay_of: UUID | None
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None
    last_reason: str | None
    next_attempt_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class WebhookAttempt(Schema):
    """`status_code` null: there was no answer. `reason` is ours: nothing of an answer's body is kept."""

    number: int
    attempted_at: datetime
    status_code: int | None
    latency_ms: int
    reason: str


class WebhookDeliveryDetail(WebhookDelivery):
    history: list[WebhookAttempt]
