"""The one table from refusals to HTTP: RFC 9457 problem documents, never a value that was sent, never a stack trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from domain.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Refusal,
    Unauthenticated,
    WrongState,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[Refusal], int] = {
    InvalidInput: 422,
    NotFound: 404,
    WrongState: 409,
    Conflict: 409,  # InFlight too
    Forbidden: 403,
    Unauthenticated: 401,
}

UNIQUE_VIOLATION, FOREIGN_KEY_VIOLATION = "23505", "23503"


class ProblemError(BaseModel):
    pointer: str = Field(description="JSON pointer to the value in the request body", examples=["/amount"])
    message: str
    code: str
    location: str | None = Field(None, alias="in", description='"query", "path" or "header"; absent for the body')


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=["urn:perdiem:problem:invalid_input"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["amount: must be greater than 0"])
    code: str = Field(description="stable and machine readable", examples=["invalid_input"])
    errors: list[ProblemError] = []
    state: str | None = Field(None, description="the current state, when the state forbids the action")
    allowed: list[str] | None = Field(None, description="the states or actions that would be accepted")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document as a response. Plain ASCII, so that no text that was sent can break the encoding."""
    document = {
        "type": f"urn:perdiem:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
        **members,
    }
    sent = dict(headers or {})
    if status == 401:
        sent.setdefault("WWW-Authenticate", "Bearer")
    return Response(json.dumps(document), status, sent, MEDIA_TYPE)


def refused(refusal: Refusal) -> Response:
    """The response for a refusal of the domain."""
    status = next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 422)
    members: dict[str, Any] = {}
    if isinstance(refusal, WrongState):
        members = {"state": refusal.state, "allowed": list(refusal.allowed)}
    return problem(status, refusal.code, refusal.detail, errors=[_member(e) for e in refusal.errors], **members)


def _member(error: FieldError) -> dict[str, str]:
    return {"pointer": error.pointer, "message": error.message, "code": error.code}


def _pointer(location: Sequence[str | int]) -> str:
    """RFC 6901: "~" and "/" escaped, one "/" before each part. A part is cut: it may be a long key that was sent."""
    return "".join("/" + str(part)[:100].replace("~", "~0").replace("/", "~1") for part in location)


def _invalid(error: RequestValidationError) -> Response:
    errors: list[dict[str, str]] = []
    for item in error.errors()[:50]:
        where, *rest = item["loc"]
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "json_invalid":
            return problem(400, "invalid_json", "The body is not valid JSON.")
        if item["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            rest.append(str(item["ctx"]["discriminator"]).strip("'"))
            message = f"must be one of {item['ctx']['expected_tags']}" if "expected_tags" in item["ctx"] else "is needed"
        entry = {"pointer": _pointer(_sent(rest, error.body)), "message": message, "code": str(item["type"])}
        if where != "body":
            entry["in"] = str(where)
        errors.append(entry)
    first = errors[0]
    return problem(422, "invalid_input", f"{first['pointer'].lstrip('/') or 'body'}: {first['message']}", errors=errors)


def _sent(location: Sequence[str | int], body: object) -> list[str | int]:
    """A location without what pydantic puts into it and nobody sent: the tag of the kind that a body was read as."""
    result: list[str | int] = []
    value = body
    for part in location:
        if isinstance(value, dict) and part not in value and part == value.get("kind"):
            continue
        result.append(part)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
    return result


def _integrity(error: IntegrityError) -> Response:
    state = getattr(error.orig, "sqlstate", None)
    if state == UNIQUE_VIOLATION:
        return problem(409, "conflict", "Something with the same unique value exists already.")
    log.error("constraint refused a write: %s", _constraint(error))
    if state == FOREIGN_KEY_VIOLATION:
        return problem(422, "unknown_reference", "The request refers to something that does not exist.")
    return problem(422, "invalid_input", "The values contradict each other.")


def _constraint(error: DBAPIError) -> str:
    """The name of the constraint, never the row it refused."""
    return str(getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "unknown")


def _data(error: DataError) -> Response:
    log.error("the database refused a value: sqlstate %s", getattr(error.orig, "sqlstate", None))
    return problem(422, "invalid_input", "A value is out of range or not storable.")


def _http(error: HTTPException) -> Response:
    codes = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
    code = codes.get(error.status_code, f"http_{error.status_code}")
    detail = "No such resource." if error.status_code == 404 else str(error.detail)
    return problem(error.status_code, code, detail, headers=error.headers)


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(Refusal)
    async def on_refusal(request: Request, error: Refusal) -> Response:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return _invalid(error)

    @app.exception_handler(IntegrityError)
    async def on_integrity(request: Request, error: IntegrityError) -> Response:
        return _integrity(error)

    @app.exception_handler(DataError)
    async def on_data(request: Request, error: DataError) -> Response:
        return _data(error)

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    async def on_unavailable(request: Request, error: Exception) -> Response:
        log.error("database unavailable: %s", type(error).__name__)
        return problem(
            503, "unavailable", "The database cannot be reached just now; try again.", headers={"Retry-After": "1"}
        )

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return _http(error)

    @app.exception_handler(Exception)
    async def on_anything_else(request: Request, error: Exception) -> Response:
        return problem(500, "internal_error", "Something went wrong on our side; nothing was changed.")
