"""Why a figure of a loan is what it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.explain import Explanation, Figure, explain
from domain.history import Known, standing, surviving
from domain.program import Program
from infra.db.uow import UnitOfWork
from services.loans import day_of_loan
from services.replaying import load_loan


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, the program version it follows from, and the numbers of the events in it by their positions."""

    loan_id: UUID
    program_id: UUID
    program_version: int
    program: Program
    explanation: Explanation
    numbers: dict[int, int]


async def explained(
    uow: UnitOfWork, loan_id: UUID, figure: Figure, on: date | None = None, known_as_of: Known = None
) -> Explained:
    """What is behind a figure at the close of a day (default: the business date), as it was known at a time.

    Raises NotFound; InvalidInput at /date for a day after the business date or before the loan began; WrongState for the
    payoff of a loan that is not active.
    """
    loan = await load_loan(uow, loan_id)
    as_of = await day_of_loan(uow, loan, on)
    events = surviving(loan.records, known_as_of)
    numbers = {record.position: number for number, record in standing(loan.records, known_as_of).items()}
    explanation = await asyncio.to_thread(explain, loan.terms, events, as_of, figure)
    row = loan.row
    return Explained(loan_id, row["program_id"], row["program_version"], loan.terms.program, explanation, numbers)
