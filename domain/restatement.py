"""Archived days that are otherwise once a loan's history is corrected: which, in which figures, by how much.

The archive itself stays as it was written. What a correction restates is recorded by a process, day by day; a preview looks
at the same days beforehand, at all of them or, where they are very many, at a choice of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import Final

from domain.calendars import last_of_month
from domain.status_archive import Status

ALL_UP_TO: Final = 366
"""Archived days that a preview compares without leaving any out."""
_EDGE: Final = 100
_KEY_DAYS: Final = 12


class CorrectionKind(StrEnum):
    """What was done to a loan's history. `refund`: one beyond unapplied funds, or the cancelling of one."""

    BACKDATE = "backdate"
    REVERSAL = "reversal"
    VOID = "void"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class RestatedDay:
    """A day as it was archived, and as it is now; `differs`: the names of the figures that do."""

    archived: Status
    now: Status
    differs: tuple[str, ...]

    @property
    def as_of(self) -> date:
        return self.archived.as_of


@dataclass(frozen=True, slots=True)
class Restatement:
    """What of the archive a correction restates.

    archived: days in the archive from the correction's first day on. compared: how many of them were looked at; the rest
    of the figures are of those. days, first, last: how many differ, from when to when. figures: by name, on how many days
    each differs. key_days: the first and the last day that differ, and the ends of months between them, the latest.
    """

    archived: int
    compared: int
    days: int
    first: date | None
    last: date | None
    figures: dict[str, int]
    key_days: tuple[RestatedDay, ...]


def differing(archived: Status, now: Status) -> tuple[str, ...]:
    """The names of the figures in which two statuses of a day differ, in the order of Status."""
    return tuple(f.name for f in fields(Status) if getattr(archived, f.name) != getattr(now, f.name))


def days_to_compare(days: Sequence[date]) -> list[date]:
    """Of archived days, in their order, those that a preview looks at: all of up to ALL_UP_TO, else the first and the last
    hundred, and the ends of the months between."""
    if len(days) <= ALL_UP_TO:
        return list(days)
    between = [day for day in days[_EDGE:-_EDGE] if day == last_of_month(day)]
    return [*days[:_EDGE], *between, *days[-_EDGE:]]


def restatement(archived: int, compared: int, restated: Iterable[RestatedDay]) -> Restatement:
    """Sum up the days that differ, given in their order, of `compared` days of the `archived` ones."""
    found = list(restated)
    figures = Counter(name for day in found for name in day.differs)
    return Restatement(
        archived=archived,
        compared=compared,
        days=len(found),
        first=found[0].as_of if found else None,
        last=found[-1].as_of if found else None,
        figures=dict(sorted(figures.items())),
        key_days=tuple(_key_days(found)),
    )


def _key_days(found: Sequence[RestatedDay]) -> list[RestatedDay]:
    if len(found) <= 2:
        return list(found)
    ends = [day for day in found[1:-1] if day.as_of == last_of_month(day.as_of)]
    return [found[0], *ends[-(_KEY_DAYS - 2) :], found[-1]]
