"""Webhook endpoints: add, change, rotate the secret, test, remove; and replay what was sent to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.errors import InvalidInput, WrongState
from domain.happenings import Happening
from domain.webhooks import DeliveryStatus, EndpointStatus, WebhookType, check_url
from infra.crypto import Vault
from infra.db import locks
from infra.db.models.webhooks import webhook_endpoints
from infra.db.repositories import webhooks as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from infra.webhook_sender import new_secret
from services import outbox

MAX_ENDPOINTS: Final = 20
"""Endpoints a tenant may have: each event costs a delivery and a process for each."""

MAX_OVERLAP: Final = timedelta(days=7)

OVERDUE: Final = timedelta(hours=1)
"""So long after its next attempt should have been, a delivery that is still pending may be replayed."""

_FACTS: Final = ("url", "description", "event_types", "status", "disabled_reason")


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """Where events are sent. `event_types` None: all, also those there will be."""

    url: str
    event_types: Sequence[WebhookType] | None = None
    description: str | None = None


def place_of_secret(tenant_id: UUID, endpoint_id: UUID) -> str:
    """What the ciphertext of an endpoint's secrets is bound to."""
    return f"webhook_endpoints.secret/{tenant_id}/{endpoint_id}"


async def add(uow: UnitOfWork, vault: Vault, command: NewEndpoint, *, insecure: bool) -> tuple[UUID, str]:
    """Add an active endpoint; returns its id and its secret, which nobody can read again.

    `insecure`: see domain.webhooks.check_url. Raises InvalidInput at /url, WrongState when there are MAX_ENDPOINTS.
    """
    check_url(command.url, insecure=insecure)
    await locks.hold_alone(uow, locks.WEBHOOK_ENDPOINTS)  # of many at once each counts what those before it have added
    count = await repository.count_endpoints(uow)
    if count >= MAX_ENDPOINTS:
        detail = f"There are {count} webhook endpoints, which is the most there can be: remove one first."
        raise WrongState(detail, state=str(count), allowed=["remove"], code="too_many_endpoints")
    endpoint_id, secret = new_id(), new_secret()
    values: dict[str, Any] = {
        "url": command.url,
        "description": command.description,
        "event_types": _types(command.event_types),
        "status": str(EndpointStatus.ACTIVE),
    }
    sealed = vault.encrypt(secret, place_of_secret(uow.tenant_id, endpoint_id))
    instants = {"created_at": uow.recorded_at, "updated_at": uow.recorded_at}
    await uow.add(webhook_endpoints, id=endpoint_id, secret=sealed, **instants, **values)
    await uow.audit("webhook_endpoint.added", "webhook_endpoint", endpoint_id, after=values)
    return endpoint_id, secret


async def change(uow: UnitOfWork, endpoint_id: UUID, changes: dict[str, Any], *, insecure: bool) -> None:
    """Change what is given of `url`, `event_types` (None: all), `description` and `status`. Made active again, an endpoint
    begins anew: what was cancelled meanwhile is replayed by hand, or read from the feed.

    Raises NotFound, InvalidInput at /url or when nothing is given.
    """
    if not changes:
        raise InvalidInput("Nothing to change was given.", code="nothing_to_change")
    row = await repository.endpoint(uow, endpoint_id, lock=True)
    values = dict(changes)
    if "url" in values:
        check_url(values["url"], insecure=insecure)
    if "event_types" in values:
        values["event_types"] = _types(values["event_types"])
    if "status" in values:
        status = EndpointStatus(values["status"])
        reason = None if status is EndpointStatus.ACTIVE else row["disabled_reason"] or "by hand"
        values |= {"status": str(status), "disabled_reason": reason, "failing_since": None}
    await _change(uow, row, "changed", values)


async def disable(uow: UnitOfWork, row: RowMapping, reason: str) -> None:
    """Disable a locked endpoint by what it answered, or did not."""
    await _change(uow, row, "disabled", {"status": str(EndpointStatus.DISABLED), "disabled_reason": reason})


async def remove(uow: UnitOfWork, endpoint_id: UUID) -> None:
    """Remove an endpoint; its deliveries stay to be seen, and those under way are cancelled at their next attempt. Raises
    NotFound."""
    row = await repository.endpoint(uow, endpoint_id, lock=True)
    await repository.change_endpoint(uow, endpoint_id, removed_at=uow.recorded_at)
    await uow.audit("webhook_endpoint.removed", "webhook_endpoint", endpoint_id, before=_facts(row, _FACTS))


