"""How drafts go to the lender's bank: settings, and the files that were made for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.commands import execute
from api.deps import Admin, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.schemas.rails import OriginatorBody, RailFile, RailSettingsBody, RailSettingsRequest
from domain.nacha import Originator
from domain.rails import RailSettings, originator_json
from infra.db.queries import rails as queries
from infra.db.uow import UnitOfWork
from services import rail_files, rail_settings

settings_router = APIRouter(prefix="/tenant/rail", tags=["rail"])
router = APIRouter(prefix="/rail", tags=["rail"])

_BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}


@settings_router.get("")
async def get_rail_settings(caller: Viewer) -> RailSettingsBody:
    """How drafts go out: by the sandbox or as files for the lender's bank, and when."""
    async with caller.uow() as uow:
        return await _settings(uow)


@settings_router.put("", response_model=RailSettingsBody)
async def put_rail_settings(body: RailSettingsRequest, request: Request, caller: Admin) -> Response:
    """Choose how drafts go out from the next cutoff on. What a file could not hold is refused, field by field."""
    originator = None if body.originator is None else Originator(**body.originator.model_dump())
    chosen = RailSettings(body.rail, body.cutoff_time, body.sec_code, originator)

    async def action(uow: UnitOfWork) -> RailSettingsBody:
        await rail_settings.change(uow, chosen, body.reason)
        return await _settings(uow)

    return await execute(request, caller, action, status=200)


@router.get("/files")
async def list_rail_files(caller: LoanOfficer, paging: Paging) -> Page[RailFile]:
    """The files that were made for the lender's bank, the newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.file_list(paging.after, paging.limit))
    return make_page(rows, paging, lambda row: RailFile.model_validate(dict(row)))


@router.get("/files/{file_id}")
async def get_rail_file(file_id: UUID, caller: LoanOfficer) -> RailFile:
    """One file: what is in it, its hash, and how far it has come."""
    async with caller.uow() as uow:
        return RailFile.model_validate(dict(await uow.one(queries.file(file_id), "file")))


@router.get("/files/{file_id}/content", response_class=Response, responses=_BYTES)
async def download_rail_file(file_id: UUID, caller: Admin) -> Response:
    """The file itself. It names whole account numbers: who downloads it is kept in the audit trail."""
    async with caller.uow() as uow:
        name, content = await rail_files.content(uow, caller.vault, file_id)
        await uow.commit()
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type="text/plain", headers=headers)


async def _settings(uow: UnitOfWork) -> RailSettingsBody:
    found = await rail_settings.read(uow)
    known = originator_json(found.originator)
    return RailSettingsBody(
        rail=found.rail,
        cutoff_time=found.cutoff_time,
        sec_code=found.sec_code,
        originator=None if known is None else OriginatorBody(**known),
    )
