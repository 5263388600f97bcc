"""Borrowers. Their nested entries: api/routers/borrower_entries.py; what they pay by: instruments.py."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.commands import execute
from api.deps import LoanOfficer, Viewer
from api.expand import expand_of
from api.pagination import Page, Paging, make_page
from api.schemas.borrowers import (
    FORMS,
    Borrower,
    BorrowerChange,
    BorrowerDetail,
    BorrowerRequest,
    borrower_of,
    entry_of,
)
from infra.db.queries import borrowers as queries
from infra.db.uow import UnitOfWork
from services import borrowers as service

router = APIRouter(prefix="/borrowers", tags=["borrowers"])

Expand = Annotated[frozenset[str], Depends(expand_of(*(form.field for form in FORMS)))]


@router.get("")
async def list_borrowers(
    caller: Viewer,
    paging: Paging,
    search: Annotated[str | None, Query(max_length=200, description="part of name, email or external_id")] = None,
    external_id: Annotated[str | None, Query(max_length=100)] = None,
) -> Page[Borrower]:
    """Borrowers, newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.borrower_list(search, external_id, paging.after, paging.limit))
    return make_page(rows, paging, borrower_of)


@router.post("", status_code=201, response_model=BorrowerDetail)
async def create_borrower(body: BorrowerRequest, request: Request, caller: LoanOfficer) -> Response:
    """Create a borrower, with nested entries if given. The answer carries the kinds that were."""

    async def action(uow: UnitOfWork) -> BorrowerDetail:
        command = service.CreateBorrower(
            first_name=body.first_name,
            middle_name=body.middle_name,
            last_name=body.last_name,
            birth_date=body.birth_date,
            email=body.email,
            phone=body.phone,
            ssn=body.ssn,
            language=body.language,
            communication_preferences=body.communication_preferences.model_dump(exclude_none=True),
            external_id=body.external_id,
            details=body.details(),
        )
        borrower_id = await service.create(uow, caller.vault, command)
        return await _expanded(uow, borrower_id, frozenset(f.field for f in FORMS if getattr(body, f.field)))

    return await execute(request, caller, action)


@router.get("/{borrower_id}")
async def get_borrower(borrower_id: UUID, caller: Viewer, expand: Expand) -> BorrowerDetail:
    """A borrower, with the nested entries that `expand` names."""
    async with caller.uow() as uow:
        return await _expanded(uow, borrower_id, expand)


@router.patch("/{borrower_id}", response_model=Borrower)
async def change_borrower(borrower_id: UUID, body: BorrowerChange, request: Request, caller: LoanOfficer) -> Response:
    """Change the fields that are sent."""

    async def action(uow: UnitOfWork) -> Borrower:
        await service.change(uow, caller.vault, borrower_id, body.changes())
        return borrower_of(await uow.one(queries.borrower(borrower_id), "borrower"))

    return await execute(request, caller, action, status=200)


async def _expanded(uow: UnitOfWork, borrower_id: UUID, wanted: frozenset[str]) -> BorrowerDetail:
    row = await uow.one(queries.borrower(borrower_id), "borrower")
    forms = [form for form in FORMS if form.field in wanted]
    nested: dict[str, list[Any]] = {form.field: [] for form in forms}
    if forms:
        by_kind = {form.kind.value: form for form in forms}
        for entry in await uow.all(queries.details(borrower_id, by_kind)):
            form = by_kind[entry["kind"]]
            nested[form.field].append(entry_of(form, entry))
    return BorrowerDetail.model_validate({**borrower_of(row).model_dump(), **nested})
