"""What was mailed: without an SMTP server the notifier keeps mail as files."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import cast


@dataclass(frozen=True, slots=True)
class Mailbox:
    outbox: Path

    def to(self, address: str) -> list[EmailMessage]:
        """The mails to an address, oldest first."""
        files = sorted(self.outbox.glob("*.eml"))
        parsed = (email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files)
        return [cast(EmailMessage, mail) for mail in parsed if mail["To"] == address]

    def token(self, address: str) -> str:
        """The token in the link of the newest mail to an address."""
        found = re.search(r"token=(\S+)", self.to(address)[-1].get_content())
        assert found
        return found[1]
