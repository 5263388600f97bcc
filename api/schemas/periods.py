"""Accounting periods at the edge."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas.base import Reason, Schema
from domain.periods import PeriodStatus


class ReopenRequest(Schema):
    reason: Reason = Field(examples=["An invoice of the custodian was missing"])


class AccountingPeriod(Schema):
    """A month of the general ledger, with who closed and who reopened it last."""

    month: str = Field(examples=["2026-02"])
    status: PeriodStatus
    closed_by: UUID | None
    closed_at: datetime | None
    reopened_by: UUID | None
    reopened_at: datetime | None
