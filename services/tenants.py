"""Tenants: one a lender. Created by an operator with the schema owner's role; settings are changed by admins."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import Conflict, InvalidInput
from domain.money import format_amount
from infra.clock import Clock, date_in_zone, utc_now
from infra.db.models.tenancy import business_days, tenant_directory, tenants
from infra.db.uow import Actor, ActorKind, UnitOfWork
from infra.ids import new_id
from infra.settings import BusinessMode
from services import cutoffs, dates

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """A new lender. `business_date` None: today in `zone`. `host` is the Host header of its portal."""

    slug: str
    name: str
    zone: str
    mode: BusinessMode
    business_date: date | None = None
    host: str | None = None


_NO_PLACE = frozenset({"Factory", "localtime", "posixrules"})
"""In the time zone database, but the time of no place: what they mean is a setting of the machine."""


def check_zone(zone: str, pointer: str = "/zone") -> str:
    """Raises InvalidInput unless it is an IANA time zone such as "America/New_York"."""
    if zone in _NO_PLACE or zone not in zoneinfo.available_timezones():
        raise InvalidInput.at(pointer, 'must be an IANA time zone such as "America/New_York"', code="unknown_zone")
    return zone


def normal_host(host: str | None) -> str | None:
    """A Host header without port, in lower case; None when it cannot be the name of a host."""
    name = (host or "").rpartition("@")[2].partition(":")[0].lower()
    return name if _HOST.fullmatch(name) else None


async def create_tenant(engine: AsyncEngine, command: CreateTenant, clock: Clock = utc_now) -> UUID:
    """Create a tenant with its first business day open. `engine` is the schema owner's.

    Returns the id. Raises InvalidInput for an unacceptable slug, host, name or zone, Conflict for one that is taken.
    """
    if not _SLUG.fullmatch(command.slug):
        raise InvalidInput.at("/slug", "must be 1 to 63 lower-case letters, digits and hyphens", code="invalid_slug")
    if command.host is not None and normal_host(command.host) != command.host:
        raise InvalidInput.at("/host", 'must be a host name in lower case such as "loans.example.com"')
    if not 1 <= len(command.name.strip()) <= 200:
        raise InvalidInput.at("/name", "must have 1 to 200 characters")
    check_zone(command.zone)
    day = command.business_date or date_in_zone(command.zone, clock)
    tenant_id = new_id()
    async with UnitOfWork(engine, tenant_id, Actor(ActorKind.OPERATOR), clock) as uow:
        names = [command.slug, command.host or command.slug]
        taken = or_(tenant_directory.c.slug.in_(names), tenant_directory.c.host.in_(names))
        if (await uow.execute(select(tenant_directory.c.tenant_id).where(taken))).first():
            raise Conflict("A tenant with this slug or host exists already.", code="tenant_taken")
        values = {"slug": command.slug, "name": command.name.strip(), "host": command.host, "zone": command.zone}
        await uow.execute(insert(tenants).values(id=tenant_id, mode=str(command.mode), business_date=day, **values))
        await uow.execute(insert(tenant_directory).values(slug=command.slug, host=command.host, tenant_id=tenant_id))
        await uow.add(business_days, business_date=day)
        await uow.audit("tenant.created", "tenant", tenant_id, after=values)
        if command.mode is BusinessMode.LIVE:
            await dates.follow_calendar(uow, command.zone)
        await uow.commit()
    return tenant_id


async def change_settings(
    uow: UnitOfWork, changes: Mapping[str, Any], branding: Mapping[str, str | None], reason: str | None
) -> None:
    """Change settings of the tenant.

    Arguments: `changes`: any of name, zone, approval_limit (minor units, None: no limit); `branding`: what to show in the
        portal (logo_url, colours, support contacts), a None removes it.
    Raises: InvalidInput for an unknown zone.
    """
    if "zone" in changes:
        check_zone(changes["zone"])
    row = await uow.one(select(tenants).where(tenants.c.id == uow.tenant_id).with_for_update(), "tenant")
    merged = {name: value for name, value in {**row["branding"], **branding}.items() if value is not None}
    values = {**changes, "branding": merged}
    changed = {name: value for name, value in values.items() if row[name] != value}
    if not changed:
        return
    await uow.execute(update(tenants).where(tenants.c.id == uow.tenant_id).values(**changed))
    before = {name: _json(name, row[name]) for name in changed}
    if "zone" in changed and row["mode"] == BusinessMode.LIVE:
        await dates.follow_calendar(uow, changed["zone"])
        await cutoffs.look_again(uow)
    after = {name: _json(name, value) for name, value in changed.items()}
    await uow.audit("tenant.changed", "tenant", uow.tenant_id, before=before, after=after, reason=reason)


def _json(name: str, value: Any) -> Any:
    return format_amount(value) if name == "approval_limit" and value is not None else value
