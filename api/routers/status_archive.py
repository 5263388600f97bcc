"""The status of a loan on any of its days."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.as_of import KnownAsOf
from api.deps import Viewer
from api.schemas.base import Date
from api.schemas.status_archive import LoanStatusOn, loan_status_of
from services.status_archive import Basis, status_on

router = APIRouter(prefix="/loans", tags=["status"])

Day = Annotated[Date | None, Query(description="default: the business date, as it stands")]
OnBasis = Annotated[Basis, Query(description="what was known at that day's close, or what is known of that day now")]


@router.get("/{loan_id}/status")
async def get_loan_status(
    loan_id: UUID, caller: Viewer, known: KnownAsOf, date: Day = None, basis: OnBasis = Basis.ARCHIVED
) -> LoanStatusOn:
    """A loan's figures at the close of a day: as archived then, or restated by what was recorded since."""
    async with caller.uow() as uow:
        return loan_status_of(await status_on(uow, loan_id, date, basis, known))
