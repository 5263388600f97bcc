"""Reads of borrowers and their nested entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select

from infra.db.models.servicing import borrower_details, borrowers, loans
from infra.db.queries.paging import newest_first

SHOWN = [column for column in borrowers.c if column.name not in ("tenant_id", "ssn_encrypted")]
"""What is ever read of a borrower to be shown: never the encrypted number."""


def borrower_list(search: str | None, external_id: str | None, after: UUID | None, limit: int) -> Select[Any]:
    """Borrowers, newest first. `search`: part of name, email address or external id, in any case."""
    statement = select(*SHOWN)
    if external_id is not None:
        statement = statement.where(borrowers.c.external_id == external_id)
    if search:
        name = func.concat_ws(" ", borrowers.c.first_name, borrowers.c.last_name)
        fields = (name, borrowers.c.email, borrowers.c.external_id)
        statement = statement.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    return newest_first(statement, borrowers.c.id, after, limit)


def borrower(borrower_id: UUID) -> Select[Any]:
    """One borrower."""
    return select(*SHOWN).where(borrowers.c.id == borrower_id)


def addressee(loan_id: UUID) -> Select[Any]:
    """Name and mail address of a loan's borrower."""
    columns = (borrowers.c.first_name, borrowers.c.last_name, borrowers.c.email)
    own = (loans.c.tenant_id == borrowers.c.tenant_id) & (loans.c.borrower_id == borrowers.c.id)
    return select(*columns).join(loans, own).where(loans.c.id == loan_id)


def detail_list(borrower_id: UUID, kind: str, after: UUID | None, limit: int) -> Select[Any]:
    """A borrower's nested entries of one kind, newest first."""
    table = borrower_details
    statement = select(table).where(table.c.borrower_id == borrower_id, table.c.kind == kind)
    return newest_first(statement, table.c.id, after, limit)


def details(borrower_id: UUID, kinds: Iterable[str]) -> Select[Any]:
    """A borrower's nested entries of some kinds: the primary one first, then the newest."""
    table = borrower_details
    statement = select(table).where(table.c.borrower_id == borrower_id, table.c.kind.in_(list(kinds)))
    return statement.order_by(table.c.is_primary.desc(), table.c.id.desc()).limit(1000)


def detail(borrower_id: UUID, kind: str, detail_id: UUID) -> Select[Any]:
    """One nested entry of a borrower."""
    table = borrower_details
    return select(table).where(table.c.borrower_id == borrower_id, table.c.kind == kind, table.c.id == detail_id)
