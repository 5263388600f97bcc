"""Files of payments: previewed when they are uploaded, posted row by row when a person says so, each row once.

Both are done a page a transaction, and the outcomes of its rows are the checkpoint: whoever goes on, goes on with the rows
that have none yet. A row is posted by `services.payments.record_many` with its external id, so a row, a page or a whole file
that comes twice is there once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from domain.errors import FieldError, InvalidInput, Refusal, WrongState
from domain.money import format_amount
from domain.payment_file import FileRow, read
from infra.db.pipeline import Row
from infra.db.queries import payment_batches as queries
from infra.db.repositories import payment_batches as repository
from infra.db.repositories.loans import loan_rows
from infra.db.repositories.payment_batches import TO_POST, WAITING
from infra.db.repositories.payments import payments_by_external_id
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services.payments import RecordPayment, preview_next, record_many
from services.replaying import LockedLoan, read_loans

WORKFLOW_TYPE: Final = "PaymentBatchWorkflow"
PREVIEW_TYPE: Final = "PaymentBatchPreviewWorkflow"
PAGE: Final = 100
"""Rows a page: about a second of work, during which another payment on one of their loans waits."""
PREVIEW_PAGE: Final = 250
"""Rows a page of a preview, which keeps only who uploads or cancels the file waiting: a fraction of a second of work, or two
seconds where the loans have years of payments."""
_LONGEST_REASON: Final = 1000
_COLUMNS: Final = {"effective_date": "date", "payment_method": "method"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch has come: rows by what became of them; `left` are yet to be posted (or, once it is cancelled, never
    will be)."""

    status: str
    posted: int
    already_there: int
    rejected: int
    left: int


@dataclass(frozen=True, slots=True)
class PreviewProgress:
    """How far the preview of a batch has come: `rows` in all, `previewed` so far, and how many of those are rejected."""

    status: str
    rows: int
    previewed: int
    rejected: int


def workflow_id(batch_id: UUID) -> str:
    """The id of the workflow that posts a batch."""
    return f"payment-batch/{batch_id}"


def preview_workflow_id(batch_id: UUID) -> str:
    """The id of the workflow that previews a batch."""
    return f"payment-batch-preview/{batch_id}"


def workflow_of(batch: Row) -> str | None:
    """The id of the workflow that is at work on a batch, or has posted it; None where there is none."""
    if batch["posting_at"] is not None:
        return workflow_id(batch["id"])
    return preview_workflow_id(batch["id"]) if batch["status"] == "previewing" else None


async def upload(uow: UnitOfWork, content: bytes) -> tuple[UUID, bool]:
    """Keep a file of payments and preview its first page; of a longer one the workflow previews the others. Nothing is
    posted. Returns the batch, and whether it is new: the same bytes again are the same batch, until that is cancelled.

    Raises InvalidInput for a file that cannot be read as a whole (see domain/payment_file.py); rows never raise.
    """
    file_hash = hashlib.sha256(content).digest()
    known = await repository.batch_of_file(uow, file_hash)
    if known is not None:
        return known, False
    file = await asyncio.to_thread(read, content)  # other requests go on meanwhile
    batch_id = new_id()
    batch = {
        "id": batch_id,
        "file_hash": file_hash,
        "columns": list(file.columns),
        "status": "previewing",
        "business_date": await uow.business_date(),
        "rows": len(file.rows),
        "created_by": uow.actor.id,
        "created_at": uow.recorded_at,
    }
    if not await repository.add_batch(uow, batch):
        return await upload(uow, content)  # somebody sent it at the same time
    await repository.add_rows(uow, [_as_read(batch_id, row) for row in file.rows])
    after = {"status": "previewing", "rows": len(file.rows), "sha256": file_hash.hex()}
    await uow.audit("payment_batch.uploaded", "payment_batch", batch_id, after=after)
    if await preview_page(uow, batch_id):
        await _intend(uow, PREVIEW_TYPE, preview_workflow_id(batch_id), batch_id, "payment-batch-preview")
    return batch_id, True


async def preview_page(uow: UnitOfWork, batch_id: UUID, limit: int = PREVIEW_PAGE) -> bool:
    """Preview the next `limit` rows of a batch, and with a loan all its rows; returns whether there may be more.

    After the last one the batch is previewed and has its control total. Does nothing when it is not being previewed (any
    more). Raises NotFound.
    """
    batch = await repository.batch_row(uow, batch_id, lock=True)
    if batch["status"] != "previewing":
        return False
    rows = [dict(row) for row in await repository.rows_to_preview(uow, batch_id, limit)]
    await _preview(uow, rows, batch["business_date"])
    repository.save_rows(uow, rows)
    if len(rows) >= limit:
        return True
    control_total = await repository.total_to_post(uow, batch_id)
    await repository.set_batch(uow, batch_id, status="previewed", control_total=control_total)
    after = {"status": "previewed", "control_total": format_amount(control_total), **await repository.counts(uow, batch_id)}
    await uow.audit("payment_batch.previewed", "payment_batch", batch_id, before={"status": "previewing"}, after=after)
    return False


