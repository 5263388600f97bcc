"""`perdiem date ...`: the business date of a lender."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import select

from cli.errors import CliError
from cli.output import console, errors
from cli.session import application_engine, unit_of_work
from infra.db.models.tenancy import date_advances, tenants
from infra.settings import Settings
from services.dates import request_advance
from standalone.progress import Progress
from standalone.runtime import connected_settings

app = typer.Typer(no_args_is_help=True, help="The business date of a lender.")

_POLL_SECONDS = 0.5

TenantOption = Annotated[str, typer.Option(help="The lender's slug.")]


@app.callback()
def date() -> None:
    """The business date of a lender."""


@app.command()
def show(tenant: TenantOption) -> None:
    """Show the business date, and how it moves."""
    console.print(asyncio.run(_show(connected_settings(), tenant)))


@app.command()
def advance(
    tenant: TenantOption,
    to: Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="The business date to move to.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for it to be done.")] = 600,
) -> None:
    """Move a sandbox's business date, through the close of every day on the way; returns when that is done."""
    settings = connected_settings()
    advance_id = asyncio.run(_request(settings, tenant, to.date()))
    with Progress(errors).step(f"Moving the business date of {tenant} to {to.date()}"):
        done = asyncio.run(_wait(settings, tenant, advance_id, wait))
    if not done:
        raise CliError(
            f"The date is not at {to.date()} after {wait} s, and goes on moving while a worker runs: "
            f"look with `perdiem date show --tenant {tenant}`, or at the workflow in Temporal's UI."
        )
    console.print(asyncio.run(_show(settings, tenant)))


async def _show(settings: Settings, slug: str) -> str:
    async with application_engine(settings) as engine, await unit_of_work(engine, slug) as uow:
        row = await uow.one(select(tenants).where(tenants.c.id == uow.tenant_id), "tenant")
        return f"{row['business_date']} ({row['mode']}, {row['zone']})"


async def _request(settings: Settings, slug: str, to_date: dt.date) -> UUID:
    async with application_engine(settings) as engine, await unit_of_work(engine, slug) as uow:
        advance_id = await request_advance(uow, to_date)
        await uow.commit()  # the worker's dispatcher starts the workflow
        return advance_id


async def _wait(settings: Settings, slug: str, advance_id: UUID, seconds: int) -> bool:
    async with application_engine(settings) as engine:
        for _ in range(int(seconds / _POLL_SECONDS)):
            async with await unit_of_work(engine, slug) as uow:
                row = await uow.one(select(date_advances.c.status).where(date_advances.c.id == advance_id), "advance")
                if row["status"] != "running":
                    return True
            await asyncio.sleep(_POLL_SECONDS)
    return False
