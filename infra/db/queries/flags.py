"""Reading the flags of loans."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from infra.db.models.servicing import loan_flags


def flag_list(loan_id: UUID) -> Select[Any]:
    """The flags that are set on a loan, by name."""
    return select(loan_flags).where(loan_flags.c.loan_id == loan_id).order_by(loan_flags.c.flag)
