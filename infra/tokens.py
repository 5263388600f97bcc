"""Access and refresh tokens (JWT, HS256) and the one-time tokens that are mailed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import jwt

from domain.errors import Unauthenticated
from infra.ids import new_id

ACCESS_LIFETIME = timedelta(minutes=15)

_ALGORITHM = "HS256"
_ISSUER = "perdiem"


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token was issued to."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID


def issue(key: bytes, claims: Claims, expires_at: datetime) -> str:
    """A signed token. Two tokens are never equal."""
    payload = {
        "iss": _ISSUER,
        "tid": str(claims.tenant_id),
        "sub": str(claims.user_id),
        "sid": str(claims.session_id),
        "jti": str(new_id()),
        "exp": int(expires_at.timestamp()),
    }
    return jwt.encode(payload, key, algorithm=_ALGORITHM)


def read(key: bytes, token: str, now: datetime) -> Claims:
    """The claims of a token of ours that has not expired at `now` (UTC). Raises Unauthenticated otherwise."""
    claims, expires_at = _signed(key, token)
    if expires_at <= now:
        raise Unauthenticated("The token has expired.", code="token_expired")
    return claims


@lru_cache(maxsize=10_000)
def _signed(key: bytes, token: str) -> tuple[Claims, datetime]:
    """What a token with our signature says, and until when. Kept: a token comes with each request, and says the same."""
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            options={"require": ["exp", "iss", "sub", "tid", "sid"], "verify_exp": False},
        )
        expires_at = datetime.fromtimestamp(int(payload["exp"]), UTC)
        claims = Claims(UUID(payload["tid"]), UUID(payload["sub"]), UUID(payload["sid"]))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError):
        raise Unauthenticated("The token is not valid.", code="invalid_token") from None
    return claims, expires_at


def digest(token: str) -> bytes:
    """What is stored of a token: SHA-256, enough for a value with at least 128 random bits."""
    return hashlib.sha256(token.encode()).digest()


def new_one_time_token(tenant_id: UUID) -> str:
    """A token to mail: the tenant, so that it can be looked up, and 256 random bits."""
    return base64.urlsafe_b64encode(tenant_id.bytes + secrets.token_bytes(32)).decode()


def tenant_of_one_time_token(token: str) -> UUID | None:
    """The tenant a mailed token is to be looked up in; None when it is not one of ours."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=raw[:16]) if len(raw) == 48 else None
