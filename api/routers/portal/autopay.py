"""A borrower's own autopay. Another borrower's loan is answered like one that does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import BorrowerUser, Caller
from api.routers import autopay as shared
from api.schemas.autopay import Autopay, AutopayChange, AutopayPreview, AutopayRequest, AutopaySkipped, OwnSkipRequest
from infra.db.queries import loans as loan_queries
from infra.db.uow import UnitOfWork
from services import autopay, drafts

router = APIRouter(prefix="/portal/loans/{loan_id}/autopay", tags=["portal-autopay"])


@router.get("")
async def get_autopay(loan_id: UUID, caller: BorrowerUser) -> Autopay:
    """The loan's autopay (the newest, open or ended) with its last drafts and the next one."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        return Autopay(**await shared.values_of(uow, await shared.latest(uow, loan_id)))


@router.get("/preview")
async def preview(loan_id: UUID, caller: BorrowerUser) -> AutopayPreview:
    """The next 12 drafts: when, how much, from which account, or why none."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        return await shared.upcoming(uow, await shared.latest(uow, loan_id))


@router.post("", status_code=201, response_model=Autopay)
async def enrol(loan_id: UUID, body: AutopayRequest, request: Request, caller: BorrowerUser) -> Response:
    """Enrol in autopay. A loan has one open autopay at most."""
    command = autopay.Enrol(loan_id, **body.terms())
    return await _change(request, caller, loan_id, lambda uow: autopay.enrol(uow, command), status=201)


@router.patch("", response_model=Autopay)
async def change(loan_id: UUID, body: AutopayChange, request: Request, caller: BorrowerUser) -> Response:
    """Disable (pause), enable (resume), or change amount, accounts or rules."""
    return await _change(request, caller, loan_id, lambda uow: shared.apply_change(uow, loan_id, body))


@router.post("/skip-next", response_model=AutopaySkipped)
async def skip_next(
    loan_id: UUID, request: Request, caller: BorrowerUser, body: OwnSkipRequest = OwnSkipRequest()
) -> Response:
    """Leave out the next draft, also one that is prepared and not sent. The period after it stays.

    Sent again it changes nothing (`skipped_before`): without a `process_date` it is about the draft whose day comes next,
    and about no later one before that day has passed. To skip the one after it as well, name its `process_date`.
    """

    async def run(uow: UnitOfWork) -> AutopaySkipped:
        await uow.one(loan_queries.loan(loan_id, caller.borrower), "loan")
        skipped = await drafts.skip_next(uow, loan_id, "by the borrower", body.process_date)
        values = await shared.values_of(uow, skipped.enrolment_id)
        return AutopaySkipped(**values, **shared.skipped_values(skipped))

    return await execute(request, caller, run, status=200)


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
        return Autopay(**await shared.values_of(uow, await action(uow)))

    return await execute(request, caller, run, status=status)
