"""How drafts go to the lender's bank and what comes back: settings, files for it, files from it, and cases."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response

from api.commands import Answer, execute
from api.deps import Admin, LoanOfficer, Viewer
from api.pagination import Page, Paging, make_page
from api.routers.processes import status_url
from api.schemas.rails import (
    AnswerOutcome,
    Case,
    OriginatorBody,
    RailFile,
    RailSettingsBody,
    RailSettingsRequest,
    ResolveCaseRequest,
    ReturnFile,
    ReturnFileAnswer,
    ReturnFileItem,
)
from domain.ach_changes import CHANGE_CODES
from domain.ach_returns import return_code
from domain.cases import CaseStatus
from domain.nacha import Originator
from domain.rails import RailSettings, originator_json
from infra.db.queries import rails as queries
from infra.db.uow import UnitOfWork
from infra.temporal import Temporal
from services import cases, rail_files, rail_settings, returns

settings_router = APIRouter(prefix="/tenant/rail", tags=["rail"])
router = APIRouter(prefix="/rail", tags=["rail"])

cases_router = APIRouter(prefix="/cases", tags=["cases"])
BankFile = Annotated[bytes, Body(media_type="text/plain", description="a NACHA file, as the bank sent it")]
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


@router.post("/return-files", status_code=201, response_model=ReturnFile, responses={200: {"model": ReturnFile}})
async def upload_return_file(content: BankFile, request: Request, caller: LoanOfficer) -> Response:
    """Take a file of returns and notifications of change, as the bank sent it.

    A file that does not fit together is refused with the line at which it does not, and nothing of it is taken. Its answers
    are carried out by a workflow: the file tells how far it is. The same file again answers 200 with the first one.
    """

    async def action(uow: UnitOfWork) -> Answer:
        file_id, created = await returns.upload(uow, caller.vault, content)
        return Answer(await _return_file(uow, request.app.state.temporal, file_id), 201 if created else 200)

    return await execute(request, caller, action)


@router.get("/return-files")
async def list_return_files(caller: LoanOfficer, paging: Paging) -> Page[ReturnFileItem]:
    """The files that the bank sent back, the newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.return_file_list(paging.after, paging.limit))
        sums = await _sums(uow, [row["id"] for row in rows])
    return make_page(rows, paging, lambda row: ReturnFileItem.model_validate({**row, **sums[row["id"]]}))


@router.get("/return-files/{return_file_id}")
async def get_return_file(return_file_id: UUID, request: Request, caller: LoanOfficer) -> ReturnFile:
    """A file that the bank sent back: each of its answers, and what became of it."""
    async with caller.uow() as uow:
        return await _return_file(uow, request.app.state.temporal, return_file_id)


@cases_router.get("")
async def list_cases(
    caller: Viewer,
    paging: Paging,
    status: CaseStatus | None = None,
    loan_id: Annotated[UUID | None, Query(description="cases of one loan")] = None,
) -> Page[Case]:
    """What people have to look at, or have looked at, the newest first."""
    async with caller.uow() as uow:
        rows = await uow.all(queries.case_list(status, loan_id, paging.after, paging.limit))
    return make_page(rows, paging, lambda row: Case.model_validate(dict(row)))


@cases_router.get("/{case_id}")
async def get_case(case_id: UUID, caller: Viewer) -> Case:
    """One case."""
    async with caller.uow() as uow:
        return Case.model_validate(dict(await uow.one(queries.case(case_id), "case")))


@cases_router.post("/{case_id}/resolve", response_model=Case)
async def resolve_case(case_id: UUID, body: ResolveCaseRequest, request: Request, caller: LoanOfficer) -> Response:
    """Say how a case was dealt with, which ends it."""

    async def action(uow: UnitOfWork) -> Case:
        await cases.resolve(uow, case_id, body.resolution)
        return Case.model_validate(dict(await uow.one(queries.case(case_id), "case")))

    return await execute(request, caller, action, status=200)


async def _return_file(uow: UnitOfWork, temporal: Temporal, file_id: UUID) -> ReturnFile:
    row = await uow.one(queries.return_file(file_id), "return file")
    workflow_id = returns.workflow_id(file_id)
    found = await uow.all(queries.answers(file_id))
    return ReturnFile(
        **{**row, **(await _sums(uow, [file_id]))[file_id]},
        answers=[ReturnFileAnswer.model_validate({**item, "title": _title(item["code"])}) for item in found],
        workflow_id=workflow_id,
        status_url=status_url(workflow_id),
        ui_url=temporal.ui_link(workflow_id),
    )


def _title(code: str) -> str:
    return CHANGE_CODES[code] if code in CHANGE_CODES else return_code(code).title


async def _sums(uow: UnitOfWork, file_ids: list[UUID]) -> dict[UUID, dict[str, int]]:
    sums = {file_id: dict.fromkeys(map(str, AnswerOutcome), 0) for file_id in file_ids}
    for row in await uow.all(queries.answer_sums(file_ids)):
        sums[row["file_id"]][row["outcome"]] = row["count"]
    return sums


async def _settings(uow: UnitOfWork) -> RailSettingsBody:
    found = await rail_settings.read(uow)
    known = originator_json(found.originator)
    return RailSettingsBody(
        rail=found.rail,
        cutoff_time=found.cutoff_time,
        sec_code=found.sec_code,
        originator=None if known is None else OriginatorBody(**known),
    )
