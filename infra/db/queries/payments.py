"""Reads of payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.servicing import loans, payment_allocations, payments
from infra.db.queries.paging import newest_first


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """What a list of payments is narrowed to; None does not narrow. Effective dates are both included."""

    loan_id: UUID | None = None
    borrower_id: UUID | None = None
    status: str | None = None
    payment_method: str | None = None
    effective_from: date | None = None
    effective_to: date | None = None
    external_id: str | None = None


def payment_list(narrow: PaymentFilter, after: UUID | None, limit: int) -> Select[Any]:
    """Payments, the newest recorded first."""
    column = payments.c
    statement = select(payments)
    if narrow.borrower_id is not None:
        own = select(loans.c.id).where(loans.c.borrower_id == narrow.borrower_id)
        statement = statement.where(column.loan_id.in_(own))
    for name in ("loan_id", "status", "payment_method", "external_id"):
        value = getattr(narrow, name)
        if value is not None:
            statement = statement.where(column[name] == value)
    if narrow.effective_from is not None:
        statement = statement.where(column.effective_date >= narrow.effective_from)
    if narrow.effective_to is not None:
        statement = statement.where(column.effective_date <= narrow.effective_to)
    return newest_first(statement, column.id, after, limit)


def payment(payment_id: UUID) -> Select[Any]:
    """One payment."""
    return select(payments).where(payments.c.id == payment_id)


def allocation_lines(payment_id: UUID) -> Select[Any]:
    """Where the money of a payment went, line by line."""
    lines = payment_allocations
    return select(lines).where(lines.c.payment_id == payment_id).order_by(lines.c.line)
