"""Reads of the rail: files for a bank, files from one, and what they said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.rails import rail_cutoffs, rail_files
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
