"""SQL of payment instruments: locks, sealed values, and the one that is the same account already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, or_, select, update
from sqlalchemy.engine import RowMapping

from infra.db.models.servicing import borrowers, payment_instruments
from infra.db.queries import instruments as queries
from infra.db.uow import UnitOfWork

_TABLE: Final = payment_instruments

VISIBLE: Final = (
    "instrument_type",
    "routing_number",
    "account_type",
    "account_number_last_four",
    "card_brand",
    "card_expiry_month",
    "card_expiry_year",
)
"""By what people tell instruments apart whose whole number is not known."""


async def lock_borrower(uow: UnitOfWork, borrower_id: UUID) -> None:
    """Hold a borrower, so that nobody else adds or changes an instrument of theirs. Raises NotFound."""
    found = select(borrowers.c.id).where(borrowers.c.id == borrower_id)
    await uow.one(found.with_for_update(key_share=True), "borrower")


async def lock(uow: UnitOfWork, borrower_id: UUID, instrument_id: UUID) -> RowMapping:
    """One instrument of a borrower, locked. Raises NotFound, also when it was removed."""
    return await uow.one(queries.instrument(borrower_id, instrument_id).with_for_update(), "payment instrument")


async def hold(uow: UnitOfWork, instrument_id: UUID) -> RowMapping | None:
    """One instrument of any borrower, removed or not, as it stays until this transaction ends."""
    return await uow.one_or_none(select(*queries.SHOWN).where(_TABLE.c.id == instrument_id).with_for_update(read=True))


async def look_at(uow: UnitOfWork, instrument_id: UUID) -> RowMapping | None:
    """One instrument of any borrower, removed or not, only looked at."""
    return await uow.one_or_none(select(*queries.SHOWN).where(_TABLE.c.id == instrument_id))


async def sealed(uow: UnitOfWork, instrument_id: UUID) -> tuple[bytes | None, bytes | None]:
    """The sealed account number and the sealed processor token of an instrument that is locked."""
    columns = (_TABLE.c.account_number_encrypted, _TABLE.c.processor_token_encrypted)
    row = await uow.one(select(*columns).where(_TABLE.c.id == instrument_id), "payment instrument")
    return row["account_number_encrypted"], row["processor_token_encrypted"]


async def change(uow: UnitOfWork, instrument_id: UUID, **values: Any) -> None:
    """Set columns of an instrument that is locked."""
    statement = update(_TABLE).where(_TABLE.c.id == instrument_id)
    await uow.execute(statement.values(updated_at=uow.recorded_at, **values))


async def same(
    uow: UnitOfWork, borrower_id: UUID, visible: Mapping[str, Any], identity: bytes, *, has_number: bool, own: UUID | None
) -> UUID | None:
    """Another instrument of the borrower, not removed, that is the same: by the whole number where both have one,
    else by what can be seen of them."""
    looks_alike = and_(*(_TABLE.c[name].is_not_distinct_from(visible[name]) for name in VISIBLE))
    if has_number:
        looks_alike = and_(looks_alike, _TABLE.c.account_number_encrypted.is_(None))
    found = select(_TABLE.c.id).where(
        _TABLE.c.borrower_id == borrower_id,
        _TABLE.c.removed_at.is_(None),
        or_(_TABLE.c.identity_hash == identity, looks_alike),
    )
    if own is not None:
        found = found.where(_TABLE.c.id != own)
    row = await uow.one_or_none(found.order_by(_TABLE.c.id).limit(1))
    return None if row is None else row["id"]
