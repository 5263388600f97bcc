"""Flags of a loan at the edge."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from api.schemas.base import Date, Reason, Schema
from domain.flags import LoanFlag


class FlagRequest(Schema):
    """Why a flag is set."""

    reason: Reason = Field(description="kept with the flag and in the audit trail")


class FlagOut(Schema):
    """A flag that is set."""

    flag: LoanFlag
    set_on: Date = Field(description="the business date on which it was set")
    set_by: UUID | None
    reason: str
