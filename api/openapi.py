"""The OpenAPI document: what FastAPI derives, and the refusals each operation may answer with."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.commands import KEY_HEADER
from api.deps import PUBLIC
from api.errors import MEDIA_TYPE, Problem

_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "Nobody is logged in, or the session has ended.",
    403: "The role may not do this.",
    404: "There is no such object for this caller.",
    409: "The state of the object forbids it, or something else has the same unique value.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "A value is not acceptable; `errors` say which and why.",
    500: "Something went wrong on our side; nothing was changed.",
    503: "The database cannot be reached just now.",
}

_IDEMPOTENCY_KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same key with the same request gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(problem_schema.pop("$defs", {}))
        components["Problem"] = problem_schema
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _complete(path, method.upper(), operation)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    for status in _refusals(path, method, operation):
        operation["responses"][str(status)] = {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    if method == "POST" and not path.startswith("/api/v1/auth/"):
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


def _refusals(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    statuses = {400, 422, 500, 503}
    if (method, path) not in PUBLIC:
        statuses |= {401, 403}
    if path in {"/api/v1/auth/login", "/api/v1/auth/refresh"}:
        statuses.add(401)
    if "{" in path or path == "/api/v1/portal/config":
        statuses.add(404)
    if method != "GET":
        statuses |= {409, 413, 415} if "requestBody" in operation else {409}
    return sorted(statuses)
