"""A borrower's own payments."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter

from api.deps import BorrowerUser
from api.pagination import Page, Paging
from api.routers.payments import Filter, page_of
from api.schemas.payments import Payment

router = APIRouter(prefix="/portal/payments", tags=["portal-payments"])


@router.get("")
async def list_payments(caller: BorrowerUser, paging: Paging, narrow: Filter) -> Page[Payment]:
    """The borrower's payments on all of their loans, the newest recorded first."""
    async with caller.uow() as uow:
        return await page_of(uow, replace(narrow, borrower_id=caller.borrower), paging)
