"""What holds for every schedule, and the plain ones worked out a second time in exact fractions."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import InvalidTerms
from domain.plan import contract
from domain.program import FirstPeriod, Frequency, InterestMethod, Program
from domain.rounding import Rounding
from domain.terms import LoanTerms
from tests.properties import exact
from tests.properties.budget import examples
from tests.properties.programs import terms

_A_YEAR = {Frequency.WEEKLY: 52, Frequency.BIWEEKLY: 26, Frequency.MONTHLY: 12}
_DAYS = {Frequency.WEEKLY: 7, Frequency.BIWEEKLY: 14}


@st.composite
def plain_terms(draw: st.DrawFn) -> LoanTerms:
    """Level payments, every period as long as the others."""
    start = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 800)))
    frequency = draw(st.sampled_from(list(_A_YEAR)))
    if frequency is Frequency.MONTHLY:
        start = start.replace(day=min(start.day, 28))
        first = (start.replace(day=1) + timedelta(days=31)).replace(day=start.day)
    else:
        first = start + timedelta(days=_DAYS[frequency])
    program = Program(
        frequency=frequency, first_period=draw(st.sampled_from(FirstPeriod)), rounding=draw(st.sampled_from(Rounding))
    )
    principal, rate = draw(st.integers(1, 5_000_000)), Fraction(draw(st.integers(0, 3600)), 10_000)
    return LoanTerms(program, principal, rate, draw(st.integers(1, 60)), start, first)


@examples()
@given(terms(InterestMethod.SCHEDULED))
def test_a_schedule_repays_the_principal_and_its_last_payment_settles(agreed: LoanTerms) -> None:
    rows = contract(agreed).rows
    assert sum(row.principal for row in rows) == agreed.principal
    assert rows[-1].balance == 0
    assert 1 <= len(rows) <= agreed.periods
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    before = agreed.principal
    for row in rows:
        assert row.payment == row.principal + row.interest
        assert row.balance == before - row.principal >= 0
        before = row.balance
    assert all(earlier < later for earlier, later in pairwise([agreed.contract_date, *(row.due_date for row in rows)]))


@examples()
@given(plain_terms())
def test_a_level_schedule_is_the_exact_annuity_rounded_once(agreed: LoanTerms) -> None:
    program = agreed.program
    periodic = agreed.annual_rate / _A_YEAR[program.frequency]
    try:
        agreed_on = contract(agreed)
    except InvalidTerms:
        assume(False)
        raise
    rows, level = agreed_on.rows, agreed_on.plan.level_payment
    assert level == exact.rounded(exact.level_payment(agreed.principal, [periodic] * agreed.periods), program.rounding)
    balance = agreed.principal
    for row in rows:
        bears = periodic
        if row.number == 1 and program.first_period is FirstPeriod.ACTUAL_365:
            bears = agreed.annual_rate * Fraction((row.due_date - agreed.contract_date).days, 365)
        assert row.interest == exact.rounded(balance * bears, program.rounding)
        assert row.payment == level or row is rows[-1]
        balance = row.balance
