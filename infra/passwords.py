"""Password hashes: argon2id, computed in threads of their own because each takes tens of milliseconds of CPU."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

_hasher = PasswordHash.recommended()
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="argon2")


@cache
def _dummy() -> str:
    return _hasher.hash("nobody's password")


async def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether a password matches a stored hash. Without a hash the answer is False after the same work, so that the time
    it takes does not tell whether there is an account."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, password, stored)


def _verify(password: str, stored: str | None) -> bool:
    try:
        matches = _hasher.verify(password, stored or _dummy())
    except UnknownHashError:
        return False
    return matches and stored is not None
