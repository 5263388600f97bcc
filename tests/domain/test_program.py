"""A program is data: it survives JSON, and what contradicts itself is refused with a pointer to each fault."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from domain.errors import InvalidTerms
from domain.program import (
    AdvanceOrder,
    ChargeOffInterest,
    Component,
    ExtraMoney,
    FirstPeriod,
    InterestMethod,
    LateFee,
    LateFeeKind,
    Limits,
    Program,
    Smoothing,
)
from domain.program_form import program_from_dict, program_to_dict

UNUSUAL = Program(
    first_period=FirstPeriod.ACTUAL_365,
    allocation_order=(Component.INTEREST, Component.PRINCIPAL, Component.FEES),
    late_fee=LateFee(LateFeeKind.LESSER, 3000, Fraction("0.05"), 5000),
    limits=Limits(min_principal=100000, max_rate=Fraction("0.36")),
    payoff_counts_today=True,
)
EVERY_CONVENTION_ANOTHER = Program(
    interest_method=InterestMethod.RECALCULATED,
    smoothing=Smoothing.ONE_CENT,
    allocation_order=(Component.PENALTIES, Component.FEES, Component.INTEREST, Component.PRINCIPAL),
    advance_order=AdvanceOrder.LAST,
    extra_money=ExtraMoney.UNAPPLIED,
    past_due_interest=False,
    instalment_fee=150,
    nsf_fee=2500,
    charge_off_interest=ChargeOffInterest.CONTINUE,
    chargeback_order=(Component.PRINCIPAL, Component.FEES, Component.PENALTIES, Component.INTEREST),
    delinquency_tolerance=100,
    non_accrual_days=90,
    default_days=91,
    charge_off_days=120,
    payoff_good_through_days=0,
)


@pytest.mark.parametrize("program", [Program(), UNUSUAL, EVERY_CONVENTION_ANOTHER])
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
        ({"allocation_order": ["fees", "penalties", "interest"]}, "/allocation_order"),
        ({"allocation_order": ["fees", "interest", "principal", "penalties", "penalties"]}, "/allocation_order"),
        ({"allocation_order": ["fees", "interest", "principal", ["penalties"]]}, "/allocation_order"),
        ({"allocation_order": "fees"}, "/allocation_order"),
        ({"allocation_order": 3}, "/allocation_order"),
        ({"chargeback_order": ["interest", "fees", "principal"]}, "/chargeback_order"),
        ({"interest_method": "rule_of_78"}, "/interest_method"),
        ({"smoothing": True}, "/smoothing"),
        ({"advance_order": "first"}, "/advance_order"),
        ({"extra_money": None}, "/extra_money"),
        ({"past_due_interest": "no"}, "/past_due_interest"),
        ({"instalment_fee": "-1.00"}, "/instalment_fee"),
        ({"nsf_fee": "25.001"}, "/nsf_fee"),
        ({"nsf_fee": 25}, "/nsf_fee"),
        ({"charge_off_interest": "yes"}, "/charge_off_interest"),
        ({"delinquency_tolerance": None}, "/delinquency_tolerance"),
        ({"non_accrual_days": 0}, "/non_accrual_days"),
        ({"default_days": False}, "/default_days"),
        ({"charge_off_days": 3651}, "/charge_off_days"),
        ({"payoff_good_through_days": None}, "/payoff_good_through_days"),
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


@pytest.mark.parametrize(
    ("data", "pointer", "reason"),
    [
        ({"interest_method": "simple_daily", "day_count": "30E/360"}, "/day_count", "counts calendar days"),
        ({"non_accrual_days": 121, "charge_off_days": 120}, "/non_accrual_days", "never be reached"),
        ({"default_days": 121, "charge_off_days": 120}, "/default_days", "never be reached"),
    ],
)
def test_a_contradiction_is_refused_with_its_reason(data: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        program_from_dict(data)
    ((found, message),) = [(error.pointer, error.message) for error in refusal.value.errors]
    assert found == pointer
    assert reason in message


def test_thresholds_may_fall_on_the_same_day() -> None:
    assert program_from_dict({"non_accrual_days": 120, "default_days": 120, "charge_off_days": 120}).default_days == 120


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        program_from_dict({"currency": "EUR", "grace_days": 91, "late_fee": {"kind": "x"}})
    assert {error.pointer for error in refusal.value.errors} == {"/currency", "/grace_days", "/late_fee/kind"}
