"""Lending programs."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.commands import execute
from api.deps import Admin, Viewer
from api.pagination import DEFAULT_LIMIT, MAX_LIMIT, Page, Paging, make_page
from api.schemas.programs import (
    Program,
    ProgramChange,
    ProgramRequest,
    ProgramVersion,
    ProgramVersions,
    program_of,
)
from infra.db.queries import programs as queries
from infra.db.uow import UnitOfWork
from services import programs as service

router = APIRouter(prefix="/programs", tags=["programs"])

Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="the terms of this version; default: the current")]


@router.get("")
async def list_programs(
    caller: Viewer, paging: Paging, status: Annotated[Literal["active", "archived"] | None, Query()] = None
) -> Page[Program]:
    """Programs with their current terms, newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.program_list(status, paging.after, paging.limit))
    return make_page(rows, paging, program_of)


@router.post("", status_code=201, response_model=Program)
async def create_program(body: ProgramRequest, request: Request, caller: Admin) -> Response:
    """Create a program with its first version."""

    async def action(uow: UnitOfWork) -> Program:
        program_id = await service.create(uow, name=body.name, description=body.description, terms=body.terms.given())
        return program_of(await uow.one(queries.program(program_id), "program"))

    return await execute(request, caller, action)


@router.get("/{program_id}")
async def get_program(program_id: UUID, caller: Viewer, version: Version = None) -> Program:
    """A program with its current terms, or those of a version."""
    async with caller.uow() as uow:
        return program_of(await uow.one(queries.program(program_id, version), "program"))


@router.put("/{program_id}", response_model=Program)
async def replace_program(program_id: UUID, body: ProgramChange, request: Request, caller: Admin) -> Response:
    """Change a program. Other terms make a new version; existing loans keep theirs."""

    async def action(uow: UnitOfWork) -> Program:
        await service.replace(uow, program_id, name=body.name, description=body.description, terms=body.terms.given())
        return program_of(await uow.one(queries.program(program_id), "program"))

    return await execute(request, caller, action, status=200)


@router.delete("/{program_id}", status_code=204, response_class=Response)
async def archive_program(program_id: UUID, request: Request, caller: Admin) -> Response:
    """Archive a program: it takes no new loans, and those it has stay as they are."""

    async def action(uow: UnitOfWork) -> None:
        await service.archive(uow, program_id)

    return await execute(request, caller, action, status=204)


@router.get("/{program_id}/versions")
async def list_program_versions(
    program_id: UUID,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="next_before of the page before")] = None,
) -> ProgramVersions:
    """Every version of a program's terms, newest first."""
    async with caller.uow() as uow:
        await uow.one(queries.program(program_id), "program")
        rows = await uow.all(queries.versions(program_id, before, limit))
    shown = rows[:limit]
    items = [ProgramVersion.model_validate({n: row[n] for n in ProgramVersion.model_fields}) for row in shown]
    return ProgramVersions(items=items, next_before=items[-1].version if len(rows) > limit else None)
