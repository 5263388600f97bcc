"""A lending program: every convention a loan is serviced by, as data.

A loan keeps the program VERSION it was booked under, so changing a program never changes an existing loan.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from fractions import Fraction
from typing import Any

from domain.errors import FieldError, InvalidTerms
from domain.money import MAX_MINOR, format_amount, format_rate, parse_amount, parse_rate
from domain.rounding import Rounding


class InterestMethod(StrEnum):
    """How interest is earned. `scheduled`: each period bears its interest on its opening balance, late or early."""

    SCHEDULED = "scheduled"


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


class Component(StrEnum):
    """What money pays. The program's allocation order is an order of these."""

    FEES = "fees"
    INTEREST = "interest"
    PRINCIPAL = "principal"


class AllocationScope(StrEnum):
    """Whole component across all due instalments first, or instalment by instalment (oldest first)."""

    COMPONENT = "component"
    INSTALMENT = "instalment"


class ExtraMoney(StrEnum):
    """Money beyond what is due and the current period's instalment."""

    PRINCIPAL_ONLY = "principal_only"
    ADVANCE_DUE = "advance_due"


class PayoffInterest(StrEnum):
    """`accrued`: what has accrued in the period. `per_diem`: UPB x rate / 365 a day since the last due date."""

    ACCRUED = "accrued"
    PER_DIEM = "per_diem"


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
    """Conventions of a lending program version. Amounts in minor units, rates as exact fractions of one."""

    currency: str = "USD"
    interest_method: InterestMethod = InterestMethod.SCHEDULED
    day_count: DayCount = DayCount.ACT_365F
    period_interest: PeriodInterest = PeriodInterest.PERIODIC
    first_period: FirstPeriod = FirstPeriod.REGULAR
    frequency: Frequency = Frequency.MONTHLY
    due_date_roll: DueDateRoll = DueDateRoll.NONE
    rounding: Rounding = Rounding.HALF_EVEN
    allocation_order: tuple[Component, ...] = (Component.FEES, Component.INTEREST, Component.PRINCIPAL)
    allocation_scope: AllocationScope = AllocationScope.COMPONENT
    extra_money: ExtraMoney = ExtraMoney.PRINCIPAL_ONLY
    grace_days: int = 10
    late_fee: LateFee = field(default_factory=LateFee)
    payoff_interest: PayoffInterest = PayoffInterest.ACCRUED
    payoff_counts_today: bool = False
    limits: Limits = field(default_factory=Limits)


_ENUMS: dict[str, type[StrEnum]] = {
    "interest_method": InterestMethod,
    "day_count": DayCount,
    "period_interest": PeriodInterest,
    "first_period": FirstPeriod,
    "frequency": Frequency,
    "due_date_roll": DueDateRoll,
    "rounding": Rounding,
    "allocation_scope": AllocationScope,
    "extra_money": ExtraMoney,
    "payoff_interest": PayoffInterest,
}


def program_to_dict(program: Program) -> dict[str, Any]:
    """The JSON form of a program: what the API shows and the database keeps. Inverse of `program_from_dict`."""
    late, limits = program.late_fee, program.limits
    return {
        "currency": program.currency,
        **{name: str(getattr(program, name)) for name in _ENUMS},
        "allocation_order": [str(component) for component in program.allocation_order],
        "grace_days": program.grace_days,
        "late_fee": {
            "kind": str(late.kind),
            "flat": format_amount(late.flat),
            "percent": format_rate(late.percent),
            "cap": None if late.cap is None else format_amount(late.cap),
        },
        "payoff_counts_today": program.payoff_counts_today,
        "limits": {
            "min_principal": format_amount(limits.min_principal),
            "max_principal": format_amount(limits.max_principal),
            "min_rate": format_rate(limits.min_rate),
            "max_rate": format_rate(limits.max_rate),
            "min_periods": limits.min_periods,
            "max_periods": limits.max_periods,
        },
    }


def program_from_dict(data: dict[str, Any]) -> Program:
    """Read a program from its JSON form; what is absent takes its default.

    Raises InvalidTerms with one pointer per wrong value, saying what would be allowed.
    """
    errors: list[FieldError] = []
    known = {f.name for f in fields(Program)}
    errors += [FieldError(f"/{name}", "unknown field", "unknown_field") for name in data if name not in known]
    values: dict[str, Any] = {}
    for name, enum in _ENUMS.items():
        if name in data:
            allowed = [str(member) for member in enum]
            if data[name] in allowed:
                values[name] = enum(data[name])
            else:
                errors.append(FieldError(f"/{name}", f"must be one of {', '.join(allowed)}"))
    _scalars(data, values, errors)
    for name, read in (("late_fee", _late_fee), ("limits", _limits), ("allocation_order", _allocation_order)):
        if name in data:
            try:
                values[name] = read(data[name])
            except (InvalidTerms, KeyError, TypeError, AttributeError) as error:
                errors += getattr(error, "errors", None) or [FieldError(f"/{name}", "is not of the documented form")]
    if errors:
        raise InvalidTerms("The program's terms are not acceptable.", errors=errors)
    return Program(**values)


