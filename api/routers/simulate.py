"""Simulations: what a loan becomes under what is planned for it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.deps import LoanOfficer
from api.schemas.simulate import LoanSimulation, SimulationRequest, simulation_of
from services.simulation import simulated

router = APIRouter(prefix="/loans", tags=["simulation"])


@router.post("/{loan_id}/simulate")
async def simulate_loan(loan_id: UUID, body: SimulationRequest, caller: LoanOfficer) -> LoanSimulation:
    """Run the loan forward from the business date under what is planned, by the same engine. Writes nothing."""
    async with caller.uow() as uow:
        today, found = await simulated(uow, loan_id, body.plans, body.until)
    return simulation_of(loan_id, today, found)
