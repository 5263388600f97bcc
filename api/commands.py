"""How the API writes: one transaction per request, and once per Idempotency-Key. Only payments without such a key share a
transaction (api/together.py); they take turns and are answered as here."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import func, select

from api.deps import Caller
from api.guard import JSON, media_type
from api.turns import Turns
from domain.errors import InFlight, InvalidInput
from infra.crypto import Vault
from infra.db.models.tenancy import idempotency_keys
from infra.db.uow import UnitOfWork

KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an action answers when the status is not always the route's (such as 200 for a first payment found again).

    `stored`: what the same request again is answered, where that is not the same: a secret is shown once and not kept.
    """

    body: BaseModel | None
    status: int
    stored: BaseModel | None = None


Action = Callable[[UnitOfWork], Awaitable[BaseModel | Answer | None]]


async def execute(request: Request, caller: Caller, action: Action, *, status: int = 201) -> Response:
    """Run `action` in one unit of work of the caller, commit, and deliver the workflow intents it wrote.

    With the header Idempotency-Key on a POST the answer is stored in the same transaction, per user and key: the same
    request again gets the stored answer (header Idempotent-Replayed: true) and changes nothing.

    Arguments: `action` returns the response body, None for an empty one, or an `Answer` with its own status (below
        400); it must not commit. `status`: the HTTP status otherwise.
    Raises: InvalidInput when the key is malformed, or was used for another request; InFlight when the same key is being
        carried out right now; whatever `action` raises, and then nothing was written.
    """
    async with turn(request, caller):
        return await _carry_out(request, caller, action, status)


def turn(request: Request, caller: Caller) -> AbstractAsyncContextManager[None]:
    """The turn of a request that writes to the loan its path names."""
    loan = request.path_params.get("loan_id")
    turns: Turns = request.app.state.turns
    return turns.of(None if loan is None else (caller.tenant_id, str(loan)))


def has_key(request: Request) -> bool:
    """Whether a request is to be carried out once by its Idempotency-Key."""
    return KEY_HEADER in request.headers


async def _carry_out(request: Request, caller: Caller, action: Action, status: int) -> Response:
    key = _key(request)
    async with caller.uow() as uow:
        if key is None:
            answer = _answer(await action(uow), status)
        else:
            digest = await _request_hash(caller.vault, request)
            stored_key = f"{caller.user_id}:{key}"
            replay = await _claim(uow, caller.vault, stored_key, digest)
            if replay is not None:
                return replay
            answer = _answer(await action(uow), status)
            await uow.execute(
                idempotency_keys.insert().values(
                    tenant_id=uow.tenant_id,
                    key=stored_key,
                    actor_id=caller.user_id,
                    request_hash=digest,
                    status=answer.status,
                    body=_content(answer.stored or answer.body),
                )
            )
        await uow.commit()
        intents = tuple(uow.intents)
    if intents:
        request.app.state.delivery.soon(caller.tenant_id, intents)
    return respond(answer)


def respond(answer: Answer) -> Response:
    """The response that says an answer."""
    if answer.body is None:
        return _respond(answer.status, None)
    return Response(answer.body.model_dump_json(by_alias=True), answer.status, media_type=JSON)


def _key(request: Request) -> str | None:
    if request.method != "POST":
        return None
    values = request.headers.getlist(KEY_HEADER)
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise InvalidInput(
            f"The header {KEY_HEADER} must be given once, with 1 to 200 visible ASCII characters.",
            code="invalid_idempotency_key",
        )
    return values[0]


async def _request_hash(vault: Vault, request: Request) -> bytes:
    """Same method, path, query and body: the same request. JSON is compared by value, not by its spaces. Keyed, because an
    account number in a body could be found by trying them all against a plain hash."""
    body = await request.body()
    if body and media_type(request.headers.get("content-type", "")) == JSON:
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return _keyed(vault, hashlib.sha256(head + body).digest())


def _keyed(vault: Vault, digest: bytes) -> bytes:
    return vault.keyed_hash("idempotency", digest.hex())


async def _claim(uow: UnitOfWork, vault: Vault, key: str, digest: bytes) -> Response | None:
    """The stored answer, or None when this request is the first and now holds the key until its transaction ends."""
    lock = int.from_bytes(hashlib.sha256(f"{uow.tenant_id}:{key}".encode()).digest()[:8], "big", signed=True)
    if not (await uow.execute(select(func.pg_try_advisory_xact_lock(lock)))).scalar_one():
        raise InFlight("A request with this Idempotency-Key is being carried out right now; try again in a moment.")
    stored = await uow.one_or_none(select(idempotency_keys).where(idempotency_keys.c.key == key))
    if stored is None:
        return None
    known = stored["request_hash"]  # a plain one where it was stored before hashes were keyed
    if not any(hmac.compare_digest(one, digest) for one in (known, _keyed(vault, known))):
        raise InvalidInput(
            "This Idempotency-Key was used for another request; use a new key for a new request.",
            code="idempotency_key_reused",
        )
    return _respond(stored["status"], stored["body"], replayed=True)


def _answer(result: BaseModel | Answer | None, status: int) -> Answer:
    return result if isinstance(result, Answer) else Answer(result, status)


def _content(body: BaseModel | None) -> Any:
    return None if body is None else body.model_dump(mode="json", by_alias=True)


def _respond(status: int, content: Any, *, replayed: bool = False) -> Response:
    headers = {"Idempotent-Replayed": "true"} if replayed else None
    if content is None:
        return Response(status_code=status, headers=headers)
    return JSONResponse(content, status_code=status, headers=headers)
