"""The nested entries of a borrower: one set of routes for each kind, all alike."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Caller, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.schemas.borrowers import FORMS, Form, entry_of, new_detail
from domain.borrower import APPEND_ONLY
from infra.db.queries import borrowers as queries
from infra.db.uow import UnitOfWork
from services import borrowers as service

router = APIRouter(prefix="/borrowers", tags=["borrowers"])


def _add_routes(form: Form) -> None:
    path = f"/{{borrower_id}}/{form.segment}"
    what = form.singular.replace("_", " ")

    async def list_entries(borrower_id: UUID, caller: Viewer, paging: Paging) -> Page[Any]:
        async with caller.uow() as uow:
            await uow.one(queries.borrower(borrower_id), "borrower")
            rows = await uow.all(queries.detail_list(borrower_id, form.kind, paging.after, paging.limit))
        return make_page(rows, paging, lambda row: entry_of(form, row))

    async def add_entry(borrower_id: UUID, body: Any, request: Request, caller: LoanOfficer) -> Response:
        return await add(form, borrower_id, body, request, caller)

    add_entry.__annotations__["body"] = form.create
    router.add_api_route(
        path,
        list_entries,
        methods=["GET"],
        name=f"list_{form.field}",
        description=f"A borrower's {form.field.replace('_', ' ')}, newest first.",
        response_model=Page[form.out],  # type: ignore[name-defined]
    )
    router.add_api_route(
        path,
        add_entry,
        methods=["POST"],
        name=f"add_{form.singular}",
        description=f"Add a borrower's {what}.",
        status_code=201,
        response_model=form.out,
    )
    if form.kind not in APPEND_ONLY:
        _add_change_routes(form, f"{path}/{{entry_id}}", what)


def _add_change_routes(form: Form, path: str, what: str) -> None:
    async def change_entry(borrower_id: UUID, entry_id: UUID, body: Any, request: Request, caller: LoanOfficer) -> Response:
        changes = body.model_dump(exclude_unset=True)
        is_primary = changes.pop("is_primary", None)

        async def action(uow: UnitOfWork) -> Any:
            await service.change_detail(uow, borrower_id, form.kind, entry_id, changes, is_primary)
            return entry_of(form, await uow.one(queries.detail(borrower_id, form.kind, entry_id), what))

        return await execute(request, caller, action, status=200)

    async def remove_entry(borrower_id: UUID, entry_id: UUID, request: Request, caller: LoanOfficer) -> Response:
        async def action(uow: UnitOfWork) -> None:
            await service.remove_detail(uow, borrower_id, form.kind, entry_id)

        return await execute(request, caller, action, status=204)

    change_entry.__annotations__["body"] = form.change
    router.add_api_route(
        path,
        change_entry,
        methods=["PATCH"],
        name=f"change_{form.singular}",
        description=f"Change the fields of a borrower's {what} that are sent.",
        response_model=form.out,
    )
    router.add_api_route(
        path,
        remove_entry,
        methods=["DELETE"],
        name=f"remove_{form.singular}",
        description=f"Remove a borrower's {what}.",
        status_code=204,
        response_class=Response,
    )


async def add(form: Form, borrower_id: UUID, body: Any, request: Request, caller: Caller) -> Response:
    """Add a nested entry and answer with it; for staff here, for the borrower in the portal."""

    async def action(uow: UnitOfWork) -> Any:
        entry_id = await service.add_detail(uow, borrower_id, new_detail(form.kind, body))
        return entry_of(form, await uow.one(queries.detail(borrower_id, form.kind, entry_id), form.singular))

    return await execute(request, caller, action)


for _form in FORMS:
    _add_routes(_form)
