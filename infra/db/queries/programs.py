"""Reads of lending programs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select

from infra.db.models.servicing import program_versions, programs
from infra.db.queries.paging import newest_first


def _with_terms(*, current: bool) -> Select[Any]:
    on = program_versions.c.program_id == programs.c.id
    if current:
        on = and_(on, program_versions.c.version == programs.c.current_version)
    shown = (program_versions.c.version, program_versions.c.terms, program_versions.c.created_at.label("version_at"))
    return select(programs, *shown).join(program_versions, on)


def program_list(status: str | None, after: UUID | None, limit: int) -> Select[Any]:
    """Programs with their current terms, newest first."""
    statement = _with_terms(current=True)
    if status is not None:
        statement = statement.where(programs.c.status == status)
    return newest_first(statement, programs.c.id, after, limit)


def program(program_id: UUID, version: int | None = None) -> Select[Any]:
    """One program with the terms of a version (None: the current one)."""
    statement = _with_terms(current=version is None).where(programs.c.id == program_id)
    return statement if version is None else statement.where(program_versions.c.version == version)


def program_by_name(name: str) -> Select[Any]:
    """One program, by its name, with its current terms."""
    return _with_terms(current=True).where(programs.c.name == name)


def versions(program_id: UUID, before: int | None, limit: int) -> Select[Any]:
    """`limit` + 1 versions of a program below the version `before`, newest first."""
    statement = select(program_versions).where(program_versions.c.program_id == program_id)
    if before is not None:
        statement = statement.where(program_versions.c.version < before)
    return statement.order_by(program_versions.c.version.desc()).limit(limit + 1)
