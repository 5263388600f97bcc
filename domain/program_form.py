"""The JSON form of a lending program: what the API takes and shows, and what the database keeps.

What is absent takes its default, so that a program stored before a convention existed reads as it was serviced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

from domain.errors import FieldError, InvalidInput, InvalidTerms
from domain.money import format_amount, format_rate, parse_amount, parse_rate
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
    LateFee,
    LateFeeKind,
    Limits,
    PayoffInterest,
    PeriodInterest,
    Program,
    Smoothing,
)
from domain.rounding import Rounding


class _Days(NamedTuple):
    low: int
    high: int
    optional: bool = False


_ENUMS: dict[str, type[StrEnum]] = {
    "interest_method": InterestMethod,
    "day_count": DayCount,
    "period_interest": PeriodInterest,
    "first_period": FirstPeriod,
    "frequency": Frequency,
    "due_date_roll": DueDateRoll,
    "rounding": Rounding,
    "smoothing": Smoothing,
    "allocation_scope": AllocationScope,
    "advance_order": AdvanceOrder,
    "extra_money": ExtraMoney,
    "charge_off_interest": ChargeOffInterest,
    "payoff_interest": PayoffInterest,
}
_ORDERS = {"allocation_order": frozenset({Component.PENALTIES}), "chargeback_order": frozenset[Component]()}
"""Orders of the components, each with those that may be left out."""
_FLAGS = ("past_due_interest", "payoff_counts_today")
_AMOUNTS = ("instalment_fee", "nsf_fee", "delinquency_tolerance")
_THRESHOLD = _Days(1, 3650, optional=True)
_DAYS = {
    "grace_days": _Days(0, 90),
    "non_accrual_days": _THRESHOLD,
    "default_days": _THRESHOLD,
    "charge_off_days": _THRESHOLD,
    "payoff_good_through_days": _Days(0, 90),
}
DAY_BY_DAY = frozenset(
    {DayCount.ACT_360, DayCount.ACT_365F, DayCount.ACT_ACT_ISDA, DayCount.ACT_ACT_DEC31, DayCount.ACT_ACT_FEB29}
)


def program_to_dict(program: Program) -> dict[str, Any]:
    """The JSON form of a program. Inverse of `program_from_dict`."""
    late, limits = program.late_fee, program.limits
    return {
        "currency": program.currency,
        **{name: str(getattr(program, name)) for name in _ENUMS},
        **{name: [str(component) for component in getattr(program, name)] for name in _ORDERS},
        **{name: getattr(program, name) for name in (*_FLAGS, *_DAYS)},
        **{name: format_amount(getattr(program, name)) for name in _AMOUNTS},
        "late_fee": {
            "kind": str(late.kind),
            "flat": format_amount(late.flat),
            "percent": format_rate(late.percent),
            "cap": None if late.cap is None else format_amount(late.cap),
        },
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

    Raises InvalidTerms with one pointer per wrong value, saying what would be allowed, or per contradiction.
    """
    known = {f.name for f in fields(Program)}
    errors = [FieldError(f"/{name}", "unknown field", "unknown_field") for name in data if name not in known]
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if name in data:
            try:
                values[name] = read(data[name], f"/{name}")
            except InvalidInput as error:
                errors += error.errors
    if errors:
        raise InvalidTerms("The program's terms are not acceptable.", errors=errors)
    program = Program(**values)
    errors = _contradictions(program)
    if errors:
        raise InvalidTerms("The program's terms contradict each other.", errors=errors)
    return program


def _contradictions(program: Program) -> list[FieldError]:
    errors = []
    if program.interest_method is InterestMethod.SIMPLE_DAILY and program.day_count not in DAY_BY_DAY:
        allowed = ", ".join(str(count) for count in DayCount if count in DAY_BY_DAY)
        errors.append(FieldError("/day_count", f"simple_daily counts calendar days: must be one of {allowed}"))
    last = program.charge_off_days
    for name in ("non_accrual_days", "default_days"):
        days = getattr(program, name)
        if days is not None and last is not None and days > last:
            errors.append(FieldError(f"/{name}", f"must not exceed charge_off_days ({last}): it would never be reached"))
    return errors


def _currency(value: Any, pointer: str) -> str:
    if value != "USD":
        raise InvalidTerms.at(pointer, "must be USD", code="invalid")
    return "USD"


