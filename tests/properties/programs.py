"""Lending programs and terms, drawn over every convention there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import permutations

from hypothesis import assume
from hypothesis import strategies as st

from domain.errors import InvalidTerms
from domain.origination import check_terms
from domain.plan import contract
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
    PayoffInterest,
    PeriodInterest,
    Program,
    Smoothing,
)
from domain.program_form import program_from_dict, program_to_dict
from domain.rounding import Rounding
from domain.terms import LoanTerms

_THREE = [component for component in Component if component is not Component.PENALTIES]
_ORDERS = [*permutations(_THREE), *permutations(Component)]
_COUNTED_BY_THE_DAY = [
    DayCount.ACT_365F,
    DayCount.ACT_360,
    DayCount.ACT_ACT_ISDA,
    DayCount.ACT_ACT_DEC31,
    DayCount.ACT_ACT_FEB29,
]
_THRESHOLDS = st.none() | st.integers(1, 150)

late_fees = st.builds(
    LateFee,
    kind=st.sampled_from(LateFeeKind),
    flat=st.integers(0, 5000),
    percent=st.sampled_from([Fraction(0), Fraction(5, 100), Fraction(1, 4)]),
    cap=st.none() | st.integers(0, 4000),
)


@st.composite
def programs(draw: st.DrawFn, method: InterestMethod) -> Program:
    """A program that the API would take."""
    by_day = method is InterestMethod.SIMPLE_DAILY
    charge_off = draw(_THRESHOLDS)
    earlier = _THRESHOLDS if charge_off is None else st.none() | st.integers(1, charge_off)
    program = Program(
        interest_method=method,
        day_count=draw(st.sampled_from(_COUNTED_BY_THE_DAY if by_day else list(DayCount))),
        period_interest=draw(st.sampled_from(PeriodInterest)),
        first_period=draw(st.sampled_from(FirstPeriod)),
        frequency=draw(st.sampled_from([Frequency.MONTHLY, *Frequency])),
        due_date_roll=draw(st.sampled_from(DueDateRoll)),
        rounding=draw(st.sampled_from(Rounding)),
        smoothing=draw(st.sampled_from(Smoothing)),
        allocation_order=draw(st.sampled_from(_ORDERS)),
        allocation_scope=draw(st.sampled_from(AllocationScope)),
        advance_order=draw(st.sampled_from(AdvanceOrder)),
        extra_money=draw(st.sampled_from(ExtraMoney)),
        past_due_interest=draw(st.booleans()),
        instalment_fee=draw(st.sampled_from([0, 0, 250])),
        grace_days=draw(st.integers(0, 40)),
        late_fee=draw(late_fees),
        nsf_fee=draw(st.sampled_from([0, 2500])),
        charge_off_interest=draw(st.sampled_from(ChargeOffInterest)),
        delinquency_tolerance=draw(st.sampled_from([0, 0, 100])),
        non_accrual_days=draw(earlier),
        default_days=draw(earlier),
        charge_off_days=charge_off,
        payoff_interest=draw(st.sampled_from(PayoffInterest)),
        payoff_counts_today=draw(st.booleans()),
    )
    assert program_from_dict(program_to_dict(program)) == program
    return program


@st.composite
def terms(draw: st.DrawFn, method: InterestMethod) -> LoanTerms:
    """Terms of a loan that can be booked, of up to 14 instalments."""
    program = draw(programs(method))
    start = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 800)))
    periods = 1 if program.frequency is Frequency.SINGLE else draw(st.integers(1, 14))
    drawn = LoanTerms(
        program=program,
        principal=draw(st.integers(10_000, 3_000_000) | st.integers(1, 300)),
        annual_rate=Fraction(draw(st.integers(0, 3600)), 10_000),
        periods=periods,
        contract_date=start,
        first_due_date=start + timedelta(days=draw(st.integers(1, 45))),
    )
    if not draw(st.integers(0, 3)):
        drawn = replace(
            drawn,
            balloon=drawn.principal * draw(st.integers(0, 60)) // 100,
            interest_only_periods=draw(st.integers(0, periods - 1)),
            deferred_periods=draw(st.integers(0, 3)),
        )
    try:
        check_terms(drawn)
        contract(drawn)
    except InvalidTerms:
        assume(False)
    return drawn
