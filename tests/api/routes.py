"""The table of routes, read off the application itself, and requests made up from its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.deps import PUBLIC, Access
from domain.roles import Role
from infra.settings import Settings

APP = create_app(Settings(secret_key="only to read the routes of the application"))
DOCUMENT: dict[str, Any] = APP.openapi()


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; `accesses` are the sets of roles its dependencies demand."""

    method: str
    path: str
    accesses: tuple[frozenset[Role], ...]

    @property
    def public(self) -> bool:
        return (self.method, self.path) in PUBLIC

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def operation(self) -> dict[str, Any]:
        found: dict[str, Any] = DOCUMENT["paths"][self.path][self.method.lower()]
        return found

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for child in dependant.dependencies:
        yield child
        yield from _dependencies(child)


def _routes() -> Iterator[Route]:
    for context in iter_route_contexts(APP.routes):
        if isinstance(context.original_route, APIRoute):
            calls = (child.call for child in _dependencies(context.dependant))
            accesses = tuple(call.roles for call in calls if isinstance(call, Access))
            for method in sorted(context.methods or ()):
                yield Route(method, str(context.path_format), accesses)


ROUTES = sorted(_routes(), key=str)
OTHER_PATHS = {
    str(context.path) for context in iter_route_contexts(APP.routes) if not isinstance(context.original_route, APIRoute)
}
"""Routes that are not ours: FastAPI's own pages."""


def as_sent(route: Route, body: Any) -> dict[str, Any]:
    """The arguments with which httpx sends a body as the route wants it: JSON, or a file."""
    for kind in ("text/csv", "text/plain"):
        if kind in route.operation.get("requestBody", {}).get("content", {}):
            return {"content": b"no such column\n", "headers": {"Content-Type": kind}}
    return {"json": body}


def sample_body(route: Route, ids: dict[str, str], fallback: str) -> Any:
    """A body that fits the route's schema, or None when it takes none. A member such as loan_id gets `ids["loan_id"]`."""
    content = route.operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return None if schema is None else _sample(schema, "", ids, fallback)


def _sample(schema: dict[str, Any], name: str, ids: dict[str, str], fallback: str) -> Any:
    if "$ref" in schema:
        return _sample(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name, ids, fallback)
    if schema.get("format") == "uuid":
        return ids.get(name, fallback)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _sample(schema[key][0], name, ids, fallback)
    kind = schema.get("type")
    if kind == "object":
        wanted = {
            member: part
            for member, part in schema.get("properties", {}).items()
            if member in schema.get("required", []) or member.endswith("_id")
        }
        return {member: _sample(part, member, ids, fallback) for member, part in wanted.items()}
    if kind == "array":
        return [_sample(schema["items"], name.removesuffix("s"), ids, fallback)]
    if kind == "boolean":
        return True
    if kind in {"integer", "number"}:
        return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    return {"date": "2020-09-09"}.get(schema.get("format", ""), "sample text of twelve characters and more")
