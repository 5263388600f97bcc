"""How drafts reach a bank. A rail takes a batch of entries once and acknowledges it, and says what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a batch: the draft, its amount in minor units, which attempt it is, and the end of the account number."""

    entry_id: UUID
    draft_id: UUID
    amount: int
    attempt: int
    account_last_four: str


@dataclass(frozen=True, slots=True)
class File:
    """What a bank takes as bytes: always the same under one key."""

    key: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What a cutoff hands over on a business date. `file` where the rail takes one."""

    on: date
    items: Sequence[Item]
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back of a draft, on a date: a return or a notification of change by its code. `number` names it."""

    draft_id: UUID
    number: int
    code: str
    on: date
    corrected: str | None


class Rail(Protocol):
    """A way to a bank."""

    async def hand_over(self, batch: Batch) -> Mapping[UUID, date | None]:
        """Take a batch; again is once. What it returns is the acknowledgement: when each entry counts as settled, if nothing
        comes back before (None: the rail does not say)."""
        ...

    async def came_back(self, on: date, limit: int) -> Sequence[Returned]:
        """The first `limit` answers that are there by a business date and were not taken; those of a rail whose bank sends
        files come by upload, and are none of these."""
        ...
