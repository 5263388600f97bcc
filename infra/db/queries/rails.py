"""Reads of the rail: files for a bank, files from one, and what they said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from infra.db.models.rails import cases, rail_answers, rail_cutoffs, rail_entries, rail_files, rail_return_files
from infra.db.queries.paging import newest_first


def _files() -> Select[Any]:
    cutoff = (rail_cutoffs.c.tenant_id == rail_files.c.tenant_id) & (rail_cutoffs.c.id == rail_files.c.cutoff_id)
    shown = (rail_cutoffs.c.business_date, rail_cutoffs.c.number, rail_cutoffs.c.acknowledged_at)
    return select(rail_files, *shown).join(rail_cutoffs, cutoff)


def file_list(after: UUID | None, limit: int) -> Select[Any]:
    """Files for the bank, the newest first."""
    return newest_first(_files(), rail_files.c.id, after, limit)


def file(file_id: UUID) -> Select[Any]:
    """One file for the bank."""
    return _files().where(rail_files.c.id == file_id)


_RETURN_FILE = [column for column in rail_return_files.c if column.name not in ("tenant_id", "content_encrypted")]


def return_file_list(after: UUID | None, limit: int) -> Select[Any]:
    """Files from the bank, the newest first."""
    return newest_first(select(*_RETURN_FILE), rail_return_files.c.id, after, limit)


def return_file(file_id: UUID) -> Select[Any]:
    """One file from the bank."""
    return select(*_RETURN_FILE).where(rail_return_files.c.id == file_id)


def answer_sums(file_ids: list[UUID]) -> Select[Any]:
    """How many answers of some files have come to what."""
    table = rail_answers
    counted = select(table.c.file_id, table.c.outcome, func.count().label("count")).where(table.c.file_id.in_(file_ids))
    return counted.group_by(table.c.file_id, table.c.outcome)


def answers(file_id: UUID) -> Select[Any]:
    """What a file says, in the order of its lines, with the entries of ours that it names."""
    table, entry = rail_answers, rail_entries
    same = (entry.c.tenant_id == table.c.tenant_id) & (entry.c.id == table.c.entry_id)
    own = [column for column in table.c if column.name not in ("tenant_id", "corrected_encrypted")]
    found = select(*own, entry.c.payment_id, entry.c.loan_id).outerjoin(entry, same)
    return found.where(table.c.file_id == file_id).order_by(table.c.line)


def case_list(status: str | None, loan_id: UUID | None, after: UUID | None, limit: int) -> Select[Any]:
    """Cases, the newest first."""
    statement = select(cases)
    if status is not None:
        statement = statement.where(cases.c.status == status)
    if loan_id is not None:
        statement = statement.where(cases.c.loan_id == loan_id)
    return newest_first(statement, cases.c.id, after, limit)


def case(case_id: UUID) -> Select[Any]:
    """One case."""
    return select(cases).where(cases.c.id == case_id)