async def post(uow: UnitOfWork, batch_id: UUID, expected_total: int) -> None:
    """Have a previewed batch posted by its workflow. `expected_total`: its control total (minor units), as the sender of the
    file knows it.

    Raises NotFound; WrongState unless it is previewed, or when no row can be posted; InvalidInput at /expected_total.
    """
    batch = await repository.batch_row(uow, batch_id, lock=True)
    _expect(batch, "posted", ["previewed"])
    if expected_total != batch["control_total"]:
        message = f"must be the control total of the rows that can be posted, {format_amount(batch['control_total'])}"
        raise InvalidInput.at("/expected_total", message, code="control_total_differs")
    if not batch["control_total"]:
        raise WrongState(
            "No row of the batch can be posted.", state=batch["status"], allowed=["cancel"], code="nothing_to_post"
        )
    await repository.set_batch(uow, batch_id, status="posting", posting_at=uow.recorded_at, posted_by=uow.actor.id)
    after = {"status": "posting", "control_total": format_amount(expected_total)}
    await uow.audit("payment_batch.posting", "payment_batch", batch_id, before={"status": "previewed"}, after=after)
    await _intend(uow, WORKFLOW_TYPE, workflow_id(batch_id), batch_id, "payment-batch")


async def cancel(uow: UnitOfWork, batch_id: UUID, reason: str) -> None:
    """Preview or post no more of a batch; what is posted stays. Waits for the page that is at work.

    Raises NotFound; WrongState when it is posted or cancelled already.
    """
    batch = await repository.batch_row(uow, batch_id, lock=True)
    _expect(batch, "cancelled", ["previewing", "previewed", "posting"])
    await repository.set_batch(uow, batch_id, status="cancelled", finished_at=uow.recorded_at, cancel_reason=reason)
    before = {"status": batch["status"]}
    after = {"status": "cancelled", **await repository.counts(uow, batch_id)}
    await uow.audit("payment_batch.cancelled", "payment_batch", batch_id, before=before, after=after, reason=reason)


async def post_page(uow: UnitOfWork, batch_id: UUID, limit: int = PAGE) -> bool:
    """Post the next `limit` rows of a batch; returns whether there may be more.

    A row that is refused now is rejected with the reason; the others are posted. Does nothing when the batch is not being
    posted (any more). Raises NotFound.
    """
    batch = await repository.batch_row(uow, batch_id, lock=True)
    if batch["status"] != "posting":
        return False
    rows = await repository.rows_to_post(uow, batch_id, limit)
    await uow.fetch(loan_rows(sorted({row["loan_id"] for row in rows}), lock=True))  # before the first row takes its own
    outcomes = [outcome for wave in _waves(rows) for outcome in await _post_wave(uow, wave)]
    if outcomes:
        await repository.set_outcomes(uow, outcomes)
    if len(rows) == limit:
        return True
    await repository.set_batch(uow, batch_id, status="posted", finished_at=uow.recorded_at)
    after = {"status": "posted", **await repository.counts(uow, batch_id)}
    await uow.audit("payment_batch.posted", "payment_batch", batch_id, before={"status": "posting"}, after=after)
    return False


async def progress(uow: UnitOfWork, batch_id: UUID) -> Progress:
    """How far a batch has come. Raises NotFound."""
    batch = await repository.batch_row(uow, batch_id, lock=False)
    found = await repository.counts(uow, batch_id)
    return Progress(
        status=batch["status"],
        posted=found.get("posted", 0),
        already_there=found.get("already_there", 0),
        rejected=found.get("rejected", 0),
        left=sum(found.get(outcome, 0) for outcome in TO_POST),
    )


async def preview_progress(uow: UnitOfWork, batch_id: UUID) -> PreviewProgress:
    """How far the preview of a batch has come. Raises NotFound."""
    batch = await repository.batch_row(uow, batch_id, lock=False)
    found = await repository.counts(uow, batch_id)
    rows: int = batch["rows"]
    return PreviewProgress(batch["status"], rows, rows - found.get(WAITING, 0), found.get("rejected", 0))


async def rejected(uow: UnitOfWork, batch_id: UUID) -> tuple[Row, Sequence[Row]]:
    """A batch and its rejected rows, in the order of the file.

    Raises NotFound; WrongState while it is being previewed, when more may be rejected.
    """
    batch = await repository.batch_row(uow, batch_id, lock=False)
    if batch["status"] == "previewing":
        raise WrongState(
            "The batch is previewing: which rows are rejected is known once it is previewed.",
            state=batch["status"],
            allowed=["previewed", "posting", "posted", "cancelled"],
        )
    return batch, await uow.all(queries.rejected(batch_id))


async def _intend(uow: UnitOfWork, workflow_type: str, workflow: str, batch_id: UUID, kind: str) -> None:
    await uow.intend(
        "start",
        workflow_type,
        workflow,
        {"tenant_id": str(uow.tenant_id), "batch_id": str(batch_id)},
        search_attributes={"TenantId": str(uow.tenant_id), "WorkflowKind": kind, "Stage": "running"},
    )


