"""Actuarial APRs of Regulation Z, Appendix J: {advances, payments, unit_period, published_apr, published_decimals, ...}."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cli.cases.compare import Checked, amount, exactly, first_difference, is_near
from domain.apr import UnitKind, UnitPeriod, apr, infer_unit_period, round_apr, units_between

SOLVER_TOLERANCE = Decimal("1e-10")
UNITS_TOLERANCE = Decimal("1e-9")
"""Of unit-periods a year and of parts of one, which are printed from doubles."""


def run(document: dict[str, Any], case: dict[str, Any]) -> str | None:
    """The APR of one transaction, as published and as solved, and the unit-periods behind it."""
    return first_difference(_checked(case))


def flows(listed: list[dict[str, Any]]) -> list[tuple[date, int]]:
    """Stated flows ({date, amount}) as the engine takes them."""
    return [(date.fromisoformat(flow["date"]), amount(flow["amount"])) for flow in listed]


def unit_period(case: dict[str, Any]) -> UnitPeriod:
    """The stated unit-period; where none is stated, the one the flows have."""
    given = case.get("unit_period")
    if given is None:
        return infer_unit_period(flows(case["advances"]), flows(case["payments"]))
    return UnitPeriod(UnitKind(given["kind"]), int(str(given.get("count", 1))))


def _checked(case: dict[str, Any]) -> Iterator[Checked]:
    advances, payments, unit = flows(case["advances"]), flows(case["payments"]), unit_period(case)
    rate = apr(advances, payments, unit)
    yield "published_apr", round_apr(rate, int(case["published_decimals"])), Decimal(case["published_apr"])
    if "solver_apr" in case and not is_near(Fraction(rate), case["solver_apr"], SOLVER_TOLERANCE):
        yield "solver_apr", rate, case["solver_apr"]
    a_year = unit.per_year(single_payment=len(advances) == len(payments) == 1)
    if "unit_periods_per_year" in case and not is_near(a_year, case["unit_periods_per_year"], UNITS_TOLERANCE):
        yield "unit_periods_per_year", a_year, case["unit_periods_per_year"]
    for name, (day, _) in (("first_payment_units", payments[0]), ("last_payment_units", payments[-1])):
        if name in case:
            units = units_between(advances[0][0], day, unit)
            stated = case[name]["full"] + exactly(case[name]["fraction"])
            if not is_near(units.full + Fraction(units.part, units.of), stated, UNITS_TOLERANCE):
                yield name, f"{units.full} and {units.part}/{units.of}", f"{case[name]['full']} and {case[name]['fraction']}"
