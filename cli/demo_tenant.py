"""The demonstration's lender: a sandbox tenant with a login of each role, made once."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select

from cli.session import application_engine, unit_of_work
from domain.roles import STAFF_ROLES, Role
from infra.crypto import Vault
from infra.db.engine import app_engine, owner_engine
from infra.db.models.tenancy import users
from infra.db.uow import UnitOfWork
from infra.settings import BusinessMode, Settings
from services.auth import find_tenant
from services.tenants import CreateTenant, create_tenant
from services.users import create_user
from standalone.credentials import write_private

SLUG = "demo"
START = date(2020, 9, 9)
"""The contract date of the example loan: the tenant's first business date."""


@dataclass(frozen=True, slots=True)
class Logins:
    """Email address -> password."""

    passwords: dict[str, str]


def email_of(role: Role) -> str:
    """The address of the demo user with this role."""
    return f"{role.replace('_', '.')}@demo.example.com"


def prepare(settings: Settings) -> Logins:
    """The demo tenant's logins; the tenant and its staff are made at the first call.

    The passwords are generated, and kept in PERDIEM_HOME/demo.json for its owner only, so that a second start shows them.
    """
    file = settings.home / "demo.json"
    if file.exists():
        logins = Logins(json.loads(file.read_text()))
    else:
        roles = [*STAFF_ROLES, Role.BORROWER]
        logins = Logins({email_of(role): secrets.token_urlsafe(12) for role in roles})
        write_private(file, json.dumps(logins.passwords, indent=2) + "\n")
    asyncio.run(_prepare(settings, logins))
    return logins


def open_portal(settings: Settings, logins: Logins, borrower_id: UUID) -> None:
    """Give the demo borrower a login of the portal, once."""
    asyncio.run(_open_portal(settings, logins, borrower_id))


async def _prepare(settings: Settings, logins: Logins) -> None:
    engine, owner = app_engine(settings, pool_size=1), owner_engine(settings)
    try:
        if await find_tenant(engine, SLUG) is None:
            lender = CreateTenant(SLUG, "Perdiem Demo Lending", "America/New_York", BusinessMode.SANDBOX, START)
            await create_tenant(owner, lender)
        async with await unit_of_work(engine, SLUG) as uow:
            for role in STAFF_ROLES:
                await _ensure_user(uow, settings, logins, role)
            await uow.commit()
    finally:
        await engine.dispose()
        await owner.dispose()


async def _open_portal(settings: Settings, logins: Logins, borrower_id: UUID) -> None:
    async with application_engine(settings) as engine, await unit_of_work(engine, SLUG) as uow:
        await _ensure_user(uow, settings, logins, Role.BORROWER, borrower_id)
        await uow.commit()


async def _ensure_user(
    uow: UnitOfWork, settings: Settings, logins: Logins, role: Role, borrower_id: UUID | None = None
) -> None:
    email = email_of(role)
    if await uow.one_or_none(select(users.c.id).where(users.c.email == email)):
        return
    name = f"Demo {role.replace('_', ' ').title()}"
    password = logins.passwords[email]
    vault = Vault.of(settings)
    await create_user(uow, vault, email=email, full_name=name, role=role, password=password, borrower_id=borrower_id)
