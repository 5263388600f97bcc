"""Reads of payouts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.processes import payouts
from infra.db.queries.paging import newest_first


def payout(payout_id: UUID) -> Select[Any]:
    """One payout."""
    return select(payouts).where(payouts.c.id == payout_id)


def payouts_of_loan(loan_id: UUID, after: UUID | None, limit: int) -> Select[Any]:
    """A loan's payouts, the newest first."""
    return newest_first(select(payouts).where(payouts.c.loan_id == loan_id), payouts.c.id, after, limit)


def refunds_of(payment_id: UUID) -> Select[Any]:
    """The refunds of a payment, the oldest first."""
    return select(payouts).where(payouts.c.payment_id == payment_id).order_by(payouts.c.id)