def _scalars(data: dict[str, Any], values: dict[str, Any], errors: list[FieldError]) -> None:
    currency = data.get("currency", "USD")
    if currency != "USD":
        errors.append(FieldError("/currency", "must be USD"))
    if "grace_days" in data:
        days = data["grace_days"]
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 90:
            errors.append(FieldError("/grace_days", "must be a whole number from 0 to 90"))
        else:
            values["grace_days"] = days
    if "payoff_counts_today" in data:
        if isinstance(data["payoff_counts_today"], bool):
            values["payoff_counts_today"] = data["payoff_counts_today"]
        else:
            errors.append(FieldError("/payoff_counts_today", "must be true or false"))


def _allocation_order(value: Any) -> tuple[Component, ...]:
    allowed = sorted(str(component) for component in Component)
    if not isinstance(value, list) or sorted(map(str, value)) != allowed:
        message = f"must name each of {', '.join(allowed)} exactly once"
        raise InvalidTerms(message, errors=[FieldError("/allocation_order", message)])
    return tuple(Component(item) for item in value)


def _refuse_unknown(name: str, value: dict[str, Any], known: type) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    allowed = [f.name for f in fields(known)]
    errors = [FieldError(f"/{name}/{key}", "unknown field", "unknown_field") for key in value if key not in allowed]
    if errors:
        raise InvalidTerms("unknown field", errors=errors)


def _late_fee(value: dict[str, Any]) -> LateFee:
    _refuse_unknown("late_fee", value, LateFee)
    allowed = [str(kind) for kind in LateFeeKind]
    kind = value.get("kind", "none")
    if kind not in allowed:
        message = f"must be one of {', '.join(allowed)}"
        raise InvalidTerms(message, errors=[FieldError("/late_fee/kind", message)])
    cap = value.get("cap")
    fee = LateFee(
        kind=LateFeeKind(kind),
        flat=_non_negative(value.get("flat", "0.00"), "/late_fee/flat"),
        percent=_rate(value.get("percent", "0"), "/late_fee/percent"),
        cap=None if cap is None else _non_negative(cap, "/late_fee/cap"),
    )
    if fee.percent > 1:
        raise InvalidTerms("too high", errors=[FieldError("/late_fee/percent", "must be at most 1 (100 %)")])
    return fee


def _limits(value: dict[str, Any]) -> Limits:
    _refuse_unknown("limits", value, Limits)
    default = Limits()
    values: dict[str, Any] = {
        name: _non_negative(value[name], f"/limits/{name}") for name in ("min_principal", "max_principal") if name in value
    }
    values |= {name: _rate(value[name], f"/limits/{name}") for name in ("min_rate", "max_rate") if name in value}
    counts = {name: value[name] for name in ("min_periods", "max_periods") if name in value}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= default.max_periods:
            message = f"must be a whole number from 1 to {default.max_periods}"
            raise InvalidTerms(message, errors=[FieldError(f"/limits/{name}", message)])
    limits = Limits(**values, **counts)
    for low, high in (("min_principal", "max_principal"), ("min_rate", "max_rate"), ("min_periods", "max_periods")):
        if getattr(limits, low) > getattr(limits, high):
            message = f"must not exceed {high}"
            raise InvalidTerms(message, errors=[FieldError(f"/limits/{low}", message)])
    return limits


def _non_negative(value: Any, pointer: str) -> int:
    if not isinstance(value, str) or value.startswith("-"):
        message = 'must be a non-negative decimal string such as "30.00"'
        raise InvalidTerms(message, errors=[FieldError(pointer, message)])
    try:
        return parse_amount(value, pointer)
    except Exception as error:
        raise InvalidTerms(str(error), errors=getattr(error, "errors", ())) from error


def _rate(value: Any, pointer: str) -> Fraction:
    if not isinstance(value, str):
        message = 'must be a decimal string such as "0.05"'
        raise InvalidTerms(message, errors=[FieldError(pointer, message)])
    try:
        return parse_rate(value, pointer)
    except Exception as error:
        raise InvalidTerms(str(error), errors=getattr(error, "errors", ())) from error
