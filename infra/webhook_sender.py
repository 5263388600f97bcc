"""Sends webhooks: one POST to an address that was looked at, its answer's status and nothing else of it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from domain.webhooks import is_public
from infra.settings import Settings

TIMEOUT_SECONDS: Final = 10.0
"""For all of an attempt: finding the host, connecting, sending, and the head of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt got: the status (None: no answer) and, in a few words of ours, why it counts as it does."""

    status_code: int | None
    reason: str
    latency_ms: int


class _NotAllowed(Exception):
    """The host's address is not one we send to."""


def new_secret() -> str:
    """A secret to sign with: 256 random bits."""
    return f"whsec_{secrets.token_urlsafe(32)}"


class WebhookSender:
    """One per process. `insecure`, of the settings: addresses of one's own network are sent to as well."""

    def __init__(self, settings: Settings, *, trusted: ssl.SSLContext | None = None) -> None:
        self._insecure = settings.webhook_insecure
        self._tls = trusted or httpx.create_ssl_context()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST a body; never raises for what the other side does. The answer's body is not read, redirects and proxies are
        not followed."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status: int | None = await self._post(httpx.URL(url), body, headers)
            reason = _meaning(status)
        except TimeoutError:
            status, reason = None, f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
        except (_NotAllowed, httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            status, reason = None, _failure(error)
        return Answer(status, reason, round((time.monotonic() - began) * 1000))

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> int:
        """Connect to the very address that was checked: the name is not looked up a second time, when it could be another
        one. TLS still asks for the name."""
        addresses = await self._addresses(url)
        sent = {**headers, "Host": url.netloc.decode()}
        async with httpx.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=TIMEOUT_SECONDS
        ) as client:
            for at, address in enumerate(addresses, 1):
                try:
                    async with client.stream(
                        "POST",
                        url.copy_with(host=address),
                        content=body,
                        headers=sent,
                        extensions={"sni_hostname": url.host},
                    ) as response:
                        return response.status_code
                except httpx.ConnectError:
                    if at == len(addresses):
                        raise
        raise _NotAllowed("the host has no address")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if not self._insecure and (url.scheme != "https" or not all(is_public(address) for address in addresses)):
            raise _NotAllowed
        return addresses


def _meaning(status: int | None) -> str:
    if status is None or 200 <= status < 300:
        return "accepted"
    if 300 <= status < 400:
        return "a redirect, which is not followed"
    return "gone" if status == httpx.codes.GONE else f"answered {status}"


def _failure(error: Exception) -> str:
    """Why nothing was answered, without what the other side said."""
    if isinstance(error, _NotAllowed):
        return "the address is not on the internet: nothing was sent"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the host's name is not known"
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error) or "SSL" in str(error):
        return "no trusted TLS connection"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return "the connection broke off"
