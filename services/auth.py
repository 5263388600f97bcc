"""Logging in, staying logged in, logging out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import InvalidInput, Unauthenticated
from domain.roles import Role
from infra.clock import Clock
from infra.crypto import Vault
from infra.db.models.tenancy import sessions, users
from infra.db.pipeline import Query
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.notifier import Mail
from infra.passwords import hash_password, verify_password
from infra.shared import Shared
from infra.tokens import ACCESS_LIFETIME, Claims, digest, issue, read, tenant_of_one_time_token
from services import letters, one_time_tokens
from services.one_time_tokens import Purpose, invalid_token
from services.users import check_password, end_sessions, login_hash, tenant_name

SESSION_IDLE = timedelta(days=7)
"""A session ends when it was not refreshed for so long,"""
SESSION_LONGEST = timedelta(days=30)
"""and after so long in any case."""

MAX_FAILURES = 5
LOCK = timedelta(minutes=15)
RESET_PAUSE = timedelta(minutes=1)
"""At most one password reset mail a user in this span."""

_MOST_TENANTS = 20
"""So many passwords are tried at most for an address that several tenants know."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What logging in needs before a tenant is known: `engine` of the application role, the keys and a clock."""

    engine: AsyncEngine
    vault: Vault
    clock: Clock

    def uow(self, tenant_id: UUID, user_id: UUID) -> UnitOfWork:
        """A unit of work in which the user acts."""
        return UnitOfWork(self.engine, tenant_id, Actor(ActorKind.USER, user_id), self.clock)