def _expect(batch: Row, wanted: str, states: list[str]) -> None:
    if batch["status"] not in states:
        raise WrongState(
            f"The batch is {batch['status']}: only one that is {' or '.join(states)} can be {wanted}.",
            state=batch["status"],
            allowed=states,
        )


def _waves(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows in groups of as many loans: the first of each loan, then the second, ..."""
    waves: list[list[Row]] = []
    seen: Counter[UUID] = Counter()
    for row in rows:
        if seen[row["loan_id"]] == len(waves):
            waves.append([])
        waves[seen[row["loan_id"]]].append(row)
        seen[row["loan_id"]] += 1
    return waves


async def _post_wave(uow: UnitOfWork, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Post rows of as many loans together; when one is refused, each half by itself, down to the row that is."""
    try:
        async with uow.savepoint():
            recorded = await record_many(uow, [_command(row) for row in rows])
    except Refusal as refusal:
        if len(rows) == 1:
            return [{"key": rows[0]["id"], **_rejected(refusal), "payment_id": None}]
        half = len(rows) // 2
        return [*await _post_wave(uow, rows[:half]), *await _post_wave(uow, rows[half:])]
    return [
        {
            "key": row["id"],
            "outcome": "posted" if paid.created else "already_there",
            "code": None,
            "reason": None,
            "payment_id": paid.id,
        }
        for row, paid in zip(rows, recorded, strict=True)
    ]


def _command(row: Row | dict[str, Any]) -> RecordPayment:
    """What recording a row means: for the preview and for the posting."""
    terms = (row["loan_id"], row["amount"], row["payment_method"], row["effective_date"])
    return RecordPayment(*terms, external_id=row["external_id"])


# --- the preview ---


async def _preview(uow: UnitOfWork, rows: Sequence[dict[str, Any]], business_date: date) -> None:
    """Write into rows what would become of them. They are all rows of their loans that have not been previewed: those of one
    loan are previewed one after the other, in the order of the file.

    `business_date`: of the upload, which is the day of a row that says none.
    """
    loan_ids = await repository.loan_ids(uow, {row["loan_number"] for row in rows})
    known = await payments_by_external_id(uow, {row["external_id"] for row in rows})
    of_loan: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["line"]):
        loan_id = loan_ids.get(row["loan_number"])
        if loan_id is None:
            row |= _rejected_for(FieldError("loan_number", "there is no such loan", "unknown_loan"))
            continue
        row["loan_id"] = loan_id
        if row["effective_date"] is None:  # of a payment that is there already, a later day would make another one
            there = known.get(row["external_id"])
            row["effective_date"] = business_date if there is None else there["effective_date"]
        of_loan[loan_id].append(row)
    for loan in (await read_loans(uow, of_loan, lock=False))[0]:
        for row in of_loan[loan.id]:
            row |= await _look(uow, loan, row, known)
            await asyncio.sleep(0)  # other requests go on meanwhile


def _as_read(batch_id: UUID, row: FileRow) -> dict[str, Any]:
    values = {
        "id": new_id(),
        "batch_id": batch_id,
        "line": row.line,
        "cells": list(row.cells),
        "loan_number": row.loan_number,
        "loan_id": None,
        "amount": row.amount,
        "effective_date": row.effective_date,
        "payment_method": row.payment_method,
        "external_id": row.external_id,
        "outcome": WAITING,
        "unapplied": None,
        "code": None,
        "reason": None,
        "payment_id": None,
    }
    return values if row.error is None else values | _rejected_for(row.error)


async def _look(uow: UnitOfWork, loan: LockedLoan, values: dict[str, Any], known: Mapping[str, Row]) -> dict[str, Any]:
    """What would become of a row: what to change in it."""
    there = known.get(values["external_id"])
    try:
        seen = await preview_next(uow, loan, _command(values), there)
    except Refusal as refusal:
        return _rejected(refusal)
    if seen is None:
        assert there is not None
        return {"outcome": "already_there", "payment_id": there["id"]}
    unapplied = seen.allocation.unapplied
    return {"outcome": "unapplied" if unapplied else "acceptable", "unapplied": unapplied}


def _rejected(refusal: Refusal) -> dict[str, Any]:
    """The outcome of a row that the loan does not take, in the words of the file."""
    if not refusal.errors:
        return {"outcome": "rejected", "code": refusal.code, "reason": refusal.detail[:_LONGEST_REASON]}
    first = refusal.errors[0]
    name = first.pointer.lstrip("/")
    return _rejected_for(FieldError(_COLUMNS.get(name, name), first.message, refusal.code))


def _rejected_for(error: FieldError) -> dict[str, Any]:
    reason = f"{error.pointer}: {error.message}" if error.pointer else error.message
    return {"outcome": "rejected", "code": error.code, "reason": reason[:_LONGEST_REASON]}
