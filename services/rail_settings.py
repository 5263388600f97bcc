"""How a lender's drafts go out: by the sandbox or as NACHA files, when, and what its bank calls it."""

from __future__ import annotations

from datetime import time
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping

from domain.nacha import SecCode
from domain.rails import RailKind, RailSettings, check_cutoff_comes_after, check_settings, originator_json, originator_of
from infra.db.models.rails import rail_settings
from infra.db.repositories import autopay
from infra.db.uow import UnitOfWork
from services import cutoffs


async def read(uow: UnitOfWork) -> RailSettings:
    """The lender's settings; the defaults where nobody has chosen."""
    row = await uow.one_or_none(select(rail_settings))
    return RailSettings() if row is None else _settings(row)


async def hold_cutoff_time(uow: UnitOfWork) -> time:
    """The local time of the lender's cutoff, which stays until this transaction ends."""
    await ensure(uow)
    row = await uow.one(select(rail_settings.c.cutoff_time).with_for_update(read=True), "rail settings")
    at: time = row["cutoff_time"]
    return at


async def change(uow: UnitOfWork, settings: RailSettings, reason: str | None) -> None:
    """Choose how drafts go out from the next cutoff on: one that has begun goes as it was.

    Raises InvalidInput, with a pointer per field by which no file could be made; and for a cutoff that is moved to before
    process times of autopays.
    """
    check_settings(settings)
    await ensure(uow)
    row = await uow.one(select(rail_settings).with_for_update(), "rail settings")
    before, after = _json(_settings(row)), _json(settings)
    if before == after:
        return
    check_cutoff_comes_after(await autopay.processed_between(uow, settings.cutoff_time, row["cutoff_time"]))
    values = {**after, "cutoff_time": settings.cutoff_time, "updated_at": uow.recorded_at}
    await uow.execute(update(rail_settings).values(**values))
    changed = [name for name in after if after[name] != before[name]]
    was, now = ({name: side[name] for name in changed} for side in (before, after))
    await uow.audit("rail_settings.changed", "tenant", uow.tenant_id, before=was, after=now, reason=reason)
    await cutoffs.look_again(uow)


async def ensure(uow: UnitOfWork) -> None:
    """Give the lender its row of settings, unless it has one."""
    await uow.execute(insert(rail_settings).values(tenant_id=uow.tenant_id).on_conflict_do_nothing())


def _settings(row: RowMapping) -> RailSettings:
    originator = originator_of(row["originator"])
    return RailSettings(RailKind(row["rail"]), row["cutoff_time"], SecCode(row["sec_code"]), originator)


def _json(settings: RailSettings) -> dict[str, Any]:
    return {
        "rail": str(settings.rail),
        "cutoff_time": f"{settings.cutoff_time:%H:%M}",
        "sec_code": str(settings.sec_code),
        "originator": originator_json(settings.originator),
    }
