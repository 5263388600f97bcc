"""Reads of autopays, date advances and the processes behind them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from domain.autopay import EnrolmentKind
from infra.db.models.processes import autopay_drafts, autopay_enrolments, workflow_intents
from infra.db.models.servicing import loans
from infra.db.models.tenancy import date_advances, tenants
from infra.db.queries.paging import newest_first


def latest_enrolment(loan_id: UUID) -> Select[Any]:
    """The newest autopay of a loan: the open one where there is one."""
    table = autopay_enrolments
    found = select(table).where(table.c.loan_id == loan_id, table.c.kind == str(EnrolmentKind.AUTOPAY))
    return found.order_by(table.c.id.desc()).limit(1)


def enrolment(enrolment_id: UUID) -> Select[Any]:
    """One autopay or recurring payment."""
    return select(autopay_enrolments).where(autopay_enrolments.c.id == enrolment_id)


def recurring_payments(loan_id: UUID, after: UUID | None, limit: int) -> Select[Any]:
    """A loan's recurring payments, newest first."""
    table = autopay_enrolments
    found = select(table).where(table.c.loan_id == loan_id, table.c.kind == str(EnrolmentKind.RECURRING))
    return newest_first(found, table.c.id, after, limit)


def recurring_payment(enrolment_id: UUID, borrower_id: UUID | None = None) -> Select[Any]:
    """One recurring payment, of any borrower or of this one."""
    table = autopay_enrolments
    found = select(table).where(table.c.id == enrolment_id, table.c.kind == str(EnrolmentKind.RECURRING))
    if borrower_id is None:
        return found
    own = select(loans.c.id).where(loans.c.borrower_id == borrower_id)
    return found.where(table.c.loan_id.in_(own))


def latest_drafts(enrolment_id: UUID, limit: int = 12) -> Select[Any]:
    """The last drafts of an autopay, the newest first."""
    table = autopay_drafts
    found = select(table).where(table.c.enrolment_id == enrolment_id)
    return found.order_by(table.c.process_date.desc(), table.c.attempt.desc()).limit(limit)


def business_date(tenant_id: UUID) -> Select[Any]:
    """The business date of a tenant, its mode and its zone."""
    return select(tenants.c.business_date, tenants.c.mode, tenants.c.zone).where(tenants.c.id == tenant_id)


def advance(advance_id: UUID) -> Select[Any]:
    """One request to move the business date."""
    return select(date_advances).where(date_advances.c.id == advance_id)


def running_advance() -> Select[Any]:
    """The advance that is under way, if there is one."""
    return select(date_advances).where(date_advances.c.status == "running")


def start_of(workflow_id: str) -> Select[Any]:
    """The intent that started a workflow of this tenant."""
    table = workflow_intents
    return select(table).where(table.c.workflow_id == workflow_id, table.c.action == "start")
