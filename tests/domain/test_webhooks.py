"""Where webhooks may be sent, how they are signed, and when they are tried again."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from domain.errors import InvalidInput
from domain.webhooks import MAX_ATTEMPTS, WebhookEvent, body_of, check_url, is_public, retry_delay, signature

ID = UUID("0197a000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?of=perdiem",
        "https://example.com:8443/a/b",
        "https://93.184.215.14/hooks",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url, insecure=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hooks",
        "ftp://example.com",
        "file:///etc/passwd",
        "example.com/hooks",
        "//example.com/hooks",
        "https://",
        "https:///hooks",
        "https://user:password@example.com/",
        "https://example.com@evil.example/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "https://example.com/\u00e9",
        "https://example.com\\@evil.example/",
        "https://[::1",
        "https://localhost/hooks",
        "https://app.localhost/hooks",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://127.0.0.1/hooks",
        "https://10.0.0.7/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, insecure=False)
    assert refused.value.errors[0].pointer == "/url"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/hooks", "http://localhost/", "https://10.0.0.7/"])
def test_a_demonstration_may_send_to_its_own_network(url: str) -> None:
    check_url(url, insecure=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "224.0.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "feff:ffff::1",
        "ff0e::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378::1",
        "2001:db8::1",
    ],
)
def test_addresses_nothing_is_sent_to(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "172.32.0.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_on_the_internet(address: str) -> None:
    assert is_public(address)


def test_the_signature_is_an_hmac_of_time_and_body_by_each_secret() -> None:
    body = b'{"id":"1"}'
    header = signature(["new", "old"], 1600000000, body)
    expected = [hmac.new(key, b"1600000000." + body, hashlib.sha256).hexdigest() for key in (b"new", b"old")]
    assert header == f"t=1600000000,v1={expected[0]},v1={expected[1]}"
    assert signature(["new"], 1600000001, body).split(",")[1] != f"v1={expected[0]}"


def test_the_body_is_the_same_at_every_attempt() -> None:
    at = datetime(2020, 9, 9, 12, 30, tzinfo=UTC)
    event = WebhookEvent(ID, "loan.paid_off", at, date(2020, 9, 9), ID, None, 7, {"b": "1.00", "a": 2})
    assert body_of(event) == body_of(replace(event, data={"a": 2, "b": "1.00"}))  # as the database gives it back
    assert json.loads(body_of(event)) == {
        "id": str(ID),
        "type": "loan.paid_off",
        "occurred_at": "2020-09-09T12:30:00Z",
        "business_date": "2020-09-09",
        "loan_id": str(ID),
        "payment_id": None,
        "loan_event_number": 7,
        "data": {"a": 2, "b": "1.00"},
    }


def test_it_is_tried_for_about_three_days_ever_more_slowly() -> None:
    delays = [retry_delay(ID, attempts) for attempts in range(1, MAX_ATTEMPTS)]
    assert 9 <= delays[0] <= 11
    assert all(after > before for before, after in itertools.pairwise(delays[:8]))
    assert 2.5 < sum(delays) / 86400 < 3.5
    assert delays == [retry_delay(ID, attempts) for attempts in range(1, MAX_ATTEMPTS)]


def test_deliveries_that_failed_together_are_not_all_tried_again_together() -> None:
    spread = {retry_delay(UUID(int=number), 8) for number in range(100)}
    assert len(spread) > 30
    assert min(spread) >= 10 * 3**7 * 0.9
    assert max(spread) <= 10 * 3**7 * 1.1
