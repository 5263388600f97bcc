"""`perdiem tenant ...`: lenders."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import typer

from cli.output import console
from infra.db.engine import owner_engine
from infra.settings import BusinessMode, Settings
from services.tenants import CreateTenant, create_tenant
from standalone.runtime import connected_settings

app = typer.Typer(no_args_is_help=True, help="Lenders.")


@app.callback()
def tenant() -> None:
    """Lenders."""


@app.command()
def create(
    slug: Annotated[str, typer.Argument(help="Short name, in addresses and at login: lower-case letters, digits, -.")],
    name: Annotated[str, typer.Option(help="The lender's name, as borrowers see it.")],
    zone: Annotated[str, typer.Option(help="Time zone of the business date.")] = "America/New_York",
    mode: Annotated[
        BusinessMode | None, typer.Option(help="How the business date moves; default PERDIEM_BUSINESS_MODE.")
    ] = None,
    business_date: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="First business date; default today.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Host name of the borrowers' portal.")] = None,
) -> None:
    """Create a lender with its first business day open."""
    settings = connected_settings()
    settings.require("database_owner_url")
    first: date | None = business_date.date() if business_date else None
    tenant_id = asyncio.run(_create(settings, CreateTenant(slug, name, zone, mode or settings.business_mode, first, host)))
    console.print(f"Created the tenant {slug} ({tenant_id}).")
    console.print(f"Next: perdiem user create --tenant {slug} --email you@example.com --name 'Your Name' --role owner")


async def _create(settings: Settings, command: CreateTenant) -> UUID:
    engine = owner_engine(settings)
    try:
        return await create_tenant(engine, command)
    finally:
        await engine.dispose()
