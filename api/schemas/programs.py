"""Lending programs at the edge. The terms' rules are in domain/program.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Count, Flag, Name, Schema
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    ChargeOffInterest,
    Component,
    DayCount,
    DueDateRoll,
    ExtraMoney,
    FirstPeriod,
    Frequency,
    InterestMethod,
    LateFeeKind,
    PayoffInterest,
    PeriodInterest,
    Smoothing,
)
from domain.rounding import Rounding

ALLOCATION_ORDER = "fees, interest and principal once each; penalties too where late and NSF fees are not paid as fees"
TOLERANCE = "what an instalment may lack of its principal and interest without being past due"


class LateFeeTerms(Schema):
    """Amounts and rates are decimal strings; `percent` is of one."""

    kind: LateFeeKind = LateFeeKind.NONE
    flat: str = Field("0.00", examples=["30.00"])
    percent: str = Field("0", examples=["0.05"])
    cap: str | None = Field(None, examples=["50.00"])


class LimitTerms(Schema):
    """What a loan may ask for; what is left out is not limited beyond what the platform can hold."""

    min_principal: str | None = Field(None, examples=["1000.00"])
    max_principal: str | None = Field(None, examples=["40000.00"])
    min_rate: str | None = Field(None, examples=["0"])
    max_rate: str | None = Field(None, examples=["0.36"])
    min_periods: Count | None = Field(None, examples=[12])
    max_periods: Count | None = Field(None, examples=[60])


class ProgramTerms(Schema):
    """Every convention a loan is serviced by; what is left out takes its default."""

    currency: str | None = Field(None, examples=["USD"])
    interest_method: InterestMethod | None = None
    day_count: DayCount | None = None
    period_interest: PeriodInterest | None = None
    first_period: FirstPeriod | None = None
    frequency: Frequency | None = None
    due_date_roll: DueDateRoll | None = None
    rounding: Rounding | None = None
    smoothing: Smoothing | None = None
    allocation_order: list[Component] | None = Field(None, description=ALLOCATION_ORDER, max_length=10)
    allocation_scope: AllocationScope | None = None
    advance_order: AdvanceOrder | None = Field(None, description="which open instalment money in advance fills first")
    extra_money: ExtraMoney | None = None
    past_due_interest: Flag | None = Field(None, description="past-due principal bears interest (not with scheduled)")
    instalment_fee: str | None = Field(None, description="flat, on every instalment", examples=["1.00"])
    grace_days: Count | None = Field(None, examples=[10])
    late_fee: LateFeeTerms | None = None
    nsf_fee: str | None = Field(None, examples=["25.00"])
    charge_off_interest: ChargeOffInterest | None = None
    chargeback_order: list[Component] | None = Field(None, description="each component once", max_length=10)
    delinquency_tolerance: str | None = Field(None, description=TOLERANCE, examples=["1.00"])
    non_accrual_days: Count | None = Field(None, description="days past due; null: never by itself", examples=[90])
    default_days: Count | None = Field(None, description="days past due; null: never by itself", examples=[90])
    charge_off_days: Count | None = Field(None, description="days past due; null: never by itself", examples=[120])
    payoff_interest: PayoffInterest | None = None
    payoff_counts_today: Flag | None = None
    payoff_good_through_days: Count | None = Field(None, examples=[10])
    limits: LimitTerms | None = None

    def given(self) -> dict[str, Any]:
        """The JSON form of what was given."""
        return self.model_dump(mode="json", exclude_none=True)


class ProgramRequest(Schema):
    name: Name = Field(examples=["Personal loans 36"])
    description: str = Field("", max_length=2000)
    terms: ProgramTerms


class ProgramChange(ProgramRequest):
    """The whole program as it shall be. Other terms make a new version; loans keep the version they were booked under."""


class Program(Schema):
    id: UUID
    name: str
    description: str
    status: str = Field(description="active or archived", examples=["active"])
    current_version: int
    version: int = Field(description="the version the terms are of")
    terms: ProgramTerms
    created_at: datetime
    updated_at: datetime


class ProgramVersion(Schema):
    version: int
    terms: ProgramTerms
    created_by: UUID | None
    created_at: datetime


class ProgramVersions(Schema):
    """The versions of a program, newest first; `next_before` continues, null on the last page."""

    items: list[ProgramVersion]
    next_before: int | None


def program_of(row: RowMapping) -> Program:
    """A program from a row of infra.db.queries.programs."""
    return Program.model_validate({name: row[name] for name in Program.model_fields})
