"""Reads of a loan's history."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.servicing import loan_events
from infra.db.queries.paging import newest_first


def loan_history(loan_id: UUID, after: UUID | None, limit: int) -> Select[Any]:
    """Every event of a loan, newest first, each with `superseded_by`: the number of the one that took its place."""
    event, later = loan_events, loan_events.alias("later")
    successor = (
        select(later.c.sequence)
        .where(later.c.loan_id == event.c.loan_id, later.c.supersedes == event.c.sequence)
        .scalar_subquery()
    )
    statement = select(event, successor.label("superseded_by")).where(event.c.loan_id == loan_id)
    return newest_first(statement, event.c.id, after, limit)
