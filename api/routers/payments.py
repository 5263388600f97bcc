"""Payments: record, preview, read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.commands import Answer, execute, has_key, respond, turn
from api.deps import LoanOfficer, Viewer
from api.pagination import Page, PageRequest, Paging, make_page
from api.schemas.base import Date
from api.schemas.payments import (
    AllocationLine,
    ExternalId,
    Payment,
    PaymentDetail,
    PaymentMethod,
    PaymentPreview,
    PaymentRequest,
    PreviewRequest,
)
from api.schemas.payouts import Payout, payout_values
from domain.payment_file import Method
from domain.payments import PaymentStatus
from domain.replay import Preview
from infra.db.queries import loans as loan_queries
from infra.db.queries import payments as queries
from infra.db.queries import payouts as payout_queries
from infra.db.uow import UnitOfWork
from services import payments as service

router = APIRouter(tags=["payments"])


def _filter(
    status: PaymentStatus | None = None,
    payment_method: PaymentMethod | None = None,
    effective_from: Annotated[Date | None, Query(description="effective on this day or later")] = None,
    effective_to: Annotated[Date | None, Query(description="effective on this day or earlier")] = None,
    external_id: ExternalId | None = None,
) -> queries.PaymentFilter:
    return queries.PaymentFilter(
        status=status,
        payment_method=payment_method,
        effective_from=effective_from,
        effective_to=effective_to,
        external_id=external_id,
    )


Filter = Annotated[queries.PaymentFilter, Depends(_filter)]


@router.post("/loans/{loan_id}/payments", status_code=201, response_model=Payment, responses={200: {"model": Payment}})
async def record_payment(loan_id: UUID, body: PaymentRequest, request: Request, caller: LoanOfficer) -> Response:
    """Record money received: allocated by the loan's program, posted, and completed at once.

    Answers 200 with the first payment when this one, by its `external_id`, was recorded already.
    """

    command = service.RecordPayment(
        loan_id=loan_id,
        amount=body.amount,
        payment_method=body.payment_method.value,
        effective_date=body.effective_date,
        external_id=body.external_id,
        payment_instrument_id=body.payment_instrument_id,
    )

    async def action(uow: UnitOfWork) -> Answer:
        return _answer(await service.record(uow, command))

    if has_key(request):
        return await execute(request, caller, action)
    async with turn(request, caller):
        return respond(_answer(await request.app.state.together.record(caller, command)))


def _answer(recorded: service.PaymentRecord) -> Answer:
    return Answer(Payment.model_validate(recorded), 201 if recorded.created else 200)


@router.post("/loans/{loan_id}/payments/preview")
async def preview_payment(loan_id: UUID, body: PreviewRequest, caller: LoanOfficer) -> PaymentPreview:
    """What recording this payment would do. Writes nothing."""
    method: Method | None = None if body.payment_method is None else body.payment_method.value
    instrument = body.payment_instrument_id
    async with caller.uow() as uow:
        seen = await service.preview(
            uow, loan_id, body.amount, body.effective_date, payment_method=method, payment_instrument_id=instrument
        )
        return _preview_out(body.amount, seen)


@router.get("/payments")
async def list_payments(
    caller: Viewer,
    paging: Paging,
    narrow: Filter,
    loan_id: Annotated[UUID | None, Query(description="payments of one loan")] = None,
) -> Page[Payment]:
    """Payments, the newest recorded first."""
    async with caller.uow() as uow:
        return await page_of(uow, replace(narrow, loan_id=loan_id), paging)


@router.get("/loans/{loan_id}/payments")
async def list_loan_payments(loan_id: UUID, caller: Viewer, paging: Paging, narrow: Filter) -> Page[Payment]:
    """A loan's payments, the newest recorded first."""
    async with caller.uow() as uow:
        await uow.one(loan_queries.loan_owner(loan_id), "loan")
        return await page_of(uow, replace(narrow, loan_id=loan_id), paging)


@router.get("/payments/{payment_id}")
async def get_payment(payment_id: UUID, caller: Viewer) -> PaymentDetail:
    """A payment with the lines of its allocation, and its refunds."""
    async with caller.uow() as uow:
        row = await uow.one(queries.payment(payment_id), "payment")
        lines = await uow.all(queries.allocation_lines(payment_id))
        refunds = await uow.all(payout_queries.refunds_of(payment_id))
    allocations = [AllocationLine.model_validate(dict(line)) for line in lines]
    refunded = [Payout(**payout_values(refund)) for refund in refunds]
    return PaymentDetail.model_validate({**row, "allocations": allocations, "refunds": refunded})


async def page_of(uow: UnitOfWork, narrow: queries.PaymentFilter, paging: PageRequest) -> Page[Payment]:
    """One page of payments."""
    rows = await uow.all(queries.payment_list(narrow, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: Payment.model_validate(dict(row)))


def _preview_out(amount: int, preview: Preview) -> PaymentPreview:
    """A preview as the API answers it."""
    paid = preview.allocation
    return PaymentPreview(
        amount=amount,
        principal_applied=paid.principal,
        interest_applied=paid.interest,
        fees_applied=paid.fees,
        remaining_principal=preview.state.principal_balance,
        overpayment=paid.unapplied,
        due_from_borrower_applied=paid.due_from_borrower,
    )
