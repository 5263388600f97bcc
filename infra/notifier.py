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
from typing import Final
from urllib.parse import unquote, urlsplit

from infra.ids import new_id
from infra.settings import Settings

log = logging.getLogger(__name__)

SENDER = "no-reply@perdiem.invalid"
_SMTP_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain text message to one person. `key`: of a message that may be sent twice, the same each time, so that it is
    one message to whoever receives it (and one file in the outbox)."""

    to: str
    subject: str
    body: str
    key: str = ""


class Undelivered(Exception):
    """A mail that was not sent: the kind of the error, without its text, which may hold the address. `final`: no further
    attempt would bring it there. `away`: no other mail would have been sent either."""

    def __init__(self, kind: str, *, final: bool, away: bool) -> None:
        super().__init__(kind)
        self.final = final
        self.away = away


class Unencrypted(smtplib.SMTPException):
    """The server offers no encryption, so it gets no password."""


_OF_ONE_MAIL: Final = (ValueError, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError)
_FIRST_FINAL: Final = 500
"""Replies from 500 on are for good, those below are for now (RFC 5321, 4.2.1), such as of a server that lists greys."""


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
                await self.deliver(mail)
            except Undelivered as error:
                log.error("mail not sent: %s", error)

    async def deliver(self, mail: Mail) -> None:
        """Send one mail, for those who try again. Raises Undelivered; whether another attempt could help, it says."""
        try:
            await asyncio.to_thread(self._deliver, mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            away = not isinstance(error, _OF_ONE_MAIL)
            raise Undelivered(type(error).__name__, final=not away and _is_final(error), away=away) from None

    def _deliver(self, mail: Mail) -> None:
        message = _message(mail)
        if self.settings.smtp_url is None:
            self.outbox.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.outbox / f"{mail.key or new_id()}.eml"
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
                raise Unencrypted
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)


def _is_final(error: Exception) -> bool:
    """Whether what was wrong with one mail stays so: an address the server does not know or cannot write to."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _FIRST_FINAL for code, _ in error.recipients.values())
    return not isinstance(error, smtplib.SMTPDataError) or error.smtp_code >= _FIRST_FINAL


def _message(mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = mail.to
    message["Subject"] = " ".join(mail.subject.split())  # a line break would end the header
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail.key}@perdiem.invalid>" if mail.key else make_msgid(domain="perdiem.invalid")
    message.set_content(mail.body)
    return message
