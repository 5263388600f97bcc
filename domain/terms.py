"""The contract of a loan: its terms. Amounts are `int` minor units, rates exact fractions of one a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from domain.program import Program


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """The contract. `principal` in minor units, `annual_rate` of one, `contract_date` = origination date.

    `periods` is the number of instalments. `level_payment` is stated, else the annuity. `balloon` is the part of the last
    payment beyond the level one. The first `interest_only_periods` instalments pay interest only. `deferred_periods`
    are periods before the one that ends on the first due date, in which nothing is due: their interest is paid with the
    first instalment. `due_days` are days of the month (a semimonthly pair, or the one on which a clipped first due date
    is anchored). `prepaid_finance_charge` is paid at origination, so not financed.
    """

    program: Program
    principal: int
    annual_rate: Fraction
    periods: int
    contract_date: date
    first_due_date: date
    level_payment: int | None = None
    balloon: int = 0
    interest_only_periods: int = 0
    deferred_periods: int = 0
    due_days: tuple[int, ...] = ()
    prepaid_finance_charge: int = 0

    def __hash__(self) -> int:
        """Of what tells loans apart: of everything, fractions and the program too, it takes as long as making a schedule."""
        return hash((self.principal, self.periods, self.contract_date, self.first_due_date))
