"""The properties of loans with the interest method `recalculated`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Final

import pytest

from domain.plan import contract
from domain.program import InterestMethod, PeriodInterest
from tests.properties import exact
from tests.properties.budget import histories
from tests.properties.machine import FULL_EVERY, LoanMachine

pytestmark = pytest.mark.timeout(3600)
"""Hundreds of histories are one test; a build machine may be slow."""

DAY: Final = timedelta(days=1)


class Recalculated(LoanMachine):
    method = InterestMethod.RECALCULATED

    def check_earned(self) -> None:
        """Each period's interest is rounded once, so the figure is the exact one but for half a cent a period. Where today
        counts, money that reaches the payoff without today's interest counts from the next day on, and other money does
        not: the figure is between what either would make of all of it."""
        life, program = self.life, self.life.terms.program
        periodic = program.past_due_interest and program.period_interest is PeriodInterest.PERIODIC
        if self.steps % FULL_EVERY or not self.is_plain() or not periodic:
            return
        plan, moves = contract(life.terms).plan, life.moves
        least = most = exact.earned_by_periods(life.terms, plan, moves, life.today)
        if program.payoff_counts_today:
            ahead = [replace(move, day=move.day + DAY) for move in moves]
            paid_today = any(move.day == life.today for move in moves)
            most = exact.earned_by_periods(life.terms, plan, ahead, life.today + DAY * paid_today)
        begun = sum(start < life.today for start in plan.starts)
        half_a_cent_each = Fraction(begun + 1, 2)
        assert least - half_a_cent_each <= life.earned <= most + half_a_cent_each


TestRecalculated = Recalculated.TestCase
TestRecalculated.settings = histories()