def _enum(members: type[StrEnum]) -> Callable[[Any, str], StrEnum]:
    allowed = [str(member) for member in members]

    def read(value: Any, pointer: str) -> StrEnum:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidTerms.at(pointer, f"must be one of {', '.join(allowed)}", code="invalid")
        return members(value)

    return read


def _order(optional: frozenset[Component]) -> Callable[[Any, str], tuple[Component, ...]]:
    needed = [str(component) for component in Component if component not in optional]
    beside = "".join(f", and {component} at most once" for component in optional)

    def read(value: Any, pointer: str) -> tuple[Component, ...]:
        items = value if isinstance(value, list) else []
        named = [item for item in items if isinstance(item, str)]
        once = len(set(named)) == len(items)
        if not once or not set(needed) <= set(named) <= set(Component):
            raise InvalidTerms.at(pointer, f"must name each of {', '.join(needed)} exactly once{beside}", code="invalid")
        return tuple(Component(item) for item in named)

    return read


def _flag(value: Any, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidTerms.at(pointer, "must be true or false", code="invalid")
    return value


def _days(allowed: _Days) -> Callable[[Any, str], int | None]:
    def read(value: Any, pointer: str) -> int | None:
        if value is None and allowed.optional:
            return None
        return _whole(value, pointer, allowed.low, allowed.high)

    return read


def _whole(value: Any, pointer: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidTerms.at(pointer, f"must be a whole number from {low} to {high}", code="invalid")
    return value


def _object(value: Any, pointer: str, known: type) -> dict[str, Any]:
    """The value, if it is an object that names no field the dataclass `known` does not have."""
    if not isinstance(value, dict):
        raise InvalidTerms.at(pointer, "is not of the documented form", code="invalid")
    allowed = [f.name for f in fields(known)]
    errors = [FieldError(f"{pointer}/{key}", "unknown field", "unknown_field") for key in value if key not in allowed]
    if errors:
        raise InvalidTerms("unknown field", errors=errors)
    return value


def _late_fee(value: Any, pointer: str) -> LateFee:
    given = _object(value, pointer, LateFee)
    cap = given.get("cap")
    kind = _enum(LateFeeKind)(given.get("kind", "none"), f"{pointer}/kind")
    fee = LateFee(
        kind=LateFeeKind(kind),
        flat=_amount(given.get("flat", "0.00"), f"{pointer}/flat"),
        percent=_rate(given.get("percent", "0"), f"{pointer}/percent"),
        cap=None if cap is None else _amount(cap, f"{pointer}/cap"),
    )
    if fee.percent > 1:
        raise InvalidTerms.at(f"{pointer}/percent", "must be at most 1 (100 %)", code="invalid")
    return fee


def _limits(value: Any, pointer: str) -> Limits:
    given = _object(value, pointer, Limits)
    values: dict[str, Any] = {}
    for name, item in given.items():
        where = f"{pointer}/{name}"
        if name.endswith("_periods"):
            values[name] = _whole(item, where, 1, Limits().max_periods)
        else:
            values[name] = _rate(item, where) if name.endswith("_rate") else _amount(item, where)
    limits = Limits(**values)
    for low, high in (("min_principal", "max_principal"), ("min_rate", "max_rate"), ("min_periods", "max_periods")):
        if getattr(limits, low) > getattr(limits, high):
            raise InvalidTerms.at(f"{pointer}/{low}", f"must not exceed {high}", code="invalid")
    return limits


def _amount(value: Any, pointer: str) -> int:
    if not isinstance(value, str) or value.startswith("-"):
        raise InvalidTerms.at(pointer, 'must be a non-negative decimal string such as "30.00"', code="invalid")
    return parse_amount(value, pointer)


def _rate(value: Any, pointer: str) -> Fraction:
    if not isinstance(value, str):
        raise InvalidTerms.at(pointer, 'must be a decimal string such as "0.05"', code="invalid")
    return parse_rate(value, pointer)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "currency": _currency,
    **{name: _enum(members) for name, members in _ENUMS.items()},
    **{name: _order(optional) for name, optional in _ORDERS.items()},
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_AMOUNTS, _amount),
    **{name: _days(allowed) for name, allowed in _DAYS.items()},
    "late_fee": _late_fee,
    "limits": _limits,
}
