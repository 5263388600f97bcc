"""Mail: over SMTP when a server is set, else kept as .eml files, so that a local platform shows what it would have sent."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.ids import new_id
from infra.settings import Settings

log = logging.getLogger(__name__)

SENDER = "no-reply@perdiem.invalid"
_SMTP_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain text message to one person."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends mail after the transaction that caused it has been committed."""

    settings: Settings

    @property
    def outbox(self) -> Path:
        """Where mail is kept when no SMTP server is set."""
        return self.settings.home / "outbox"

    async def send(self, mails: Sequence[Mail]) -> None:
        """Send each mail; a failure is logged (without the address) and the others are still sent."""
        for mail in mails:
            try:
                await asyncio.to_thread(self._deliver, mail)
            except (OSError, ValueError, smtplib.SMTPException) as error:
                log.error("mail not sent: %s", type(error).__name__)

    def _deliver(self, mail: Mail) -> None:
        message = _message(mail)
        if self.settings.smtp_url is None:
            self.outbox.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.outbox / f"{new_id()}.eml"
            path.touch(mode=0o600)
            path.write_bytes(bytes(message))
            return
        url = urlsplit(self.settings.smtp_url.get_secret_value())
        kind = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
        with kind(url.hostname or "localhost", url.port or 0, timeout=_SMTP_TIMEOUT) as server:
            server.ehlo()  # tells which extensions there are
            encrypted = url.scheme == "smtps"
            if not encrypted and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                encrypted = True
            if url.username and not encrypted:
                raise smtplib.SMTPNotSupportedError("the server offers no encryption, so it gets no password")
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)


def _message(mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = mail.to
    message["Subject"] = " ".join(mail.subject.split())  # a line break would end the header
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="perdiem.invalid")
    message.set_content(mail.body)
    return message
