"""Bad input gets a clear refusal in one shape, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from infra.ids import new_id
from infra.logging import JsonLines
from tests.api.conftest import ApiClient

USERS = "/api/v1/users"
LOGIN = "/api/v1/auth/login"


def assert_problem(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """An RFC 9457 document with one of the statuses."""
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:perdiem:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    for error in document["errors"]:
        assert {"pointer", "message", "code"} <= set(error)
    return document


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"NaN", "application/json", 400),
        (b'{"email": 1e999}', "application/json", 400),
        (b'{"email": Infinity}', "application/json", 400),
        (b"1" * 5000, "application/json", 400),
        (b'{"email": "\xff"}', "application/json", 400),
        ('{"email": "é"}'.encode("utf-16"), "application/json", 400),
        (b'{"email": "a\\u0000b", "password": "x"}', "application/json", 400),
        (b'{"email": "a\x00b", "password": "x"}', "application/json", 400),
        (b'{"email": "\\ud800", "password": "x"}', "application/json", 400),
        (b'{"\\ud800": "x"}', "application/json", 400),
        (b'{"\\u0000": "x"}', "application/json", 400),
        (b'{"email": "a", "email": "b"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[" * 500 + b"]" * 500, "application/json", 400),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", "multipart/form-data; boundary=x", 415),
        (b"{}", "", 415),
        (b"{}", "application/json; charset=nonsense", 422),
        (b"{}", "\xff/\xfe", 415),
    ],
)
async def test_a_malformed_body(client: ApiClient, content: bytes, content_type: str, status: int) -> None:
    headers = [(b"content-type", content_type.encode("latin-1"))] if content_type else None
    assert_problem(await client.post(LOGIN, content=content, headers=headers), status)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_ten_megabytes_is_not_read_to_its_end(admin: ApiClient, declared: bool) -> None:
    sent = 0
    headers = {"content-type": "application/json"}
    if declared:
        headers["content-length"] = str(10_000_000)

    async def body() -> Any:
        nonlocal sent
        for _ in range(100):
            sent += 100_000
            yield b'"' + b"x" * 99_999

    document = assert_problem(await admin.post(USERS, content=body(), headers=headers), 413)
    assert document["code"] == "body_too_large"
    assert sent <= (0 if declared else 1_200_000)


async def test_a_value_of_nearly_a_megabyte(admin: ApiClient) -> None:
    body = {"email": "a@example.com", "full_name": "x" * 900_000, "role": "viewer"}
    response = await admin.post(USERS, json=body)
    assert_problem(response, 422)
    assert len(response.text) < 2_000  # what was sent is not sent back


async def test_ten_thousand_unknown_members(admin: ApiClient) -> None:
    response = await admin.post(USERS, json={f"member {n} " + "x" * 80: n for n in range(8_000)})
    assert len(assert_problem(response, 422)["errors"]) <= 50


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/users/not-a-uuid",
        "/api/v1/users/00000000-0000-0000-0000-00000000000g",
        "/api/v1/users/" + "9" * 5_000,
        "/api/v1/users/%27%20OR%201=1--",
        "/api/v1/users/..%2f..%2fetc",
        "/api/v1/users/%E2%80%AE",
        "/api/v1/users/%FF",
        "/api/v1/users/%00",
        "/api/v1/users?cursor=%00",
        "/api/v1/audit?object_type=%00",
        "/api/v1/audit?object_type=" + "x" * 9_000,
        "/api/v1/audit?object_type=" + "x" * 41,
        "/api/v1/audit?object_id=x",
        "/api/v1/audit?limit=1e3",
        "/api/v1/nothing",
        "/",
        "//",
        "/api/v1/users/",
    ],
)
async def test_a_strange_address(admin: ApiClient, path: str) -> None:
    assert_problem(await admin.get(path), 400, 404, 414, 422)


async def test_a_wrong_uuid_is_named(admin: ApiClient) -> None:
    document = assert_problem(await admin.get(f"{USERS}/not-a-uuid"), 422)
    assert (document["errors"][0]["pointer"], document["errors"][0]["in"]) == ("/user_id", "path")


async def test_an_object_that_does_not_exist(admin: ApiClient) -> None:
    document = assert_problem(await admin.get(f"{USERS}/{new_id()}"), 404)
    assert document["detail"] == "No such user."


async def test_a_method_that_is_not_there(admin: ApiClient) -> None:
    document = assert_problem(await admin.put(USERS, json={}), 405)
    assert document["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "host", ["", ":", "a b", "\x7f", "x" * 5_000, "[::1]:8000", "..", "evil.com/../", "user@host", "xn--\u00e9", "'--"]
)
async def test_a_nonsense_host(client: ApiClient, host: str) -> None:
    headers = [(b"host", host.encode())]
    assert_problem(await client.get("/api/v1/portal/config", headers=headers), 404)
    body = {"email": "a@example.com", "password": "x"}
    assert_problem(await client.post(LOGIN, json=body, headers=headers), 401)


async def test_huge_headers(admin: ApiClient) -> None:
    assert_problem(await admin.get(USERS, headers={"X-Padding": "x" * 40_000}), 431)


async def test_a_control_character_in_a_header(admin: ApiClient) -> None:
    response = await admin.get(USERS, headers=[(b"authorization", b"Bearer \x00\xff\x7f")])
    assert response.status_code == 401


async def test_an_error_never_repeats_a_secret(client: ApiClient) -> None:
    for body in ({"email": "a", "password": ["s3cret-value"]}, {"email": "a", "passwort": "s3cret-value"}):
        response = await client.post(LOGIN, json=body)
        assert_problem(response, 422)
        assert "s3cret-value" not in response.text


async def test_every_answer_forbids_caching_and_names_its_request(client: ApiClient) -> None:
    for path in ("/healthz", "/api/v1/users"):
        response = await client.get(path)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert len(response.headers["x-request-id"]) == 36


async def test_a_request_is_counted_by_its_route_not_by_its_address(client: ApiClient, admin: ApiClient) -> None:
    user_id = new_id()
    await admin.get(f"{USERS}/{user_id}")
    metrics = (await client.get("/metrics")).text
    assert 'route="/api/v1/users/{user_id}"' in metrics
    assert str(user_id) not in metrics


async def test_a_log_line_has_the_route_and_no_values(admin: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await admin.post(USERS, json={"email": "secret-person@example.com", "full_name": "S", "role": "viewer"})
        await admin.get(f"{USERS}?cursor=AbCdEf")
    ours = [record for record in caplog.records if record.name != "httpx"]  # the client of the test
    lines = [JsonLines().format(record) for record in ours]
    assert any(json.loads(line).get("route") == USERS for line in lines)
    assert not any("secret-person" in line or "AbCdEf" in line or admin.tokens.access in line for line in lines)
