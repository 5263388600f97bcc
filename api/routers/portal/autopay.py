"""A borrower's own autopay. Another borrower's loan is answered like one that does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import BorrowerUser, Caller
from api.schemas.autopay import Autopay, AutopayChange, AutopayRequest, autopay_values
from infra.db.queries import loans as loan_queries
from infra.db.queries import processes as queries
from infra.db.uow import UnitOfWork
from services import autopay

router = APIRouter(prefix="/portal/loans/{loan_id}/autopay", tags=["portal-autopay"])


@router.get("")
async def get_autopay(loan_id: UUID, caller: BorrowerUser) -> Autopay:
    """The loan's autopay (the newest, open or ended) with its last drafts."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        row = await uow.one(queries.latest_enrolment(loan_id), "autopay of this loan")
        return await _view(uow, row["id"])


@router.post("", status_code=201, response_model=Autopay)
async def enrol(loan_id: UUID, body: AutopayRequest, request: Request, caller: BorrowerUser) -> Response:
    """Enrol in autopay. A loan has one open autopay at most."""
    command = autopay.Enrol(loan_id, **dict(body))
    return await _change(request, caller, loan_id, lambda uow: autopay.enrol(uow, command), status=201)


@router.patch("", response_model=Autopay)
async def change(loan_id: UUID, body: AutopayChange, request: Request, caller: BorrowerUser) -> Response:
    """Disable (pause), enable (resume), or change amount or account."""

    async def action(uow: UnitOfWork) -> UUID:
        terms = body.model_dump(exclude={"enabled"})
        enrolment_id: UUID | None = None
        if body.enabled is None or any(value is not None for value in terms.values()):
            enrolment_id = await autopay.change(uow, loan_id, autopay.Change(**terms))
        if body.enabled is not None:
            enrolment_id = await (autopay.resume if body.enabled else autopay.pause)(uow, loan_id)
        assert enrolment_id is not None
        return enrolment_id

    return await _change(request, caller, loan_id, action)


@router.delete("", response_model=Autopay)
async def cancel(loan_id: UUID, request: Request, caller: BorrowerUser) -> Response:
    """End the autopay for good: from the answer on, nothing more is drafted."""
    return await _change(request, caller, loan_id, lambda uow: autopay.cancel(uow, loan_id, "cancelled by the borrower"))


async def _change(
    request: Request,
    caller: Caller,
    loan_id: UUID,
    action: Callable[[UnitOfWork], Awaitable[UUID]],
    *,
    status: int = 200,
) -> Response:
    async def run(uow: UnitOfWork) -> Autopay:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        return await _view(uow, await action(uow))

    return await execute(request, caller, run, status=status)


async def _view(uow: UnitOfWork, enrolment_id: UUID) -> Autopay:
    row = await uow.one(queries.enrolment(enrolment_id), "autopay")
    return Autopay(**autopay_values(row, await uow.all(queries.latest_drafts(enrolment_id))))
