"""Where webhooks really go: a real server, real TLS, and addresses nothing is sent to."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.webhooks import WebhookType
from infra.clock import utc_now
from infra.crypto import Vault
from infra.settings import Settings
from infra.webhook_sender import WebhookSender, new_secret
from services import webhook_delivery, webhooks
from tests.receiver import Receiver, receiving
from tests.services.lending import UowOf

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
INSECURE = Settings(webhook_insecure=True)


def certificate(directory: Path, *names: x509.GeneralName) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and the side of a client that trusts it, for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "both.pem"
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem.write_bytes(made.public_bytes(form) + key.private_bytes(form, kind, serialization.NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=made.public_bytes(form).decode())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as running:
        yield running


async def test_over_tls_the_name_is_verified_though_the_address_is_connected_to(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, x509.DNSName("localhost"))
    with receiving(Receiver(), server) as receiver:
        named = f"https://localhost:{receiver.port}/hooks"
        answer = await WebhookSender(INSECURE, trusted=client).post(named, b"{}", {})
        assert (answer.status_code, answer.reason) == (200, "accepted")
        assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"
        for url, sender in (
            (named, WebhookSender(INSECURE)),
            (f"https://127.0.0.1:{receiver.port}/hooks", WebhookSender(INSECURE, trusted=client)),
        ):
            answer = await sender.post(url, b"{}", {})
            assert (answer.status_code, answer.reason) == (None, "no trusted TLS connection")
    assert len(receiver.received) == 1


async def test_a_certificate_for_an_address_is_taken_for_the_address(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))
    with receiving(Receiver(), server) as receiver:
        answer = await WebhookSender(INSECURE, trusted=client).post(f"https://127.0.0.1:{receiver.port}/", b"{}", {})
        assert answer.status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "127.1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_is_sent_to_ones_own_network(receiver: Receiver, scheme: str, host: str) -> None:
    """Also where the URL was allowed once, or its name leads there only now."""
    answer = await WebhookSender(Settings()).post(f"{scheme}://{host}:{receiver.port}/", b"{}", {})
    assert (answer.status_code, answer.reason) == (None, "the address is not on the internet: nothing was sent")
    assert receiver.received == []


async def test_what_the_environment_says_of_proxies_does_not_count(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert (await WebhookSender(INSECURE).post(receiver.url, b"{}", {})).status_code == 200


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/", "no connection"),
        ("http://no.such.host.invalid/", "the host's name is not known"),
        ("http://" + "x" * 70 + ".example/", "the host's name is not known"),
    ],
)
async def test_why_nothing_was_answered(url: str, reason: str) -> None:
    answer = await WebhookSender(INSECURE).post(url, b"{}", {})
    assert (answer.status_code, answer.reason) == (None, reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, "accepted"), (299, "accepted"), (302, "a redirect, which is not followed"), (410, "gone"), (404, "answered 404")],
)
async def test_what_an_answer_means(status: int, reason: str) -> None:
    with receiving(Receiver([status])) as receiver:
        answer = await WebhookSender(INSECURE).post(receiver.url, b"{}", {})
    assert (answer.status_code, answer.reason, len(receiver.received)) == (status, reason, 1)


class TestTheDocumentedVerification:
    @pytest.fixture
    def verify(self) -> Any:
        """The function of docs/webhooks.md, as it stands there."""
        (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        found: dict[str, Any] = {}
        exec(code, found)
        return found["verify"]

    async def test_takes_what_was_sent_and_nothing_else(
        self, verify: Any, uow_of: UowOf, tenant: Any, settings: Settings, receiver: Receiver
    ) -> None:
        vault = Vault.of(settings)
        async with uow_of(tenant) as uow:
            endpoint_id, old = await webhooks.add(uow, vault, webhooks.NewEndpoint(receiver.url), insecure=True)
            new = await webhooks.rotate_secret(uow, vault, endpoint_id, timedelta(hours=1))
            delivery_id = await webhooks.ping(uow, endpoint_id)
            message = await webhook_delivery.prepare(uow, vault, delivery_id)
        assert isinstance(message, webhook_delivery.Message)
        await WebhookSender(INSECURE).post(message.url, message.body, message.headers)
        (got,) = receiver.received
        headers = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in got.headers.items()}
        now = float(headers["Perdiem-Timestamp"])
        assert verify(new, headers, got.body, now + 10)
        assert verify(old, headers, got.body, now + 10)
        assert not verify(new_secret(), headers, got.body, now)
        assert not verify(new, headers, got.body.replace(b"ping", b"pong"), now)
        assert not verify(new, headers, got.body, now + 600)
        later = {**headers, "Perdiem-Signature": headers["Perdiem-Signature"].replace(f"t={now:.0f}", f"t={now + 9:.0f}")}
        assert not verify(new, later, got.body, now)

    def test_the_document_names_every_type(self) -> None:
        text = DOCUMENT.read_text()
        assert [kind for kind in WebhookType if f"`{kind}`" not in text] == []
