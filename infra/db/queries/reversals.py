"""Reads of reversals of payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.processes import payment_reversals


def latest_of(payment_id: UUID) -> Select[Any]:
    """The newest reversal of a payment: the open one where there is one."""
    table = payment_reversals
    return select(table).where(table.c.payment_id == payment_id).order_by(table.c.id.desc()).limit(1)
