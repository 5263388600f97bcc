"""`perdiem user ...`: members of staff."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from cli.output import console
from cli.passwords import read_password
from cli.session import application_engine, unit_of_work
from domain.errors import InvalidInput
from domain.roles import STAFF_ROLES, Role
from infra.crypto import Vault
from infra.settings import Settings
from services.users import create_user
from standalone.runtime import connected_settings

app = typer.Typer(no_args_is_help=True, help="Members of staff.")


@app.callback()
def user() -> None:
    """Members of staff."""


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="The lender's slug.")],
    email: Annotated[str, typer.Option(help="What the user logs in with.")],
    name: Annotated[str, typer.Option(help="Full name.")],
    role: Annotated[Role, typer.Option(help="viewer, loan_officer, admin or owner.")],
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Create a member of staff who can log in at once. The password is asked for, or read from standard input."""
    settings = connected_settings()
    settings.require("database_url", "secret_key")
    if role not in STAFF_ROLES:
        raise InvalidInput(f"A member of staff is one of {', '.join(STAFF_ROLES)}: a borrower's account is made by staff.")
    password = read_password(from_stdin=password_stdin, confirm=True)
    user_id = asyncio.run(_create(settings, tenant, email, name, role, password))
    console.print(f"Created {email} ({user_id}), {role} of {tenant}.")


async def _create(settings: Settings, slug: str, email: str, name: str, role: Role, password: str) -> UUID:
    async with application_engine(settings) as engine, await unit_of_work(engine, slug) as uow:
        user_id = await create_user(uow, Vault.of(settings), email=email, full_name=name, role=role, password=password)
        await uow.commit()
        return user_id
