"""Mail goes to the server that is set, else into files that only the owner of the platform reads."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from pathlib import Path
from smtplib import SMTPDataError, SMTPRecipientsRefused

import pytest

from infra.notifier import Mail, Notifier, Undelivered
from infra.settings import Settings

MAIL = Mail("jane@example.com", "Your invitation\r\nBcc: everybody@example.com", "Hello J\u00fcrgen,\n\na link\n")


class SmtpServer:
    """As much of RFC 5321 as it takes to receive a message."""

    def __init__(self) -> None:
        self.recipients: list[str] = []
        self.messages: list[bytes] = []
        self.refusing = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.messages.append(await reader.readuntil(b"\r\n.\r\n"))
            if verb == b"RCPT":
                self.recipients.append(line[4:].decode().strip())
            if verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            writer.write(b"550 no\r\n" if verb == b"RCPT" and self.refusing else b"250 ok\r\n")
        writer.close()


@pytest.fixture
async def smtp() -> AsyncIterator[tuple[SmtpServer, str]]:
    server = SmtpServer()
    async with await asyncio.start_server(server.talk, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, f"smtp://127.0.0.1:{port}"


async def test_a_message_reaches_the_server(smtp: tuple[SmtpServer, str], tmp_path: Path) -> None:
    server, url = smtp
    notifier = Notifier(Settings(home=tmp_path, smtp_url=url))
    await notifier.send([MAIL])
    received = email.message_from_bytes(server.messages[0], policy=email.policy.default)
    assert server.recipients == ["TO:<jane@example.com>"]
    assert received["Subject"] == "Your invitation Bcc: everybody@example.com"  # one header, not two
    assert received["Bcc"] is None
    assert "J\u00fcrgen" in received.get_body().get_content()  # type: ignore[union-attr]
    assert not notifier.outbox.exists()


async def test_one_refused_message_does_not_keep_the_next_and_the_log_has_no_address(
    smtp: tuple[SmtpServer, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = smtp
    notifier = Notifier(Settings(home=tmp_path, smtp_url=url))
    server.refusing = True
    await notifier.send([MAIL])
    server.refusing = False
    await notifier.send([Mail("not\u00e4ble@example.com", "x", "y"), MAIL])
    assert len(server.messages) == 1
    assert "jane" not in caplog.text
    assert caplog.text.count("mail not sent") == 2


async def test_a_password_is_not_sent_to_a_server_without_encryption(
    smtp: tuple[SmtpServer, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = smtp
    notifier = Notifier(Settings(home=tmp_path, smtp_url=url.replace("://", "://user:secret@")))
    await notifier.send([MAIL])
    assert not server.messages
    assert "mail not sent: Unencrypted" in caplog.text


async def test_a_server_that_is_away_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await Notifier(Settings(home=tmp_path, smtp_url="smtp://127.0.0.1:1")).send([MAIL])
    assert "mail not sent: ConnectionRefusedError" in caplog.text


async def test_without_a_server_mail_is_kept_for_the_owner_only(tmp_path: Path) -> None:
    notifier = Notifier(Settings(home=tmp_path))
    await notifier.send([MAIL, MAIL])
    files = list(notifier.outbox.glob("*.eml"))
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert notifier.outbox.stat().st_mode & 0o777 == 0o700


async def test_a_mail_with_a_key_sent_twice_is_one_message(smtp: tuple[SmtpServer, str], tmp_path: Path) -> None:
    server, url = smtp
    mail = Mail("jane@example.com", "Your payment", "Hello\n", key="payment-reversal-1")
    kept, sent = Notifier(Settings(home=tmp_path)), Notifier(Settings(home=tmp_path, smtp_url=url))
    for _ in range(2):
        await kept.deliver(mail)
        await sent.deliver(mail)
    assert [file.name for file in kept.outbox.glob("*.eml")] == ["payment-reversal-1.eml"]
    ids = {email.message_from_bytes(message)["Message-ID"] for message in server.messages}
    assert ids == {"<payment-reversal-1@perdiem.invalid>"}


async def test_whoever_tries_again_is_told_whether_it_can_help(smtp: tuple[SmtpServer, str], tmp_path: Path) -> None:
    server, url = smtp
    notifier = Notifier(Settings(home=tmp_path, smtp_url=url))
    server.refusing = True
    with pytest.raises(Undelivered) as refused:
        await notifier.deliver(MAIL)
    assert outcome(refused.value) == ("SMTPRecipientsRefused", True, False)
    with pytest.raises(Undelivered) as unknown:  # the server has no SMTPUTF8
        await Notifier(Settings(home=tmp_path, smtp_url=url)).deliver(Mail("j\u00fcrgen@example.com", "x", "y"))
    assert outcome(unknown.value) == ("SMTPNotSupportedError", True, False)
    with pytest.raises(Undelivered) as away:
        await Notifier(Settings(home=tmp_path, smtp_url="smtp://127.0.0.1:1")).deliver(MAIL)
    assert outcome(away.value) == ("ConnectionRefusedError", False, True)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (SMTPRecipientsRefused({MAIL.to: (550, b"no such user")}), True),
        (SMTPRecipientsRefused({MAIL.to: (450, b"greylisted")}), False),
        (SMTPDataError(554, b"not wanted"), True),
        (SMTPDataError(452, b"the mailbox is full"), False),
    ],
)
async def test_what_is_for_now_is_tried_again_and_keeps_no_other_mail(
    error: Exception, final: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Notifier, mail: Mail) -> None:
        raise error

    monkeypatch.setattr(Notifier, "_deliver", refuse)
    with pytest.raises(Undelivered) as refused:
        await Notifier(Settings(home=tmp_path)).deliver(MAIL)
    assert outcome(refused.value) == (type(error).__name__, final, False)


def outcome(error: Undelivered) -> tuple[str, bool, bool]:
    return str(error), error.final, error.away
