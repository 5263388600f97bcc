"""A program is data: it survives JSON, and what contradicts itself is refused with a pointer to each fault."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from domain.errors import InvalidTerms
from domain.program import (
    Component,
    FirstPeriod,
    LateFee,
    LateFeeKind,
    Limits,
    Program,
    program_from_dict,
    program_to_dict,
)

UNUSUAL = Program(
    first_period=FirstPeriod.ACTUAL_365,
    allocation_order=(Component.INTEREST, Component.PRINCIPAL, Component.FEES),
    late_fee=LateFee(LateFeeKind.LESSER, 3000, Fraction("0.05"), 5000),
    limits=Limits(min_principal=100000, max_rate=Fraction("0.36")),
    payoff_counts_today=True,
)


@pytest.mark.parametrize("program", [Program(), UNUSUAL])
def test_a_program_survives_json(program: Program) -> None:
    assert program_from_dict(json.loads(json.dumps(program_to_dict(program)))) == program


def test_what_is_left_out_takes_its_default() -> None:
    assert program_from_dict({}) == Program()


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"interest_methd": "scheduled"}, "/interest_methd"),
        ({"frequency": "fortnightly"}, "/frequency"),
        ({"frequency": ["monthly"]}, "/frequency"),
        ({"grace_days": -1}, "/grace_days"),
        ({"grace_days": True}, "/grace_days"),
        ({"grace_days": "10"}, "/grace_days"),
        ({"currency": "EUR"}, "/currency"),
        ({"payoff_counts_today": 1}, "/payoff_counts_today"),
        ({"allocation_order": ["fees", "interest"]}, "/allocation_order"),
        ({"allocation_order": ["fees", "fees", "interest"]}, "/allocation_order"),
        ({"late_fee": {"kind": "daily"}}, "/late_fee/kind"),
        ({"late_fee": {"kind": "flat", "flat": "-1.00"}}, "/late_fee/flat"),
        ({"late_fee": {"kind": "percent_of_instalment", "percent": "1.5"}}, "/late_fee/percent"),
        ({"late_fee": {"flat": 30}}, "/late_fee/flat"),
        ({"late_fee": {"flaat": "30.00"}}, "/late_fee/flaat"),
        ({"late_fee": None}, "/late_fee"),
        ({"limits": {"max_periods": 481}}, "/limits/max_periods"),
        ({"limits": {"min_rate": "0.5", "max_rate": "0.1"}}, "/limits/min_rate"),
        ({"limits": {"min_principle": "1.00"}}, "/limits/min_principle"),
        ({"limits": []}, "/limits"),
    ],
)
def test_a_fault_is_named_by_its_pointer(data: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        program_from_dict(data)
    assert [error.pointer for error in refusal.value.errors] == [pointer]


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        program_from_dict({"currency": "EUR", "grace_days": 91, "late_fee": {"kind": "x"}})
    assert {error.pointer for error in refusal.value.errors} == {"/currency", "/grace_days", "/late_fee/kind"}
