"""Who calls, and what a route demands of them. Every route has exactly one of the dependencies at the end, or is PUBLIC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Forbidden, Unauthenticated
from domain.roles import STAFF_ROLES, Role
from infra.clock import Clock
from infra.crypto import Vault
from infra.db.uow import Actor, ActorKind, UnitOfWork

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    ("POST", "/api/v1/auth/password-reset/request"),
    ("POST", "/api/v1/auth/password-reset/confirm"),
    ("POST", "/api/v1/auth/invitations/accept"),
    ("POST", "/api/v1/auth/activate"),
    ("GET", "/api/v1/portal/config"),
}
"""The routes that need nobody to be logged in."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a request, checked against the database on this request."""

    tenant_id: UUID
    user_id: UUID
    role: Role
    borrower_id: UUID | None
    session_id: UUID
    engine: AsyncEngine
    clock: Clock
    vault: Vault

    def uow(self) -> UnitOfWork:
        """A unit of work of the caller's tenant, acting as the caller."""
        return UnitOfWork(self.engine, self.tenant_id, Actor(ActorKind.USER, self.user_id), self.clock)

    @property
    def borrower(self) -> UUID:
        """The borrower behind the caller; only for routes of BorrowerUser."""
        if self.borrower_id is None:
            raise Forbidden("This is for borrowers.")
        return self.borrower_id


async def _caller(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    """The caller of the bearer token, whose session is read from the database, so that a logout counts at once."""
    if credentials is None:
        raise Unauthenticated("Log in first: send the header Authorization: Bearer <access token>.")
    state = request.app.state
    session = await state.sessions.check(credentials.credentials)
    return Caller(
        session.tenant_id,
        session.user_id,
        session.role,
        session.borrower_id,
        session.session_id,
        state.engine,
        state.clock,
        state.vault,
    )


class Access(HTTPBearer):
    """What a route demands: an access token of a user with one of these roles."""

    def __init__(self, roles: frozenset[Role], names: str) -> None:
        super().__init__(
            auto_error=False,
            bearerFormat="JWT",
            scheme_name="HTTPBearer",
            description="The access token of /auth/login.",
        )
        self.roles = roles
        self._names = names

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        caller = await _caller(request, await super().__call__(request))
        if caller.role not in self.roles:
            raise Forbidden(f"The role {caller.role} may not do this; it needs one of: {self._names}.")
        return caller


def _allow(*roles: Role) -> Access:
    return Access(frozenset(roles), ", ".join(roles))


def _staff_from(role: Role) -> Access:
    return _allow(*STAFF_ROLES[STAFF_ROLES.index(role) :])


Viewer = Annotated[Caller, Depends(_staff_from(Role.VIEWER))]
LoanOfficer = Annotated[Caller, Depends(_staff_from(Role.LOAN_OFFICER))]
Admin = Annotated[Caller, Depends(_staff_from(Role.ADMIN))]
Owner = Annotated[Caller, Depends(_staff_from(Role.OWNER))]
BorrowerUser = Annotated[Caller, Depends(_allow(Role.BORROWER))]
AnyUser = Annotated[Caller, Depends(_allow(*STAFF_ROLES, Role.BORROWER))]
