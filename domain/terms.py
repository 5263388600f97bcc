"""The contract of a loan: its terms. Amounts are `int` minor units, rates exact fractions of one a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from domain.program import Program


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """The contract. `principal` in minor units, `annual_rate` of one, `contract_date` = origination date."""

    program: Program
    principal: int
    annual_rate: Fraction
    periods: int
    contract_date: date
    first_due_date: date
