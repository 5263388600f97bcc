"""The properties of loans with the interest method `recalculated`."""

from __future__ import annotations

from fractions import Fraction

import pytest

from domain.loan import LoanStatus
from domain.plan import contract
from domain.program import InterestMethod, PeriodInterest
from tests.properties import exact
from tests.properties.budget import histories
from tests.properties.machine import FULL_EVERY, LoanMachine

pytestmark = pytest.mark.timeout(3600)
"""Hundreds of histories are one test; a build machine may be slow."""


class Recalculated(LoanMachine):
    method = InterestMethod.RECALCULATED

    def check_earned(self) -> None:
        """Each period's interest is rounded once, so the figure is the exact one but for half a cent a period. Where today
        counts, what paid the loan off has paid the interest of its own day too, which the principal bore no more."""
        life, program = self.life, self.life.terms.program
        if program.payoff_counts_today and life.result.state.status is LoanStatus.PAID_OFF:
            return
        periodic = program.past_due_interest and program.period_interest is PeriodInterest.PERIODIC
        if self.steps % FULL_EVERY or not self.is_plain() or not periodic:
            return
        plan = contract(life.terms).plan
        borne = exact.earned_by_periods(life.terms, plan, life.moves, life.today)
        begun = sum(start < life.today for start in plan.starts)
        assert abs(life.earned - borne) <= Fraction(begun + 1, 2)


TestRecalculated = Recalculated.TestCase
TestRecalculated.settings = histories()
