"""Advisory locks of a tenant, for what no row stands for. They end with the transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from infra.db.uow import UnitOfWork

BOOKS: Final = 0x504D  # "PM"
"""Postings share it, and whoever closes a period holds it alone."""
LOAN_NUMBERS: Final = 0x4C4E  # "LN"
"""Held while the next number is found and taken."""
WEBHOOK_ENDPOINTS: Final = 0x5748  # "WH"
"""Held while endpoints are counted and one is added."""


def tenant_key(uow: UnitOfWork) -> int:
    """Two tenants with the same key only wait for each other."""
    return int.from_bytes(uow.tenant_id.bytes[-4:], "big", signed=True)


async def hold_alone(uow: UnitOfWork, lock: int) -> None:
    """Hold one of the locks above until this transaction ends; waits for whoever has it."""
    await uow.execute(select(func.pg_advisory_xact_lock(lock, tenant_key(uow))))
