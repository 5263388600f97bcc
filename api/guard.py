"""What no route ever sees: bodies that are too large, text that PostgreSQL cannot store, JSON that means two things.

Also names each request, counts it and logs it by its route (never by its values).
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from typing import Any

from fastapi import Response
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from domain.nacha_read import MAX_BYTES as MAX_NACHA_BYTES
from domain.payment_file import MAX_BYTES
from infra.ids import new_id

log = logging.getLogger("perdiem.requests")

JSON = "application/json"
MAX_BODY = 1_000_000
FILES = {
    ("POST", "/api/v1/payment-batches"): ("text/csv", MAX_BYTES),
    ("POST", "/api/v1/rail/return-files"): ("text/plain", MAX_NACHA_BYTES),
}
"""The routes whose body is a file: its media type, and how many bytes it may have."""
MAX_QUERY = 8_192
MAX_HEADERS = 32_768
MAX_DEPTH = 32

_CONTROL = re.compile(r"%[01][0-9a-fA-F]|%7[fF]")
_RAW_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Metrics:
    """Counts and durations of requests, by route."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("perdiem_http_requests_total", "HTTP requests", labels, registry=self.registry)
        self.seconds = Histogram(
            "perdiem_http_request_seconds", "Duration of HTTP requests", labels[:2], registry=self.registry
        )


class Guard:
    """ASGI middleware: refuse what is malformed, observe the rest."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(new_id())
        started = time.perf_counter()
        status = 500

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message.get("headers", [])}
                added = [header for header in _HEADERS if header[0] not in present]
                message["headers"] = [*message.get("headers", []), *added, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            refusal, body = await _inspect(scope, receive)
            if refusal is not None:
                await refusal(scope, receive, observed_send)
            else:
                await self.app(scope, _replaying(body, receive), observed_send)
        finally:
            self._observe(scope, request_id, status, time.perf_counter() - started)

    def _observe(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = _route(scope)
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)
        log.info(
            "request",
            extra={
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
            },
        )


_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


def _route(scope: Scope) -> str:
    """The template of the route, such as /api/v1/loans/{loan_id}: ids and unknown paths would be personal or endless."""
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path", None) or "unmatched")


async def _inspect(scope: Scope, receive: Receive) -> tuple[Response | None, bytes]:
    """The refusal of a malformed request (None: it is well formed), and its whole body."""
    query = scope.get("query_string", b"").decode("latin-1")
    if len(query) > MAX_QUERY:
        return problem(414, "query_too_long", f"The query must have at most {MAX_QUERY} characters."), b""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        return problem(431, "headers_too_large", f"The headers must have at most {MAX_HEADERS} bytes."), b""
    if _CONTROL.search(query) or _RAW_CONTROL.search(scope["path"]) or _RAW_CONTROL.search(query):
        return problem(400, "control_character", "The address must not contain control characters."), b""
    wanted, limit = FILES.get((scope["method"], scope["path"]), (JSON, MAX_BODY))
    headers = {name.lower(): value for name, value in scope["headers"]}
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > limit:
        return _too_large(limit), b""
    body = await _read(receive, limit)
    if body is None:
        return _too_large(limit), b""
    if not body or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return None, body
    if media_type(headers.get(b"content-type", b"").decode("latin-1")) != wanted:
        what = "JSON" if wanted == JSON else "a file"
        return problem(415, "unsupported_media_type", f"The body must be {what}: send Content-Type: {wanted}."), body
    return (_inspect_json(body) if wanted == JSON else None), body


def media_type(content_type: str) -> str:
    """A Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _inspect_json(body: bytes) -> Response | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return problem(400, "invalid_encoding", "The body must be UTF-8.")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        _check(value, 0)
    except _Unacceptable as reason:
        return problem(400, "invalid_json", str(reason))
    except RecursionError:
        return problem(400, "invalid_json", f"The body must be nested at most {MAX_DEPTH} deep.")
    except ValueError:
        return problem(400, "invalid_json", "The body is not valid JSON.")
    return None


class _Unacceptable(ValueError):
    """JSON, but not such that it means one thing and can be stored."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Unacceptable("The body names a member of an object twice.")
    return value


def _constant(name: str) -> Any:
    raise _Unacceptable("NaN and Infinity are not JSON.")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _Unacceptable(f"The body must be nested at most {MAX_DEPTH} deep.")
    if isinstance(value, str):
        if "\0" in value:
            raise _Unacceptable("Text must not contain the character U+0000.")
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise _Unacceptable("Text must not contain half of a surrogate pair.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Unacceptable("A number is too large.")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _too_large(limit: int) -> Response:
    return problem(413, "body_too_large", f"The body must have at most {limit} bytes.")


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it has more than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)  # the client went away
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Hands on the body that was read; then whatever the server says (such as a disconnection)."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
