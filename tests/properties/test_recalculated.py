"""The properties of loans with the interest method `recalculated`."""

from __future__ import annotations

from fractions import Fraction

import pytest

from domain.events import Disbursed, FeeCharged, PaymentReceived, PaymentSettled, Reimbursed, ReimbursementSent
from domain.plan import contract
from domain.program import InterestMethod, PeriodInterest
from tests.properties import exact
from tests.properties.budget import histories
from tests.properties.machine import FULL_EVERY, LoanMachine

pytestmark = pytest.mark.timeout(3600)
"""Hundreds of histories are one test; a build machine may be slow."""

_BESIDE_INTEREST = (Disbursed, PaymentReceived, PaymentSettled, FeeCharged, Reimbursed, ReimbursementSent)


class Recalculated(LoanMachine):
    method = InterestMethod.RECALCULATED

    def check_earned(self) -> None:
        """Each period's interest is rounded once, so the figure is the exact one but for half a cent a period."""
        life, program = self.life, self.life.terms.program
        plain = all(isinstance(event.body, _BESIDE_INTEREST) for event in life.events)
        periodic = program.past_due_interest and program.period_interest is PeriodInterest.PERIODIC
        if self.steps % FULL_EVERY or not plain or not periodic:
            return
        took = [*life.result.applications.values(), *life.result.allocations.values()]
        moves = [exact.Move(a.effective_date, a.principal, a.interest) for a in took]
        plan = contract(life.terms).plan
        borne = exact.earned_by_periods(life.terms, plan, moves, life.today)
        begun = sum(start < life.today for start in plan.starts)
        assert abs(life.earned - borne) <= Fraction(begun + 1, 2)


TestRecalculated = Recalculated.TestCase
TestRecalculated.settings = histories()
