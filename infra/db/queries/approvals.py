"""Reads of what waits for a second person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Select, String, and_, cast, false, literal, null, select, union_all

from domain.approval import ApprovalKind
from infra.db.models.processes import payment_reversals, payouts
from infra.db.models.servicing import loans
from infra.db.models.tenancy import users
from infra.db.queries.paging import newest_first

_WAITS = "pending_approval"
_SHARED = ("id", "loan_id", "payment_id", "amount", "reason", "requested_by", "requested_on", "created_at")


def waiting(kind: str | None, loan_id: UUID | None, after: UUID | None, limit: int) -> Select[Any]:
    """Reversals, refunds and reimbursements that wait for a second person, the newest asked first, with the loan's number
    and the name of who asked. None does not narrow."""
    asked = union_all(_reversals(kind, loan_id, after, limit), _payouts(kind, loan_id, after, limit)).subquery("asked")
    column = asked.c
    of_loan = and_(loans.c.tenant_id == column.tenant_id, loans.c.id == column.loan_id)
    by = and_(users.c.tenant_id == column.tenant_id, users.c.id == column.requested_by)
    joined = asked.join(loans, of_loan).outerjoin(users, by)
    named = (loans.c.loan_number, users.c.full_name.label("requested_by_name"))
    return newest_first(select(*asked.c, *named).select_from(joined), column.id, after, limit)


def _reversals(kind: str | None, loan_id: UUID | None, after: UUID | None, limit: int) -> Any:
    column = payment_reversals.c
    kinds = literal(str(ApprovalKind.REVERSAL)).label("kind")
    more = (kinds, column.assess_nsf_fee, cast(null(), Boolean).label("override"))
    found = select(column.tenant_id, *(column[name] for name in _SHARED), *more).where(column.status == _WAITS)
    if kind not in (None, ApprovalKind.REVERSAL):
        found = found.where(false())
    return _narrowed(found, payment_reversals, loan_id, after, limit)


def _payouts(kind: str | None, loan_id: UUID | None, after: UUID | None, limit: int) -> Any:
    column = payouts.c
    more = (cast(column.kind, String), cast(null(), Boolean).label("assess_nsf_fee"), column.override)
    found = select(column.tenant_id, *(column[name] for name in _SHARED), *more).where(column.status == _WAITS)
    if kind is not None:
        found = found.where(column.kind == kind)
    return _narrowed(found, payouts, loan_id, after, limit)


def _narrowed(found: Select[Any], table: Any, loan_id: UUID | None, after: UUID | None, limit: int) -> Any:
    """A page of one table is enough for a page of both."""
    if loan_id is not None:
        found = found.where(table.c.loan_id == loan_id)
    return select(newest_first(found, table.c.id, after, limit).subquery())
