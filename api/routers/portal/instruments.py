"""What a borrower pays by, for the borrower. Another borrower's instrument is answered like one that does not exist."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.deps import BorrowerUser
from api.pagination import Page, Paging
from api.routers import instruments as shared
from api.schemas.instruments import Instrument, InstrumentChange, InstrumentRequest

router = APIRouter(prefix="/portal/payment-instruments", tags=["portal-payment-instruments"])


@router.get("")
async def list_instruments(caller: BorrowerUser, paging: Paging) -> Page[Instrument]:
    """The borrower's payment instruments, newest first."""
    return await shared.page_of(caller, caller.borrower, paging)


@router.post("", status_code=201, response_model=Instrument)
async def add_instrument(body: InstrumentRequest, request: Request, caller: BorrowerUser) -> Response:
    """Add a bank account or a card. One that is there already is refused, naming it."""
    return await shared.add(request, caller, caller.borrower, body)


@router.get("/{instrument_id}")
async def get_instrument(instrument_id: UUID, caller: BorrowerUser) -> Instrument:
    """One of the borrower's payment instruments."""
    async with caller.uow() as uow:
        return await shared.view(uow, caller.borrower, instrument_id)


@router.patch("/{instrument_id}", response_model=Instrument)
async def change_instrument(instrument_id: UUID, body: InstrumentChange, request: Request, caller: BorrowerUser) -> Response:
    """Change the fields that are sent, or add the account number."""
    return await shared.change(request, caller, caller.borrower, instrument_id, body)


@router.delete("/{instrument_id}", status_code=204, response_class=Response)
async def remove_instrument(
    instrument_id: UUID, request: Request, caller: BorrowerUser, replace_with: shared.ReplaceWith = None
) -> Response:
    """Remove a payment instrument; autopays that draw on it go on with `replace_with`, and without it forbid this."""
    return await shared.remove(request, caller, caller.borrower, instrument_id, replace_with)
