"""Reading the flags of loans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Uuid, bindparam, select

from domain.flags import LoanFlag
from infra.db.models.servicing import loan_flags
from infra.db.pipeline import Query, Row

FLAGS: Final = Query(
    select(loan_flags).where(loan_flags.c.loan_id == bindparam("loan", type_=Uuid)).order_by(loan_flags.c.flag)
)
"""The rows of the flags that are set on a loan, by name."""


def named(rows: Iterable[Row]) -> frozenset[LoanFlag]:
    """Which flags these rows are."""
    return frozenset(LoanFlag(row["flag"]) for row in rows)
