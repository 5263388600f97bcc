"""The properties of loans with the interest method `simple_daily`."""

from __future__ import annotations

import pytest

from domain.program import DayCount, InterestMethod, PayoffInterest
from tests.properties import exact
from tests.properties.budget import histories
from tests.properties.machine import FULL_EVERY, LoanMachine

pytestmark = pytest.mark.timeout(3600)
"""Hundreds of histories are one test; a build machine may be slow."""


class SimpleDaily(LoanMachine):
    method = InterestMethod.SIMPLE_DAILY

    def check_earned(self) -> None:
        life, program = self.life, self.life.terms.program
        counts_today = program.payoff_interest is PayoffInterest.PER_DIEM and program.payoff_counts_today
        by_day = program.past_due_interest and program.day_count is not DayCount.ACT_ACT_FEB29 and not counts_today
        if self.steps % FULL_EVERY or not self.is_plain() or not by_day:
            return
        moves = life.moves
        posted, drifting = exact.earned_by_days(life.terms, life.opened_on, life.terms.principal, 0, moves, life.today)
        assert life.earned == posted
        assert abs(life.earned - drifting) <= (len(moves) + 1) / 2


TestSimpleDaily = SimpleDaily.TestCase
TestSimpleDaily.settings = histories()
