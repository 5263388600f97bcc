"""A lender with an officer who calls the API of a running platform, and with loans of whatever terms a test needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.roles import Role
from infra.clock import utc_now
from infra.crypto import Vault
from infra.ids import new_id
from infra.settings import Settings
from services.auth import Platform, open_session
from services.users import create_user
from tests.workflows.platform import Rows

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Lender(Rows):
    """The rows of a tenant, and its staff."""

    settings: Settings

    @classmethod
    def of(cls, settings: Settings, engine: AsyncEngine, tenant: UUID) -> Lender:
        return cls(engine, tenant, settings)

    @asynccontextmanager
    async def staff(self, role: Role = Role.ADMIN, *, at_once: int = 100) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the API as a fresh member of staff, with up to `at_once` connections."""
        vault = Vault.of(self.settings)
        async with self.uow() as uow:
            user_id = await create_user(
                uow, vault, email=f"u-{new_id().hex}@example.com", full_name="Officer", role=role, password=PASSWORD
            )
            tokens = await open_session(Platform(self.engine, vault, utc_now), uow, user_id)
            await uow.commit()
        async with httpx.AsyncClient(
            base_url=self.settings.public_url,
            headers={"Authorization": f"Bearer {tokens.access}"},
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            timeout=60,
            trust_env=False,
        ) as client:
            yield client
