"""A lending program: every convention a loan is serviced by, as data.

A loan keeps the program VERSION it was booked under, so changing a program never changes an existing loan. How a
program is written as JSON, and what is refused there, is in domain/program_form.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction

from domain.money import MAX_MINOR
from domain.rounding import Rounding


class InterestMethod(StrEnum):
    """How interest is earned.

    `scheduled`: each period bears its interest on its opening balance, late or early. `simple_daily`: each calendar day
    bears interest on the actual principal, by the day count; early pays less, late pays more (`period_interest` and
    `first_period` do not apply). `recalculated`: the instalments are kept, interest follows the actual principal, and
    the last open instalment takes the difference.
    """

    SCHEDULED = "scheduled"
    SIMPLE_DAILY = "simple_daily"
    RECALCULATED = "recalculated"


class DayCount(StrEnum):
    THIRTY_360_US = "30/360 US"
    THIRTY_360_BOND = "30/360 bond"
    THIRTY_E_360 = "30E/360"
    ACT_360 = "ACT/360"
    ACT_365F = "ACT/365F"
    ACT_ACT_ISDA = "ACT/ACT ISDA"
    ACT_ACT_DEC31 = "ACT/ACT DEC31"
    ACT_ACT_FEB29 = "ACT/ACT FEB29"


class PeriodInterest(StrEnum):
    """What part of the yearly rate a period bears: rate / periods per year, or by the program's day count."""

    PERIODIC = "periodic"
    DAY_COUNT = "day_count"


class FirstPeriod(StrEnum):
    """The first period: like the others, or by its actual days / 365."""

    REGULAR = "regular"
    ACTUAL_365 = "actual_365"


class Frequency(StrEnum):
    WEEKLY = "weekly"
    BIWEEKLY = "biweekly"
    SEMIMONTHLY = "semimonthly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUALLY = "annually"
    SINGLE = "single"


class DueDateRoll(StrEnum):
    NONE = "none"
    NEXT = "next_business_day"
    PREVIOUS = "previous_business_day"


class Smoothing(StrEnum):
    """`one_cent`: the level payment may move by a cent or more where that brings the last payment nearer to it."""

    NONE = "none"
    ONE_CENT = "one_cent"


class Component(StrEnum):
    """What money pays. The program's allocation order is an order of these.

    Where the order does not name penalties, late and NSF fees count as fees.
    """

    FEES = "fees"
    INTEREST = "interest"
    PRINCIPAL = "principal"
    PENALTIES = "penalties"


class AllocationScope(StrEnum):
    """Whole component across all due instalments first, or instalment by instalment (oldest first)."""

    COMPONENT = "component"
    INSTALMENT = "instalment"


class AdvanceOrder(StrEnum):
    """Which open instalment money in advance fills first."""

    NEXT = "next_instalment"
    LAST = "last_instalment"


class ExtraMoney(StrEnum):
    """Money beyond what is due and the current period's instalment.

    `unapplied`: kept in unapplied funds, and applied by itself when the next instalment falls due.
    """

    PRINCIPAL_ONLY = "principal_only"
    ADVANCE_DUE = "advance_due"
    UNAPPLIED = "unapplied"


class PayoffInterest(StrEnum):
    """`accrued`: what has accrued in the period. `per_diem`: UPB x rate / 365 a day since the last due date."""

    ACCRUED = "accrued"
    PER_DIEM = "per_diem"


class ChargeOffInterest(StrEnum):
    """Whether a charged-off loan goes on bearing interest (memo only)."""

    STOP = "stop"
    CONTINUE = "continue"


class LateFeeKind(StrEnum):
    NONE = "none"
    FLAT = "flat"
    PERCENT = "percent_of_instalment"
    GREATER = "greater_of"
    LESSER = "lesser_of"


@dataclass(frozen=True, slots=True)
class LateFee:
    """Flat amount in minor units, percent as an exact fraction of one, cap in minor units (None = no cap)."""

    kind: LateFeeKind = LateFeeKind.NONE
    flat: int = 0
    percent: Fraction = Fraction(0)
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a loan may ask for: principal in minor units, yearly rate of one, number of instalments."""

    min_principal: int = 1
    max_principal: int = MAX_MINOR
    min_rate: Fraction = Fraction(0)
    max_rate: Fraction = Fraction(1)
    min_periods: int = 1
    max_periods: int = 480


@dataclass(frozen=True, slots=True)
class Program:
    """Conventions of a lending program version. Amounts in minor units, rates as exact fractions of one.

    `instalment_fee` is flat, on every instalment. `past_due_interest`: whether past-due principal bears interest
    (`recalculated` and `simple_daily`; with `scheduled` paying late never adds any). An instalment that lacks at most
    `delinquency_tolerance` of its principal and interest is not past due. `non_accrual_days`, `default_days` and
    `charge_off_days` are days past due, None = never by itself. A payoff quote is good through
    `payoff_good_through_days` days after its date.
    """

    currency: str = "USD"
    interest_method: InterestMethod = InterestMethod.SCHEDULED
    day_count: DayCount = DayCount.ACT_365F
    period_interest: PeriodInterest = PeriodInterest.PERIODIC
    first_period: FirstPeriod = FirstPeriod.REGULAR
    frequency: Frequency = Frequency.MONTHLY
    due_date_roll: DueDateRoll = DueDateRoll.NONE
    rounding: Rounding = Rounding.HALF_EVEN
    smoothing: Smoothing = Smoothing.NONE
    allocation_order: tuple[Component, ...] = (Component.FEES, Component.INTEREST, Component.PRINCIPAL)
    allocation_scope: AllocationScope = AllocationScope.COMPONENT
    advance_order: AdvanceOrder = AdvanceOrder.NEXT
    extra_money: ExtraMoney = ExtraMoney.PRINCIPAL_ONLY
    past_due_interest: bool = True
    instalment_fee: int = 0
    grace_days: int = 10
    late_fee: LateFee = field(default_factory=LateFee)
    nsf_fee: int = 0
    charge_off_interest: ChargeOffInterest = ChargeOffInterest.STOP
    chargeback_order: tuple[Component, ...] = (
        Component.INTEREST,
        Component.PENALTIES,
        Component.FEES,
        Component.PRINCIPAL,
    )
    delinquency_tolerance: int = 0
    non_accrual_days: int | None = None
    default_days: int | None = None
    charge_off_days: int | None = None
    payoff_interest: PayoffInterest = PayoffInterest.ACCRUED
    payoff_counts_today: bool = False
    payoff_good_through_days: int = 10
    limits: Limits = field(default_factory=Limits)

    @property
    def late_fee_wait(self) -> timedelta | None:
        """How long after its due date an unpaid instalment bears a late fee; None where it never does."""
        return None if self.late_fee.kind is LateFeeKind.NONE else timedelta(days=self.grace_days + 1)
