"""Mailed tokens: used once, for one purpose, within their time. Only their hash is stored."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, update

from domain.errors import InvalidInput
from infra.db.models.tenancy import one_time_tokens, users
from infra.db.uow import UnitOfWork
from infra.tokens import digest, new_one_time_token


class Purpose(StrEnum):
    INVITATION = "invitation"
    ACTIVATION = "activation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 (a name, not a password)


LIFETIME = {
    Purpose.INVITATION: timedelta(days=7),
    Purpose.ACTIVATION: timedelta(days=7),
    Purpose.PASSWORD_RESET: timedelta(hours=1),
}


def invalid_token() -> InvalidInput:
    """The refusal of a token that is wrong, used, expired or replaced: it does not say which."""
    return InvalidInput.at(
        "/token", "is not valid (any more): it was used, replaced or has expired; ask for a new one", code="invalid_token"
    )


async def issue(uow: UnitOfWork, user_id: UUID, purpose: Purpose) -> str:
    """A new token for a user; earlier ones of the same purpose stop working."""
    await revoke(uow, user_id, purpose)
    token = new_one_time_token(uow.tenant_id)
    await uow.add(
        one_time_tokens,
        user_id=user_id,
        purpose=str(purpose),
        token_hash=digest(token),
        expires_at=uow.recorded_at + LIFETIME[purpose],
        created_at=uow.recorded_at,
    )
    return token


async def revoke(uow: UnitOfWork, user_id: UUID, *purposes: Purpose) -> None:
    """Make a user's unused tokens of these purposes (default: all) worthless."""
    await uow.execute(
        update(one_time_tokens)
        .where(
            one_time_tokens.c.user_id == user_id,
            one_time_tokens.c.purpose.in_([str(purpose) for purpose in purposes or Purpose]),
            one_time_tokens.c.used_at.is_(None),
        )
        .values(used_at=uow.recorded_at)
    )


async def redeem(uow: UnitOfWork, token: str, purpose: Purpose) -> UUID:
    """Use a token up (of two at once, one succeeds). Returns the user. Raises InvalidInput at /token.

    The user's row is locked before the token's, as by whoever revokes tokens: so neither waits for the other.
    """
    owner = select(one_time_tokens.c.user_id).where(one_time_tokens.c.token_hash == digest(token)).scalar_subquery()
    await uow.execute(select(users.c.id).where(users.c.id == owner).with_for_update())
    used = await uow.one_or_none(
        update(one_time_tokens)
        .where(
            one_time_tokens.c.token_hash == digest(token),
            one_time_tokens.c.purpose == str(purpose),
            one_time_tokens.c.used_at.is_(None),
            one_time_tokens.c.expires_at > uow.recorded_at,
        )
        .values(used_at=uow.recorded_at)
        .returning(one_time_tokens.c.user_id)
    )
    if used is None:
        raise invalid_token()
    user_id: UUID = used["user_id"]
    return user_id


async def issued_since(uow: UnitOfWork, user_id: UUID, purpose: Purpose, span: timedelta) -> bool:
    """Whether the user was sent a token of this purpose within the last `span` (so that nobody's mailbox is flooded)."""
    found = await uow.one_or_none(
        select(one_time_tokens.c.id)
        .where(
            one_time_tokens.c.user_id == user_id,
            one_time_tokens.c.purpose == str(purpose),
            one_time_tokens.c.created_at > uow.recorded_at - span,
        )
        .limit(1)
    )
    return found is not None
