"""What is behind a figure of a loan."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.as_of import KnownAsOf
from api.deps import Viewer
from api.schemas.base import Date
from api.schemas.explain import Explanation, explanation_of
from domain.explain import Figure
from services.explain import explained

router = APIRouter(prefix="/loans", tags=["explain"])

Day = Annotated[Date | None, Query(description="the close of this day; default: the business date")]


@router.get("/{loan_id}/explain")
async def explain_loan_figure(
    loan_id: UUID, caller: Viewer, known: KnownAsOf, figure: Figure, date: Day = None
) -> Explanation:
    """The accruals, days, rates, events and allocations behind a balance; they add up to it exactly."""
    async with caller.uow() as uow:
        return explanation_of(await explained(uow, loan_id, figure, date, known))
