"""Webhooks: which events there are, where they may be sent, how they are signed, and when a delivery is tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from domain.errors import InvalidInput


class WebhookType(StrEnum):
    """What a tenant's other systems are told of. docs/webhooks.md says what each carries."""

    LOAN_BOOKED = "loan.booked"
    LOAN_DISBURSED = "loan.disbursed"
    LOAN_BOARDED = "loan.boarded"
    LOAN_MODIFIED = "loan.modified"
    LOAN_PAID_OFF = "loan.paid_off"
    LOAN_CHARGED_OFF = "loan.charged_off"
    LOAN_REOPENED = "loan.reopened"
    LOAN_FLAGGED = "loan.flagged"
    LOAN_FLAG_CLEARED = "loan.flag_cleared"
    LOAN_BUCKET_CHANGED = "loan.delinquency_bucket_changed"
    PAYMENT_RECORDED = "payment.recorded"
    PAYMENT_SETTLED = "payment.settled"
    PAYMENT_BACKDATED = "payment.backdated"
    PAYMENT_REVERSED = "payment.reversed"
    PAYMENT_CHARGED_BACK = "payment.charged_back"
    PAYMENT_RETURNED = "payment.returned"
    DRAFT_SENT = "autopay.draft_sent"
    NOT_DRAFTED = "autopay.not_drafted"
    PING = "ping"


SUBSCRIBABLE: Final = tuple(kind for kind in WebhookType if kind is not WebhookType.PING)
"""What an endpoint may choose among; a ping goes to the endpoint that is tested, whatever it chose."""


class EndpointStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """`cancelled`: the endpoint was disabled or removed before it answered."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery has come. `retry_in`: seconds until the next attempt while it is pending."""

    status: DeliveryStatus
    attempts: int
    retry_in: int | None = None


# --- where to ---

MAX_URL: Final = 2000
_TRANSLATED: Final = tuple(ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 addresses that stand for an IPv4 address behind a translator or tunnel, which may be any."""


def check_url(url: str, *, insecure: bool) -> None:
    """Raises InvalidInput at /url unless it is https, names a host and nothing secret, and no address that is not public.

    `insecure` (tests, demonstrations) allows http and addresses of one's own network. What a name resolves to is looked at
    when something is sent.
    """
    schemes = ("https", "http") if insecure else ("https",)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput.at("/url", "must be a URL such as https://example.com/hooks") from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput.at("/url", f"must be at most {MAX_URL} printable ASCII characters")
    if parts.scheme not in schemes:
        raise InvalidInput.at("/url", f"must begin with {schemes[0]}://", code="insecure_url")
    if not host or port == 0 or "\\" in url:
        raise InvalidInput.at("/url", "must name a host, such as https://example.com/hooks")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidInput.at("/url", "must have no user, password or fragment: what is sent is signed instead")
    if not insecure and (_is_local_name(host) or not _is_public_if_address(host)):
        raise InvalidInput.at("/url", "must be reachable from the internet, not an address of a private network")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to a host on the internet: not loopback, private, link-local, site-local, shared,
    multicast, reserved, nor one that stands for another address. Raises ValueError for what is no address."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found.is_site_local or any(found in network for network in _TRANSLATED):
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _is_local_name(host: str) -> bool:
    return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def _is_public_if_address(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return True


# --- what ---


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event as it is told. `occurred_at`: when it was recorded (UTC); `business_date`: the tenant's then.
    `loan_event_number`: the number of the loan's last event then, so that a later state is told from an earlier one."""

    id: UUID
    type: str
    occurred_at: datetime
    business_date: date
    loan_id: UUID | None
    payment_id: UUID | None
    loan_event_number: int | None
    data: dict[str, Any]


def body_of(event: WebhookEvent) -> bytes:
    """The body that is sent: JSON, the same bytes at every attempt."""
    document = {
        "id": str(event.id),
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "business_date": event.business_date.isoformat(),
        "loan_id": event.loan_id and str(event.loan_id),
        "payment_id": event.payment_id and str(event.payment_id),
        "loan_event_number": event.loan_event_number,
        "data": event.data,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def signature(secrets: Sequence[str], timestamp: int, body: bytes) -> str:
    """The header Perdiem-Signature: HMAC-SHA256 of "timestamp.body" with each secret that counts (two during a rotation).

    `timestamp`: seconds since 1970, when this attempt was made; a receiver refuses an old one, so that what was
    overheard cannot be sent again.
    """
    signed = b"%d." % timestamp + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])


# --- when ---

FIRST_DELAY: Final = 10
DELAY_FACTOR: Final = 3
LONGEST_DELAY: Final = 12 * 3600
MAX_ATTEMPTS: Final = 14
"""10 s, 30 s, 90 s ... 6 h, then every 12 h: the last attempt is about three days after the first."""

DISABLE_AFTER: Final = timedelta(days=5)
"""An endpoint that has failed for so long, with no success in between, is disabled."""


def retry_delay(delivery_id: UUID, attempts: int) -> int:
    """Seconds to wait after so many failed attempts: growing threefold, within a tenth more or less so that deliveries that
    failed together are not tried together again (spread by the id: the same every time it is asked for)."""
    delay: int = min(LONGEST_DELAY, FIRST_DELAY * DELAY_FACTOR ** (attempts - 1))
    digest = hashlib.sha256(f"{delivery_id}/{attempts}".encode()).digest()
    spread = int.from_bytes(digest[:4], "big") % 201 - 100
    return max(1, delay + delay * spread // 1000)
