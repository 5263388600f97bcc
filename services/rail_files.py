"""The file that a cutoff is for a bank: one, whose bytes are made from the cutoff's rows and are the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from domain import nacha
from domain.errors import NotFound
from domain.rails import CUTOFF_TIME, CutoffStatus, RailKind, effective_date, originator_of
from infra.calendar import bank_holidays
from infra.crypto import Vault
from infra.db.models.rails import rail_files
from infra.db.repositories import cutoffs as repository
from infra.db.uow import UnitOfWork
from infra.rails import Batch, File, Item
from services.instruments import sealed_place

_MODIFIERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


async def batch(uow: UnitOfWork, vault: Vault, cutoff_id: UUID) -> tuple[RailKind, Batch] | None:
    """What a cutoff hands to its rail; None when it was acknowledged, or is still collecting. A bank's file is recorded with
    its hash when it is first built. Raises NotFound."""
    row = await repository.cutoff(uow, cutoff_id, lock=True)
    if row["status"] != CutoffStatus.COLLECTED:
        return None
    entries = await repository.entries_of(uow, cutoff_id)
    items = [
        Item(entry["id"], entry["draft_id"], entry["amount"], entry["attempt"], entry["account_number_last_four"])
        for entry in entries
    ]
    file = None
    if row["rail"] == RailKind.NACHA and entries:
        known = await repository.file_of(uow, cutoff_id) or await _record(uow, vault, row, entries)
        file = File(known["storage_key"], _bytes(uow, vault, row, known["id_modifier"], entries))
        assert hashlib.sha256(file.content).hexdigest() == known["sha256"], "the same rows are the same bytes"
    return RailKind(row["rail"]), Batch(row["handed_over_on"], items, file)


async def mark_stored(uow: UnitOfWork, cutoff_id: UUID) -> None:
    """The file of a cutoff, where it has one, lies in the store."""
    table = rail_files
    one = (table.c.cutoff_id == cutoff_id, table.c.stored_at.is_(None))
    await uow.execute(update(table).where(*one).values(stored_at=uow.recorded_at))


async def content(uow: UnitOfWork, vault: Vault, file_id: UUID) -> tuple[str, bytes]:
    """The name and the bytes of a file, made again from its rows. Raises NotFound. Looking at account numbers is audited."""
    known = await uow.one(select(rail_files).where(rail_files.c.id == file_id), "file")
    row = await repository.cutoff(uow, known["cutoff_id"])
    entries = await repository.entries_of(uow, known["cutoff_id"])
    found = _bytes(uow, vault, row, known["id_modifier"], entries)
    if hashlib.sha256(found).hexdigest() != known["sha256"]:
        raise NotFound("file as it was sent")
    await uow.audit("rail_file.read", "rail_file", file_id, after={"name": known["name"], "sha256": known["sha256"]})
    return known["name"], found


def refusal(cutoff: RowMapping, entry: Mapping[str, Any]) -> str | None:
    """Why a NACHA file cannot hold an entry that a cutoff is about to take; None when it can."""
    if not entry["account_number_encrypted"] or not entry["routing_number"]:
        return "the account number is not held, and a file for a bank needs it"
    errors = nacha.entry_errors(_entry(entry, "1"), nacha.SecCode(cutoff["sec_code"]))
    return errors[0].message.partition(": ")[2] if errors else None


async def _record(uow: UnitOfWork, vault: Vault, cutoff: RowMapping, entries: Sequence[RowMapping]) -> RowMapping:
    on = cutoff["handed_over_on"]
    modifier = _MODIFIERS[await repository.count_files(uow, on) % len(_MODIFIERS)]
    found = _bytes(uow, vault, cutoff, modifier, entries)
    name = f"ach-{cutoff['business_date']}-{cutoff['number']}.txt"
    file_id = await uow.add(
        rail_files,
        cutoff_id=cutoff["id"],
        name=name,
        storage_key=f"rail/{uow.tenant_id}/{name}",
        sha256=hashlib.sha256(found).hexdigest(),
        size=len(found),
        entries=len(entries),
        amount=sum(entry["amount"] for entry in entries),
        created_on=on,
        id_modifier=modifier,
        effective_date=effective_date(on, bank_holidays()),
        created_at=uow.recorded_at,
    )
    return await uow.one(select(rail_files).where(rail_files.c.id == file_id), "file")


def _bytes(uow: UnitOfWork, vault: Vault, cutoff: RowMapping, modifier: str, entries: Sequence[RowMapping]) -> bytes:
    on, originator = cutoff["handed_over_on"], originator_of(cutoff["originator"])
    assert originator is not None
    items = tuple(_entry(entry, _opened(uow, vault, entry)) for entry in entries)
    one = nacha.Batch(nacha.SecCode(cutoff["sec_code"]), effective_date(on, bank_holidays()), items)
    return nacha.build(nacha.File(originator, datetime.combine(on, CUTOFF_TIME), modifier, (one,)))


def _opened(uow: UnitOfWork, vault: Vault, entry: RowMapping) -> str:
    place = sealed_place("account_number", uow.tenant_id, entry["payment_instrument_id"])
    return vault.decrypt(entry["account_number_encrypted"], place)


def _entry(row: RowMapping | Mapping[str, Any], account_number: str) -> nacha.Entry:
    return nacha.Entry(
        sequence=row["sequence"],
        routing=row["routing_number"],
        account_number=account_number,
        account_type=nacha.AccountType(row["account_type"]),
        amount=row["amount"],
        individual_id=row["individual_id"],
        individual_name=row["account_holder_name"],
        label=nacha.RETRY_LABEL if row["attempt"] > 1 else nacha.DEFAULT_LABEL,
    )
