"""Users of the tenant: staff, and the portal accounts of borrowers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.engine import RowMapping
from starlette.background import BackgroundTask

from api.commands import execute
from api.deps import Admin, Caller, LoanOfficer
from api.pagination import Page, Paging, make_page
from api.schemas.accounts import ActivationOut, StatusChange, UserIn, UserOut, UserPatch, UserStatus
from domain.roles import Role
from infra.db.queries.users import get_user
from infra.db.queries.users import list_users as query_users
from infra.db.uow import UnitOfWork
from infra.notifier import Mail
from services import users

router = APIRouter(prefix="/users", tags=["users"])
activation_router = APIRouter(prefix="/borrowers", tags=["borrowers"])


@router.get("")
async def list_users(
    caller: Admin,
    paging: Paging,
    role: Annotated[Role | None, Query()] = None,
    status: Annotated[UserStatus | None, Query()] = None,
) -> Page[UserOut]:
    """Users, newest first."""
    async with caller.uow() as uow:
        rows = await query_users(uow, paging.after, paging.limit, role=role, status=status)
    return make_page(rows, paging, _out)


@router.post("", status_code=201, response_model=UserOut)
async def invite_user(request: Request, caller: Admin, body: UserIn) -> Response:
    """Invite a member of staff, who chooses a password through a mail. Only an owner invites an owner."""
    mails: list[Mail] = []
    url = request.app.state.settings.public_url

    async def action(uow: UnitOfWork) -> UserOut:
        user_id, mail = await users.invite(
            uow,
            caller.vault,
            caller.role,
            url,
            email=body.email,
            full_name=body.full_name,
            role=Role(body.role),
        )
        mails.append(mail)
        return _out(await get_user(uow, user_id))

    return _mailing(request, await execute(request, caller, action), mails)


@router.get("/{user_id}")
async def get_one_user(caller: Admin, user_id: UUID) -> UserOut:
    """One user."""
    async with caller.uow() as uow:
        return _out(await get_user(uow, user_id))


@router.patch("/{user_id}", response_model=UserOut)
async def change_user(request: Request, caller: Admin, user_id: UUID, body: UserPatch) -> Response:
    """Change name, role or status. Only an owner changes an owner; the last active owner stays one."""
    change = users.UserChange(
        body.full_name,
        Role(body.role) if body.role else None,
        None if body.status is None else body.status is StatusChange.DISABLED,
        body.reason,
    )
    return await _change(request, caller, user_id, change, 200)


@router.delete("/{user_id}", status_code=204)
async def disable_user(request: Request, caller: Admin, user_id: UUID) -> Response:
    """Disable a user: every session ends at once. Users are never deleted, what they did stays attributed to them."""

    async def action(uow: UnitOfWork) -> None:
        await users.change_user(uow, caller.role, user_id, users.UserChange(disabled=True))

    return await execute(request, caller, action, status=204)


@router.post("/{user_id}/invitation", status_code=200, response_model=UserOut)
async def invite_user_again(request: Request, caller: Admin, user_id: UUID) -> Response:
    """Send a fresh invitation or activation to a user who has not accepted; the earlier one stops working."""
    mails: list[Mail] = []
    url = request.app.state.settings.public_url

    async def action(uow: UnitOfWork) -> UserOut:
        mails.append(await users.invite_again(uow, caller.role, url, user_id))
        return _out(await get_user(uow, user_id))

    return _mailing(request, await execute(request, caller, action, status=200), mails)


@activation_router.post("/{borrower_id}/activation", status_code=202, response_model=ActivationOut)
async def send_activation(request: Request, caller: LoanOfficer, borrower_id: UUID) -> Response:
    """Send a borrower the mail to activate the portal account; again: a fresh mail, the earlier one stops working."""
    mails: list[Mail] = []
    url = request.app.state.settings.public_url

    async def action(uow: UnitOfWork) -> ActivationOut:
        user_id, mail = await users.send_activation(uow, caller.vault, url, borrower_id)
        mails.append(mail)
        return ActivationOut(user_id=user_id, status=UserStatus.INVITED, detail="The mail is on its way.")

    return _mailing(request, await execute(request, caller, action, status=202), mails)


async def _change(request: Request, caller: Caller, user_id: UUID, change: users.UserChange, status: int) -> Response:
    async def action(uow: UnitOfWork) -> UserOut:
        await users.change_user(uow, caller.role, user_id, change)
        return _out(await get_user(uow, user_id))

    return await execute(request, caller, action, status=status)


def _mailing(request: Request, response: Response, mails: list[Mail]) -> Response:
    """Mail goes out after commit and after the answer; a replayed request has none."""
    if mails:
        response.background = BackgroundTask(request.app.state.notifier.send, mails)
    return response


def _out(row: RowMapping) -> UserOut:
    return UserOut(**row)
