"""Accounting periods: the months of the general ledger, closed in order and reopened from the latest back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Owner, Viewer
from api.schemas.periods import AccountingPeriod, ReopenRequest
from domain.periods import parse_month
from infra.db.uow import UnitOfWork
from services import periods as service

router = APIRouter(prefix="/gl/periods", tags=["ledger"])


@router.get("")
async def list_periods(caller: Viewer) -> list[AccountingPeriod]:
    """Every month there are books for, the latest first. What was posted into a closed one never changes."""
    async with caller.uow() as uow:
        return [_out(period) for period in await service.list_periods(uow)]


@router.post("/{month}/close", response_model=AccountingPeriod)
async def close_period(month: str, request: Request, caller: Owner) -> Response:
    """Close a month (yyyy-mm) that has ended, all before it being closed. Corrections of it are posted on the business
    date from then on."""

    async def action(uow: UnitOfWork) -> AccountingPeriod:
        return _out(await service.close(uow, parse_month(month)))

    return await execute(request, caller, action, status=200)


@router.post("/{month}/reopen", response_model=AccountingPeriod)
async def reopen_period(month: str, body: ReopenRequest, request: Request, caller: Owner) -> Response:
    """Open the latest closed month (yyyy-mm) again; what was posted later meanwhile stays where it is."""

    async def action(uow: UnitOfWork) -> AccountingPeriod:
        return _out(await service.reopen(uow, parse_month(month), body.reason))

    return await execute(request, caller, action, status=200)


def _out(period: service.Period) -> AccountingPeriod:
    return AccountingPeriod(
        month=f"{period.month:%Y-%m}",
        status=period.status,
        closed_by=period.closed_by,
        closed_at=period.closed_at,
        reopened_by=period.reopened_by,
        reopened_at=period.reopened_at,
    )
