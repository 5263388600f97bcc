"""The properties of loans with the interest method `recalculated`."""

from __future__ import annotations

from domain.program import InterestMethod
from tests.properties.budget import histories
from tests.properties.machine import LoanMachine


class Recalculated(LoanMachine):
    method = InterestMethod.RECALCULATED

    def check_earned(self) -> None:
        """Filled in when the method is there."""


TestRecalculated = Recalculated.TestCase
TestRecalculated.settings = histories()
