"""The OpenAPI document is complete enough to generate a client from."""

from __future__ import annotations

from typing import Any

import pytest

from api.errors import MEDIA_TYPE
from tests.api.routes import DOCUMENT, ROUTES, Route


def test_version_and_the_shape_of_problems() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    schemas = DOCUMENT["components"]["schemas"]
    assert {"type", "title", "status", "detail", "code"} <= set(schemas["Problem"]["required"])
    assert "HTTPValidationError" not in schemas


def test_operation_ids_are_unique() -> None:
    ids = [route.operation["operationId"] for route in ROUTES]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_documents_itself_and_its_refusals(route: Route) -> None:
    operation = route.operation
    assert operation["tags"]
    assert operation["description"]
    responses = operation["responses"]
    success = [status for status in responses if status.startswith("2")]
    assert len(success) >= 1
    files = {"text/csv", "text/plain"}
    if success[0] != "204" and route.path != "/metrics" and not files & set(responses[success[0]]["content"]):
        assert responses[success[0]]["content"]["application/json"]["schema"] != {}, "needs a response model"
    expected = {"400", "422", "500", "503"} | (set() if route.public else {"401", "403"})
    expected |= {"404"} if route.parameters else set()
    assert expected <= set(responses)
    for status in set(responses) - set(success):
        assert responses[status]["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
    if not route.public:
        assert operation["security"] == [{"HTTPBearer": []}]


def test_every_reference_resolves() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(item) for item in value.values()))
        if isinstance(value, list):
            return set().union(*(references(item) for item in value))
        return set()

    names = {reference.rpartition("/")[2] for reference in references(DOCUMENT)}
    assert names <= set(DOCUMENT["components"]["schemas"])
