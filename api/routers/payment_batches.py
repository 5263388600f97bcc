"""Files of payments: upload and preview, post, cancel, correct."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response

from api.commands import Answer, execute
from api.deps import LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.routers.processes import status_url
from api.schemas.payment_batches import (
    BatchStatus,
    CancelBatchRequest,
    PaymentBatch,
    PaymentBatchItem,
    PaymentBatchRow,
    PostBatchRequest,
    RejectedSum,
    RowOutcome,
    RowSum,
)
from domain.payment_file import rejects
from infra.db.queries import payment_batches as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import payment_batches as service

router = APIRouter(prefix="/payment-batches", tags=["payment batches"])

_EXAMPLE = "loan_number,amount,date,method,external_id\nL-1001,297.47,2020-10-09,check,LOCKBOX-2020-10-09-1\n"
File = Annotated[bytes, Body(media_type="text/csv", description="the file", openapi_examples={"file": {"value": _EXAMPLE}})]


_OTHER_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": PaymentBatch, "description": "The file was uploaded before"},
    202: {"model": PaymentBatch, "description": "Kept; its rows are being previewed"},
}


@router.post("", status_code=201, response_model=PaymentBatch, responses=_OTHER_ANSWERS)
async def upload_batch(file: File, request: Request, caller: LoanOfficer) -> Response:
    """Upload a file of payments and see what posting it would do; nothing is posted yet.

    CSV in UTF-8 with a header: `loan_number`, `amount` ("123.45") and `external_id`, and where wanted `date` (ISO, default:
    the business date) and `method` (ach, wire, check, card, cash or other, default: check). At most 10 MB and 50,000 rows,
    100 of one loan, and in all what an amount can be. An `external_id` is that of `POST /loans/{loan_id}/payments`: a
    payment that has it is not recorded again. A file of rejects is taken as it is.

    A file of fewer than 250 rows is previewed at once (201). A longer one is kept (202, `previewing`); its batch tells how
    many rows are previewed, and can be posted when they all are. The same file again answers 200 with the first batch,
    unless that was cancelled.
    """

    async def action(uow: UnitOfWork) -> Answer:
        batch_id, created = await service.upload(uow, file)
        batch = await _view(uow, request.app.state.temporal, batch_id)
        kept = 202 if batch.status is BatchStatus.PREVIEWING else 201
        return Answer(batch, kept if created else 200)

    return await execute(request, caller, action)


@router.get("")
async def list_batches(caller: Viewer, paging: Paging) -> Page[PaymentBatchItem]:
    """Files of payments, the newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.batch_list(paging.after, paging.limit))
    return make_page(rows, paging, lambda row: PaymentBatchItem.model_validate(dict(row)))


@router.get("/{batch_id}")
async def get_batch(batch_id: UUID, request: Request, caller: Viewer) -> PaymentBatch:
    """A file of payments: what its rows would come to, or have come to so far."""
    async with caller.uow() as uow:
        return await _view(uow, request.app.state.temporal, batch_id)


@router.get("/{batch_id}/rows")
async def list_rows(
    batch_id: UUID, caller: Viewer, paging: Paging, outcome: RowOutcome | None = None
) -> Page[PaymentBatchRow]:
    """The rows of a file, in its order."""
    async with caller.uow() as uow:
        await uow.one(queries.batch(batch_id), "payment batch")
        rows = await uow.all(queries.rows(batch_id, outcome, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: PaymentBatchRow.model_validate(dict(row)))


@router.get("/{batch_id}/rejects", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def download_rejects(batch_id: UUID, caller: Viewer) -> Response:
    """The rejected rows as CSV, once all are previewed: the columns of the file, then the line and the reason. Correct it
    and upload it.

    Text that a spreadsheet would take for a formula begins with an apostrophe, which an upload takes off again.
    """
    async with caller.uow() as uow:
        batch, rows = await service.rejected(uow, batch_id)
    text = "".join(rejects(batch["columns"], ((row["line"], row["cells"], row["reason"]) for row in rows)))
    headers = {"Content-Disposition": f'attachment; filename="rejects-{batch_id}.csv"'}
    return Response(text.encode(), media_type="text/csv", headers=headers)


@router.post("/{batch_id}/post", status_code=202, response_model=PaymentBatch)
async def post_batch(batch_id: UUID, body: PostBatchRequest, request: Request, caller: LoanOfficer) -> Response:
    """Post the rows that can be posted, one by one, as `POST /loans/{loan_id}/payments` would. The answer comes at once; the
    batch tells how far it is. A row that is refused by then is rejected, and the others are posted."""

    async def action(uow: UnitOfWork) -> PaymentBatch:
        await service.post(uow, batch_id, body.expected_total)
        return await _view(uow, request.app.state.temporal, batch_id)

    return await execute(request, caller, action, status=202)


@router.post("/{batch_id}/cancel", response_model=PaymentBatch)
async def cancel_batch(batch_id: UUID, body: CancelBatchRequest, request: Request, caller: LoanOfficer) -> Response:
    """Preview or post no more of a file, before or between two of its pages; what is posted stays."""

    async def action(uow: UnitOfWork) -> PaymentBatch:
        await service.cancel(uow, batch_id, body.reason)
        return await _view(uow, request.app.state.temporal, batch_id)

    return await execute(request, caller, action, status=200)


async def _view(uow: UnitOfWork, temporal: Temporal, batch_id: UUID) -> PaymentBatch:
    row = await uow.one(queries.batch(batch_id), "payment batch")
    sums = await uow.all(queries.sums(batch_id))

    def of(*outcomes: str) -> RowSum:
        found = [item for item in sums if item["outcome"] in outcomes]
        return RowSum(rows=sum(item["rows"] for item in found), total=sum(item["total"] for item in found))

    rejected = [item for item in sums if item["outcome"] == "rejected"]
    workflow_id = service.workflow_of(row)
    return PaymentBatch(
        **row,
        rows_previewed=row["rows"] - of(RowOutcome.WAITING).rows,
        **{outcome: of(outcome) for outcome in RowOutcome},
        left=of("acceptable", "unapplied"),
        rejected_because=[
            RejectedSum(code=item["code"], rows=item["rows"], total=item["total"])
            for item in sorted(rejected, key=lambda item: (-item["rows"], item["code"]))
        ],
        workflow_id=workflow_id,
        status_url=workflow_id and status_url(workflow_id),
        ui_url=workflow_id and temporal.ui_link(workflow_id),
    )
