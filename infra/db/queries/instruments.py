"""Reads of payment instruments: what may be shown of them, never a sealed value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from domain.instruments import ach_refusal
from infra.db.models.servicing import payment_instruments
from infra.db.queries.paging import newest_first

_TABLE = payment_instruments
_SEALED = ("account_number_encrypted", "processor_token_encrypted", "identity_hash")

SHOWN = [
    *(column for column in _TABLE.c if column.name not in ("tenant_id", *_SEALED)),
    _TABLE.c.account_number_encrypted.is_not(None).label("has_account_number"),
    _TABLE.c.processor_token_encrypted.is_not(None).label("has_processor_token"),
]
"""What is ever read of an instrument to be shown or decided on: whether a number and a token are held, never which."""


def instrument_list(borrower_id: UUID, after: UUID | None, limit: int) -> Select[Any]:
    """A borrower's payment instruments that have not been removed, newest first."""
    statement = select(*SHOWN).where(_TABLE.c.borrower_id == borrower_id, _TABLE.c.removed_at.is_(None))
    return newest_first(statement, _TABLE.c.id, after, limit)


def instrument(borrower_id: UUID, instrument_id: UUID) -> Select[Any]:
    """One payment instrument of a borrower that has not been removed."""
    which = (_TABLE.c.borrower_id == borrower_id, _TABLE.c.id == instrument_id, _TABLE.c.removed_at.is_(None))
    return select(*SHOWN).where(*which)


def ach_refusal_of(row: Mapping[Any, Any]) -> str | None:
    """Why an instrument, of which SHOWN was read, cannot be drafted over ACH; None when it can."""
    return ach_refusal(
        row["instrument_type"],
        removed=row["removed_at"] is not None,
        has_number=row["has_account_number"],
        has_token=row["has_processor_token"],
        verification=row["verification_status"],
    )


def named(instrument_ids: Iterable[UUID]) -> Select[Any]:
    """What is told of some instruments to those whose they are, removed or not: kind and last four digits."""
    columns = (_TABLE.c.id, _TABLE.c.instrument_type, _TABLE.c.account_type, _TABLE.c.account_number_last_four)
    return select(*columns).where(_TABLE.c.id.in_(list(instrument_ids)))