async def rotate_secret(uow: UnitOfWork, vault: Vault, endpoint_id: UUID, overlap: timedelta) -> str:
    """Give an endpoint a new secret and return it; the former one signs too for `overlap` (at most MAX_OVERLAP; zero: not
    at all). Raises NotFound, InvalidInput at /overlap_hours."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise InvalidInput.at("/overlap_hours", f"must be from 0 to {MAX_OVERLAP // timedelta(hours=1)}")
    row = await repository.endpoint(uow, endpoint_id, lock=True)
    secret = new_secret()
    until = uow.recorded_at + overlap if overlap else None
    await repository.change_endpoint(
        uow,
        endpoint_id,
        secret=vault.encrypt(secret, place_of_secret(uow.tenant_id, endpoint_id)),
        previous_secret=row["secret"] if until else None,
        previous_secret_until=until,
    )
    after = {"previous_secret_until": until and until.isoformat()}
    await uow.audit("webhook_endpoint.secret_rotated", "webhook_endpoint", endpoint_id, after=after)
    return secret


async def ping(uow: UnitOfWork, endpoint_id: UUID) -> UUID:
    """Send a ping to an endpoint, whatever it has chosen. Returns the delivery.

    Raises NotFound, WrongState unless it is active.
    """
    _check_active(await repository.endpoint(uow, endpoint_id))
    happening = Happening(WebhookType.PING, {"endpoint_id": str(endpoint_id)})
    row = outbox.event_row(uow, await uow.business_date(), None, None, happening)
    await repository.add_events(uow, [row])
    (delivery_id,) = await outbox.deliver(uow, [(row, endpoint_id)])
    await uow.audit("webhook_endpoint.tested", "webhook_endpoint", endpoint_id, after={"delivery_id": str(delivery_id)})
    return delivery_id


async def replay(uow: UnitOfWork, delivery_id: UUID) -> UUID:
    """Deliver an event once more to the same endpoint, with the same event id. Returns the new delivery.

    Raises NotFound (also for an endpoint that was removed), WrongState while the delivery is being tried, or unless the
    endpoint is active. One whose next attempt is long overdue is not being tried: an operator has ended its process.
    """
    row = await repository.delivery(uow, delivery_id, lock=True)
    if row["status"] == DeliveryStatus.PENDING and uow.recorded_at - row["next_attempt_at"] < OVERDUE:
        ended = [str(status) for status in DeliveryStatus if status is not DeliveryStatus.PENDING]
        detail = "The delivery is pending: it is being tried already."
        raise WrongState(detail, state=row["status"], allowed=ended, code="delivery_pending")
    _check_active(await repository.endpoint(uow, row["endpoint_id"]))
    event = await repository.event(uow, row["event_id"])
    (replayed,) = await outbox.deliver(uow, [(event, row["endpoint_id"])], replay_of=delivery_id)
    after = {"replayed_by": str(replayed), "event_id": str(row["event_id"])}
    await uow.audit("webhook_delivery.replayed", "webhook_delivery", delivery_id, after=after)
    return replayed


def _check_active(endpoint: RowMapping) -> None:
    if endpoint["status"] != EndpointStatus.ACTIVE:
        detail = f"The endpoint is disabled: {endpoint['disabled_reason']}. Make it active first."
        raise WrongState(detail, state=endpoint["status"], allowed=[str(EndpointStatus.ACTIVE)], code="endpoint_disabled")


async def _change(uow: UnitOfWork, row: RowMapping, what: str, values: dict[str, Any]) -> None:
    await repository.change_endpoint(uow, row["id"], **values)
    told = [name for name in _FACTS if name in values]
    before, after = _facts(row, told), _facts(values, told)
    await uow.audit(f"webhook_endpoint.{what}", "webhook_endpoint", row["id"], before=before, after=after)


def _facts(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _types(chosen: Sequence[WebhookType] | None) -> list[str] | None:
    """As stored: each once, in the order of the documentation."""
    return None if chosen is None else [str(kind) for kind in WebhookType if kind in chosen]
