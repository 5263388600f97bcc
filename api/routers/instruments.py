"""What a borrower pays by, for staff: bank accounts and cards, and their verification."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.schemas.instruments import Instrument, InstrumentChange, InstrumentRequest, VerificationRequest, instrument_of
from infra.db.queries import borrowers as borrower_queries
from infra.db.queries import instruments as queries
from infra.db.uow import UnitOfWork
from services import instruments

router = APIRouter(prefix="/borrowers/{borrower_id}/payment-instruments", tags=["payment-instruments"])

ReplaceWith = Annotated[
    UUID | None, Query(description="the borrower's bank account on which autopays that draw on this one go on")
]


@router.get("")
async def list_instruments(borrower_id: UUID, caller: Viewer, paging: Paging) -> Page[Instrument]:
    """A borrower's payment instruments, newest first."""
    return await page_of(caller, borrower_id, paging)


@router.post("", status_code=201, response_model=Instrument)
async def add_instrument(borrower_id: UUID, body: InstrumentRequest, request: Request, caller: LoanOfficer) -> Response:
    """Add a bank account or a card. One that the borrower has already is refused, naming it."""
    return await add(request, caller, borrower_id, body)


@router.get("/{instrument_id}")
async def get_instrument(borrower_id: UUID, instrument_id: UUID, caller: Viewer) -> Instrument:
    """One payment instrument."""
    async with caller.uow() as uow:
        return await view(uow, borrower_id, instrument_id)


@router.patch("/{instrument_id}", response_model=Instrument)
async def change_instrument(
    borrower_id: UUID, instrument_id: UUID, body: InstrumentChange, request: Request, caller: LoanOfficer
) -> Response:
    """Change the fields that are sent, or add the account number or a processor's token."""
    return await change(request, caller, borrower_id, instrument_id, body)


@router.delete("/{instrument_id}", status_code=204, response_class=Response)
async def remove_instrument(
    borrower_id: UUID, instrument_id: UUID, request: Request, caller: LoanOfficer, replace_with: ReplaceWith = None
) -> Response:
    """Remove a payment instrument; autopays that draw on it go on with `replace_with`, and without it forbid this."""
    return await remove(request, caller, borrower_id, instrument_id, replace_with)


@router.post("/{instrument_id}/verification", response_model=Instrument)
async def set_verification(
    borrower_id: UUID, instrument_id: UUID, body: VerificationRequest, request: Request, caller: LoanOfficer
) -> Response:
    """Record how far the verification has come. An account whose verification has failed is not drafted."""

    async def action(uow: UnitOfWork) -> Instrument:
        await instruments.set_verification(uow, borrower_id, instrument_id, body.status, body.method, body.reason)
        return await view(uow, borrower_id, instrument_id)

    return await execute(request, caller, action, status=200)


async def page_of(caller: Caller, borrower_id: UUID, paging: Paging) -> Page[Instrument]:
    """A page of a borrower's instruments. Raises NotFound("borrower")."""
    async with caller.uow() as uow:
        await uow.one(borrower_queries.borrower(borrower_id), "borrower")
        rows = await uow.all(queries.instrument_list(borrower_id, paging.after, paging.limit))
        today = await uow.business_date()
    return make_page(rows, paging, lambda row: instrument_of(row, today))


async def view(uow: UnitOfWork, borrower_id: UUID, instrument_id: UUID) -> Instrument:
    """One instrument. Raises NotFound."""
    row = await uow.one(queries.instrument(borrower_id, instrument_id), "payment instrument")
    return instrument_of(row, await uow.business_date())


async def add(request: Request, caller: Caller, borrower_id: UUID, body: InstrumentRequest) -> Response:
    """Add an instrument of a borrower, for staff or the borrower."""

    async def action(uow: UnitOfWork) -> Instrument:
        instrument_id = await instruments.add(uow, caller.vault, borrower_id, dict(body))
        return await view(uow, borrower_id, instrument_id)

    return await execute(request, caller, action)


async def change(
    request: Request, caller: Caller, borrower_id: UUID, instrument_id: UUID, body: InstrumentChange
) -> Response:
    """Change an instrument of a borrower, for staff or the borrower."""

    async def action(uow: UnitOfWork) -> Instrument:
        await instruments.change(uow, caller.vault, borrower_id, instrument_id, body.changes())
        return await view(uow, borrower_id, instrument_id)

    return await execute(request, caller, action, status=200)


async def remove(
    request: Request, caller: Caller, borrower_id: UUID, instrument_id: UUID, replace_with: UUID | None
) -> Response:
    """Remove an instrument of a borrower, for staff or the borrower."""

    async def action(uow: UnitOfWork) -> None:
        await instruments.remove(uow, borrower_id, instrument_id, replace_with)

    return await execute(request, caller, action, status=204)