@dataclass(frozen=True, slots=True)
class Session:
    """Who a valid access token belongs to, as the database says now."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    role: Role
    borrower_id: UUID | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """`access` is good for `expires_in` seconds, `refresh` for one refresh."""

    access: str
    refresh: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Login:
    """An attempt. `tenant` is a slug; without one, `host` (the Host header) and then the password tell the tenant."""

    email: str
    password: str
    tenant: str | None = None
    host: str | None = None


def refusal() -> Unauthenticated:
    """Why a login was refused: one answer for an unknown address, a wrong password, a locked and a disabled account."""
    return Unauthenticated(
        "Wrong email address or password, or too many failed attempts in the last minutes.", code="invalid_credentials"
    )


async def find_tenant(engine: AsyncEngine, name: str) -> UUID | None:
    """The tenant with this slug or host, or None."""
    async with engine.connect() as connection:
        found: UUID | None = (await connection.execute(select(func.find_tenant(name)))).scalar_one()
        return UUID(str(found)) if found else None


async def find_accounts(platform: Platform, email: str, tenant: str | None, host: str | None) -> list[Claims]:
    """The accounts (without session) an address has: in the named tenant; else in the host's tenant if it has one there;
    else in any."""
    async with platform.engine.connect() as connection:
        rows = await connection.execute(
            select(func.find_logins(login_hash(platform.vault, email)).table_valued("tenant_id", "user_id"))
        )
        found = [Claims(UUID(str(row.tenant_id)), UUID(str(row.user_id)), new_id()) for row in rows]
    if tenant is not None:
        wanted = await find_tenant(platform.engine, tenant)
        return [account for account in found if account.tenant_id == wanted]
    if host and len(found) > 1:
        here = await find_tenant(platform.engine, host)
        found = [account for account in found if account.tenant_id == here] or found
    return found[:_MOST_TENANTS]


async def login(platform: Platform, attempt: Login) -> tuple[Tokens | None, list[Mail]]:
    """Try to log in.

    Returns the tokens, or None when refused, and mails to send either way (to owners of accounts that are now locked);
    `refusal()` is the answer to a None. At least one password hash is computed in any case.
    """
    accounts = await find_accounts(platform, attempt.email, attempt.tenant, attempt.host)
    tried: list[_Try] = []
    for account in accounts:
        async with platform.uow(account.tenant_id, account.user_id) as uow:
            user = await uow.one_or_none(select(users).where(users.c.id == account.user_id))
        stored = user["password_hash"] if user and user["status"] == "active" else None
        matches = await verify_password(attempt.password, stored)  # holds no connection meanwhile
        tried.append(_Try(account, stored, matches))
    if not accounts:
        await verify_password(attempt.password, None)
    mails: list[Mail] = []
    # a password that is right in one tenant is no failure in the others
    for one in [one for one in tried if one.matches] or tried:
        async with platform.uow(one.account.tenant_id, one.account.user_id) as uow:
            tokens = await _judge(platform, uow, one, mails)
            await uow.commit()
        if tokens is not None:
            return tokens, []
    return None, mails


@dataclass(frozen=True, slots=True)
class _Try:
    """A password tried on an account: whether it matches the hash that was stored then."""

    account: Claims
    stored: str | None
    matches: bool


async def _judge(platform: Platform, uow: UnitOfWork, tried: _Try, mails: list[Mail]) -> Tokens | None:
    """Count a failure or open a session, under the user's row lock: attempts at the same time count one by one."""
    user = await uow.one_or_none(select(users).where(users.c.id == tried.account.user_id).with_for_update())
    if user is None or user["status"] != "active" or user["password_hash"] != tried.stored:
        return None
    if user["locked_until"] is not None and user["locked_until"] > uow.recorded_at:
        return None
    if tried.matches:
        if user["failed_logins"] or user["locked_until"]:
            await _set(uow, user["id"], failed_logins=0, locked_until=None)
        return await open_session(platform, uow, tried.account.user_id)
    failures = user["failed_logins"] + 1
    if failures < MAX_FAILURES:
        await _set(uow, user["id"], failed_logins=failures)
        return None
    await _set(uow, user["id"], failed_logins=0, locked_until=uow.recorded_at + LOCK)
    await uow.audit("user.locked", "user", user["id"], reason=f"{MAX_FAILURES} failed logins")
    minutes = int(LOCK.total_seconds() // 60)
    mails.append(letters.locked(await tenant_name(uow), user["email"], user["full_name"], minutes))
    return None


async def _set(uow: UnitOfWork, user_id: UUID, **values: Any) -> None:
    await uow.execute(update(users).where(users.c.id == user_id).values(**values))


async def open_session(platform: Platform, uow: UnitOfWork, user_id: UUID) -> Tokens:
    """A new session of a user (who has proved to be it), in the transaction of `uow`."""
    claims = Claims(uow.tenant_id, user_id, new_id())
    tokens = _tokens(platform, claims, uow.recorded_at, uow.recorded_at)
    await uow.add(
        sessions,
        id=claims.session_id,
        user_id=user_id,
        refresh_hash=digest(tokens.refresh),
        expires_at=_session_end(uow.recorded_at, uow.recorded_at),
        created_at=uow.recorded_at,
    )
    return tokens


def _tokens(platform: Platform, claims: Claims, opened_at: datetime, now: datetime) -> Tokens:
    access = issue(platform.vault.access_token_key, claims, now + ACCESS_LIFETIME)
    refresh = issue(platform.vault.refresh_token_key, claims, _session_end(opened_at, now))
    return Tokens(access, refresh, int(ACCESS_LIFETIME.total_seconds()))


def _session_end(opened_at: datetime, now: datetime) -> datetime:
    """When a session that is opened or refreshed now ends, unless it is refreshed again."""
    return min(now + SESSION_IDLE, opened_at + SESSION_LONGEST)


def _session_ended() -> Unauthenticated:
    return Unauthenticated("The session has ended; log in again.", code="session_ended")


_SESSION: Final = Query(
    select(users.c.role, users.c.borrower_id, sessions.c.expires_at)
    .join_from(sessions, users, (users.c.tenant_id == sessions.c.tenant_id) & (users.c.id == sessions.c.user_id))
    .where(
        sessions.c.id == bindparam("session", type_=Uuid),
        sessions.c.user_id == bindparam("user", type_=Uuid),
        sessions.c.revoked_at.is_(None),
        users.c.status == "active",
    )
)


class Sessions:
    """Whom access tokens belong to, as the database says when they come: a logout counts at once. Requests that come with
    one token at the same time are answered by one look."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._found = Shared(self._look)

    async def check(self, token: str) -> Session:
        """Who an access token belongs to. Raises Unauthenticated when it, its session or its user is not valid now."""
        self._read(token)
        return await self._found.of(token)

    def _read(self, token: str) -> Claims:
        return read(self._platform.vault.access_token_key, token, self._platform.clock())

    async def _look(self, token: str) -> Session:
        claims = self._read(token)
        async with self._platform.uow(claims.tenant_id, claims.user_id) as uow:
            (rows,) = await uow.look(_SESSION(session=claims.session_id, user=claims.user_id))
            now = uow.recorded_at
        if not rows or rows[0]["expires_at"] <= now:
            raise _session_ended()
        row = rows[0]
        return Session(claims.tenant_id, claims.user_id, claims.session_id, Role(row["role"]), row["borrower_id"])


async def refresh(platform: Platform, token: str) -> Tokens:
    """New tokens for a refresh token, which works once. A second use means that somebody has a copy: the session ends.

    Raises Unauthenticated.
    """
    claims = read(platform.vault.refresh_token_key, token, platform.clock())
    async with platform.uow(claims.tenant_id, claims.user_id) as uow:
        session = await uow.one_or_none(_session_for_update(claims))
        if session is None or session["revoked_at"] or session["expires_at"] <= uow.recorded_at:
            raise _session_ended()
        if session["refresh_hash"] != digest(token):
            await end_session(uow, claims.session_id)
            await uow.audit("session.revoked", "user", claims.user_id, reason="a refresh token was used twice")
            await uow.commit()
            raise _session_ended()
        tokens = _tokens(platform, claims, session["created_at"], uow.recorded_at)
        await uow.execute(
            update(sessions)
            .where(sessions.c.id == claims.session_id)
            .values(
                refresh_hash=digest(tokens.refresh),
                expires_at=_session_end(session["created_at"], uow.recorded_at),
            )
        )
        await uow.commit()
    return tokens


def _session_for_update(claims: Claims) -> Any:
    return (
        select(sessions)
        .join(users, (users.c.tenant_id == sessions.c.tenant_id) & (users.c.id == sessions.c.user_id))
        .where(sessions.c.id == claims.session_id, sessions.c.user_id == claims.user_id, users.c.status == "active")
        .with_for_update(of=sessions)
    )


async def end_session(uow: UnitOfWork, session_id: UUID) -> None:
    """Log out: neither token of the session works from now on."""
    await uow.execute(update(sessions).where(sessions.c.id == session_id).values(revoked_at=uow.recorded_at))


async def request_password_reset(
    platform: Platform, email: str, tenant: str | None, host: str | None, url: str
) -> list[Mail]:
    """The mails to send to whoever has an active account with this address (none: to nobody, and nobody is told)."""
    mails: list[Mail] = []
    for account in await find_accounts(platform, email, tenant, host):
        async with platform.uow(account.tenant_id, account.user_id) as uow:
            user = await uow.one_or_none(select(users).where(users.c.id == account.user_id).with_for_update())
            if user is None or user["status"] != "active":
                continue
            if await one_time_tokens.issued_since(uow, user["id"], Purpose.PASSWORD_RESET, RESET_PAUSE):
                continue
            token = await one_time_tokens.issue(uow, user["id"], Purpose.PASSWORD_RESET)
            name = await tenant_name(uow)
            await uow.audit("user.password_reset_requested", "user", user["id"])
            await uow.commit()
        mails.append(letters.password_reset(url, name, user["email"], user["full_name"], token))
    return mails


async def set_password_by_token(platform: Platform, token: str, password: str, purpose: Purpose) -> Tokens:
    """Use a mailed token: set the password, end every session, and log in.

    An invitation or activation makes the account active. Raises InvalidInput at /token or /password; a refused password
    leaves the token usable.
    """
    tenant_id = tenant_of_one_time_token(token)
    if tenant_id is None:
        raise invalid_token()
    async with UnitOfWork(platform.engine, tenant_id, Actor(ActorKind.USER), platform.clock) as uow:
        user_id = await one_time_tokens.redeem(uow, token, purpose)
        uow.actor = Actor(ActorKind.USER, user_id)
        user = await uow.one(select(users).where(users.c.id == user_id).with_for_update(), "user")
        expected = "active" if purpose is Purpose.PASSWORD_RESET else "invited"
        if user["status"] != expected:
            raise invalid_token()
        await _store_password(uow, user, password)
        await end_sessions(uow, user_id)
        await one_time_tokens.revoke(uow, user_id)
        await uow.audit(f"user.password_set_by_{purpose}", "user", user_id)
        tokens = await open_session(platform, uow, user_id)
        await uow.commit()
    return tokens


async def _store_password(uow: UnitOfWork, user: RowMapping, password: str) -> None:
    check_password(password, user["email"])
    hashed = await hash_password(password)
    await _set(
        uow,
        user["id"],
        password_hash=hashed,
        status="active",
        failed_logins=0,
        locked_until=None,
        updated_at=uow.recorded_at,
    )


async def change_password(uow: UnitOfWork, user_id: UUID, session_id: UUID, current: str, new: str) -> None:
    """A user's own change of password; the other sessions end. Raises InvalidInput at /current_password or /password."""
    user = await uow.one(select(users).where(users.c.id == user_id).with_for_update(), "user")
    if not await verify_password(current, user["password_hash"]):
        raise InvalidInput.at("/current_password", "is wrong", code="wrong_password")
    await _store_password(uow, user, new)
    await end_sessions(uow, user_id, but=session_id)
    await uow.audit("user.password_changed", "user", user_id)
