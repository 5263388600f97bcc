"""Logging in and out, and passwords by mail. Nothing here is ever stored under an Idempotency-Key."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from api.deps import AnyUser
from api.errors import refused
from api.schemas.accounts import (
    AcceptedOut,
    ChangePasswordIn,
    LoginIn,
    MeOut,
    PasswordResetRequestIn,
    RefreshIn,
    TokenAndPasswordIn,
    TokensOut,
)
from infra.db.queries.users import get_tenant, get_user
from services import auth
from services.one_time_tokens import Purpose
from services.tenants import normal_host

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/login", response_model=TokensOut)
async def login(request: Request, body: LoginIn) -> Response:
    """Log in, as staff or borrower. Five wrong passwords in a row lock the account for 15 minutes."""
    state = request.app.state
    attempt = auth.Login(body.email, body.password, body.tenant, normal_host(request.headers.get("host")))
    tokens, mails = await auth.login(state.platform, attempt)
    if tokens is None:
        response = refused(auth.refusal())
        response.background = BackgroundTask(state.notifier.send, mails)
        return response
    return JSONResponse(_out(tokens).model_dump(mode="json"))


@router.post("/refresh")
async def refresh(request: Request, body: RefreshIn) -> TokensOut:
    """New tokens. A refresh token works once; its second use ends the session."""
    return _out(await auth.refresh(request.app.state.platform, body.refresh_token))


@router.post("/logout", status_code=204)
async def logout(caller: AnyUser) -> None:
    """End this session: neither of its tokens works any more."""
    async with caller.uow() as uow:
        await auth.end_session(uow, caller.session_id)
        await uow.commit()


@router.get("/me")
async def me(caller: AnyUser) -> MeOut:
    """Who is logged in, and the lender's business date."""
    async with caller.uow() as uow:
        user = await get_user(uow, caller.user_id)
        tenant = await get_tenant(uow)
    return MeOut(
        id=user["id"],
        email=user["email"],
        full_name=user["full_name"],
        role=user["role"],
        borrower_id=user["borrower_id"],
        tenant_id=tenant["id"],
        tenant_slug=tenant["slug"],
        tenant_name=tenant["name"],
        business_date=tenant["business_date"],
    )


@router.post("/password", status_code=204)
async def change_password(caller: AnyUser, body: ChangePasswordIn) -> None:
    """Change one's own password; one's other sessions end."""
    async with caller.uow() as uow:
        await auth.change_password(uow, caller.user_id, caller.session_id, body.current_password, body.password)
        await uow.commit()


@router.post("/password-reset/request", status_code=202, response_model=AcceptedOut)
async def request_password_reset(request: Request, body: PasswordResetRequestIn) -> Response:
    """Ask for a mail with a link to choose a new password. The answer is the same whether there is an account or not."""
    host = normal_host(request.headers.get("host"))
    out = AcceptedOut(detail="If there is an account with this address, a mail is on its way.")
    response = JSONResponse(out.model_dump(), status_code=202)
    response.background = BackgroundTask(_send_resets, request, body.email, body.tenant, host)
    return response


async def _send_resets(request: Request, email: str, tenant: str | None, host: str | None) -> None:
    """After the answer, so that the time it takes says nothing either."""
    state = request.app.state
    url = state.settings.public_url
    await state.notifier.send(await auth.request_password_reset(state.platform, email, tenant, host, url))


@router.post("/password-reset/confirm")
async def confirm_password_reset(request: Request, body: TokenAndPasswordIn) -> TokensOut:
    """Choose a new password with the token of the mail; every other session ends."""
    return await _set_password(request, body, Purpose.PASSWORD_RESET)


@router.post("/invitations/accept")
async def accept_invitation(request: Request, body: TokenAndPasswordIn) -> TokensOut:
    """A new member of staff chooses a password and is logged in."""
    return await _set_password(request, body, Purpose.INVITATION)


@router.post("/activate")
async def activate(request: Request, body: TokenAndPasswordIn) -> TokensOut:
    """A borrower chooses a password for the portal and is logged in."""
    return await _set_password(request, body, Purpose.ACTIVATION)


async def _set_password(request: Request, body: TokenAndPasswordIn, purpose: Purpose) -> TokensOut:
    return _out(await auth.set_password_by_token(request.app.state.platform, body.token, body.password, purpose))


def _out(tokens: auth.Tokens) -> TokensOut:
    return TokensOut(access_token=tokens.access, refresh_token=tokens.refresh, expires_in=tokens.expires_in)
