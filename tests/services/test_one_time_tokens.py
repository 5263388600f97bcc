"""A mailed token and the user it is for: locked in one order."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.errors import InvalidInput
from infra.db.models.tenancy import users
from services.one_time_tokens import Purpose, issue, redeem, revoke
from tests.services.lending import UowOf


async def test_a_token_used_while_it_is_being_revoked_is_refused_and_nobody_waits_for_ever(
    uow_of: UowOf, tenant: UUID
) -> None:
    async with uow_of(tenant) as uow:
        member = {"email": "jane@example.com", "full_name": "Jane Roe", "role": "viewer", "status": "invited"}
        user_id = await uow.add(users, **member)
        token = await issue(uow, user_id, Purpose.INVITATION)
        await uow.commit()
    locked = select(users.c.id).where(users.c.id == user_id).with_for_update()

    async def use() -> None:
        async with uow_of(tenant) as uow:
            await redeem(uow, token, Purpose.INVITATION)
            await uow.one(locked, "user")

    async with uow_of(tenant) as uow:
        await uow.one(locked, "user")
        using = asyncio.create_task(use())
        await asyncio.sleep(0.3)  # it has come to its first lock
        await revoke(uow, user_id)
        await uow.commit()
    with pytest.raises(InvalidInput, match="not valid"):
        await using
