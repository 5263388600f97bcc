"""Reads of loans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, case, func, select

from domain.loan import SETTLED
from infra.db.models.servicing import booked_schedules, instalments, loans, program_versions
from infra.db.queries.paging import newest_first


@dataclass(frozen=True, slots=True)
class LoanFilter:
    """What a list of loans is narrowed to; None does not narrow. Due dates are both included."""

    status: str | None = None
    borrower_id: UUID | None = None
    program_id: UUID | None = None
    delinquency_bucket: str | None = None
    loan_number: str | None = None
    next_due_from: date | None = None
    next_due_to: date | None = None


def _shown() -> Select[Any]:
    """A loan's row with its payment frequency and how many of its instalments are not settled."""
    open_rows = (
        select(func.count())
        .select_from(instalments)
        .where(
            instalments.c.tenant_id == loans.c.tenant_id,
            instalments.c.loan_id == loans.c.id,
            instalments.c.status.not_in(sorted(SETTLED)),
        )
        .scalar_subquery()
    )
    remaining = case((loans.c.status == "boarding", loans.c.term_periods), (loans.c.status == "active", open_rows), else_=0)
    version = and_(
        program_versions.c.tenant_id == loans.c.tenant_id,
        program_versions.c.program_id == loans.c.program_id,
        program_versions.c.version == loans.c.program_version,
    )
    frequency = program_versions.c.terms["frequency"].astext
    return select(loans, remaining.label("remaining_term"), frequency.label("frequency")).join(program_versions, version)


def loan_list(narrow: LoanFilter, after: UUID | None, limit: int) -> Select[Any]:
    """Loans, newest first."""
    statement = _shown()
    for name in ("status", "borrower_id", "program_id", "delinquency_bucket", "loan_number"):
        value = getattr(narrow, name)
        if value is not None:
            statement = statement.where(loans.c[name] == value)
    if narrow.next_due_from is not None:
        statement = statement.where(loans.c.next_due_date >= narrow.next_due_from)
    if narrow.next_due_to is not None:
        statement = statement.where(loans.c.next_due_date <= narrow.next_due_to)
    return newest_first(statement, loans.c.id, after, limit)


def loan(loan_id: UUID, borrower_id: UUID | None = None) -> Select[Any]:
    """One loan; with `borrower_id`, only when it is that borrower's."""
    statement = _shown().where(loans.c.id == loan_id)
    return statement if borrower_id is None else statement.where(loans.c.borrower_id == borrower_id)


def loan_owner(loan_id: UUID) -> Select[Any]:
    """The borrower of a loan: no row when there is no such loan."""
    return select(loans.c.borrower_id).where(loans.c.id == loan_id)


def booked_schedule(loan_id: UUID) -> Select[Any]:
    """The schedule and the disclosures a loan was booked with."""
    return select(booked_schedules).where(booked_schedules.c.loan_id == loan_id)
