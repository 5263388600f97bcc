"""The properties of loans with the interest method `scheduled`."""

from __future__ import annotations

from fractions import Fraction

import pytest

from domain.changes import MODIFICATIONS
from domain.loan import LoanStatus
from domain.program import InterestMethod
from tests.properties import exact
from tests.properties.budget import histories
from tests.properties.machine import LoanMachine

pytestmark = pytest.mark.timeout(3600)
"""Hundreds of histories are one test; a build machine may be slow."""


class Scheduled(LoanMachine):
    method = InterestMethod.SCHEDULED

    def check_earned(self) -> None:
        loan, as_contracted = self.life.result.state, not any(isinstance(e.body, MODIFICATIONS) for e in self.life.events)
        if loan.status is LoanStatus.ACTIVE and as_contracted:
            drift = self.life.earned - exact.earned_by_schedule(loan.instalments, loan.as_of)
            assert abs(drift) <= Fraction(1, 2)


TestScheduled = Scheduled.TestCase
TestScheduled.settings = histories()
