"""What a loan becomes under what is planned for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

from domain.simulation import Plan, Simulation, simulate
from infra.db.uow import UnitOfWork
from services.replaying import load_loan, today


async def simulated(
    uow: UnitOfWork, loan_id: UUID, plans_from: Callable[[date], Sequence[Plan]], until: date | None = None
) -> tuple[date, Simulation]:
    """Run a loan forward from the business date, as it is known now; returns that date too. Writes nothing.

    `plans_from` makes the plans for a business date. Raises NotFound, and what domain.simulation.simulate does.
    """
    loan = await load_loan(uow, loan_id)
    start = await today(uow, loan)
    return start, await asyncio.to_thread(simulate, loan.terms, loan.events, start, plans_from(start), until)
