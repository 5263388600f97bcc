"""What a borrower pays by: bank accounts and cards, of which only the last four digits are ever held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from domain.autopay import OPEN
from domain.borrower import check_instrument
from domain.errors import WrongState
from infra.db.models.processes import autopay_enrolments
from infra.db.models.servicing import borrowers, payment_instruments
from infra.db.queries import borrowers as queries
from infra.db.uow import UnitOfWork


async def add(uow: UnitOfWork, borrower_id: UUID, data: Mapping[str, Any]) -> UUID:
    """Add a payment instrument (the JSON form of domain.borrower.Instrument); returns its id.

    Raises NotFound("borrower"), InvalidInput with one pointer per wrong field.
    """
    instrument = check_instrument(data)
    await uow.one(select(borrowers.c.id).where(borrowers.c.id == borrower_id), "borrower")
    instrument_id = await uow.add(payment_instruments, borrower_id=borrower_id, **asdict(instrument))
    after = {**asdict(instrument), "id": str(instrument_id)}
    await uow.audit("payment_instrument.added", "borrower", borrower_id, after=after)
    return instrument_id


async def remove(uow: UnitOfWork, borrower_id: UUID, instrument_id: UUID) -> None:
    """Remove a payment instrument; payments made with it keep referring to it.

    Raises NotFound, also when it was removed already; WrongState while an autopay draws on it.
    """
    row = await uow.one(queries.instrument(borrower_id, instrument_id).with_for_update(), "payment instrument")
    table = autopay_enrolments
    which = (table.c.payment_instrument_id == instrument_id, table.c.status.in_(OPEN))
    using = await uow.one_or_none(select(table.c.id).where(*which).limit(1))
    if using is not None:
        detail = "Autopay draws on this payment instrument: cancel it, or give it another instrument, first."
        raise WrongState(detail, state="in_use", allowed=["unused"], code="instrument_in_use")
    statement = update(payment_instruments).where(payment_instruments.c.id == instrument_id)
    await uow.execute(statement.values(removed_at=uow.recorded_at))
    before = {"id": str(instrument_id), "account_number_last_four": row["account_number_last_four"]}
    await uow.audit("payment_instrument.removed", "borrower", borrower_id, before=before)
