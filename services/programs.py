"""Lending programs: every change of terms is a new version, and a loan keeps the version it was booked under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql

from domain.errors import Conflict, FieldError, InvalidTerms, NotFound, WrongState
from domain.program import Program
from domain.program_form import program_from_dict, program_to_dict
from infra.db.models.servicing import program_versions, programs
from infra.db.queries import programs as queries
from infra.db.uow import UnitOfWork
from infra.ids import new_id

FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProgramVersion:
    """A version of a program that loans can be booked under."""

    program_id: UUID
    version: int
    program: Program


def read_terms(terms: Mapping[str, Any]) -> Program:
    """A program from its JSON form, as sent in the field `terms`. Raises InvalidTerms with pointers below /terms."""
    try:
        return program_from_dict(dict(terms))
    except InvalidTerms as error:
        errors = [FieldError(f"/terms{e.pointer}", e.message, e.code) for e in error.errors]
        raise InvalidTerms(error.detail, errors=errors) from None


async def create(uow: UnitOfWork, *, name: str, description: str, terms: Mapping[str, Any]) -> UUID:
    """Create a program with its first version; returns its id.

    Raises InvalidTerms for terms that contradict each other, Conflict when the name is taken.
    """
    program = read_terms(terms)
    program_id = await _insert(uow, name, description, program)
    if program_id is None:
        raise _name_taken(name)
    return program_id


async def replace(uow: UnitOfWork, program_id: UUID, *, name: str, description: str, terms: Mapping[str, Any]) -> int:
    """Give a program a new name, description and terms; returns its current version.

    Other terms make a new version; the terms it has already make none, so that a repeated request changes nothing.
    Raises NotFound, WrongState for an archived program, InvalidTerms, Conflict when the name is taken.
    """
    program = read_terms(terms)
    row = await _lock(uow, program_id)
    if row["status"] != "active":
        raise WrongState("The program is archived: it takes no changes.", state=row["status"], allowed=["active"])
    other = await uow.one_or_none(select(programs.c.id).where(programs.c.name == name, programs.c.id != program_id))
    if other is not None:
        raise _name_taken(name)
    current = await uow.one(queries.program(program_id), "program")
    before = {name_: current[name_] for name_ in ("name", "description", "version")}
    before["terms"] = program_to_dict(program_from_dict(current["terms"]))
    version = current["version"]
    kept = program_to_dict(program)
    if kept != before["terms"]:
        version += 1
        await _add_version(uow, program_id, version, program)
    after = {"name": name, "description": description, "version": version, "terms": kept}
    if after == before:
        return int(version)
    values = {"name": name, "description": description, "current_version": version, "updated_at": uow.recorded_at}
    await uow.execute(update(programs).where(programs.c.id == program_id).values(values))
    await uow.audit("program.changed", "program", program_id, before=before, after=after)
    return int(version)


async def archive(uow: UnitOfWork, program_id: UUID) -> None:
    """No new loans are booked under the program any more; those it has stay as they are. Twice is once.

    Raises NotFound.
    """
    row = await _lock(uow, program_id)
    if row["status"] == "archived":
        return
    values = {"status": "archived", "updated_at": uow.recorded_at}
    await uow.execute(update(programs).where(programs.c.id == program_id).values(values))
    await uow.audit("program.archived", "program", program_id, before={"status": "active"}, after={"status": "archived"})


async def bookable(uow: UnitOfWork, program_id: UUID) -> ProgramVersion:
    """The version new loans are booked under, held until the transaction ends.

    Raises NotFound, WrongState for an archived program.
    """
    statement = queries.program(program_id).with_for_update(of=programs, read=True)
    row = await uow.one(statement, "program")
    if row["status"] != "active":
        detail = f"The program {row['name']} is archived: it takes no new loans."
        raise WrongState(detail, state=row["status"], allowed=["active"])
    return ProgramVersion(program_id, row["version"], program_from_dict(row["terms"]))


async def ensure(uow: UnitOfWork, name: str, program: Program) -> UUID:
    """The program of this name, created with these terms when there is none. Returns its id."""
    await _insert(uow, name, "", program)
    found: UUID = (await uow.one(select(programs.c.id).where(programs.c.name == name), "program"))["id"]
    return found


async def _insert(uow: UnitOfWork, name: str, description: str, program: Program) -> UUID | None:
    """A new program with its first version; None when the name is taken, if only just now by another transaction."""
    values = {"name": name, "description": description, "current_version": FIRST_VERSION}
    statement = postgresql.insert(programs).values(tenant_id=uow.tenant_id, id=new_id(), **values)
    unique = ["tenant_id", "name"]
    inserted = await uow.one_or_none(statement.on_conflict_do_nothing(index_elements=unique).returning(programs.c.id))
    if inserted is None:
        return None
    program_id: UUID = inserted["id"]
    kept = await _add_version(uow, program_id, FIRST_VERSION, program)
    after = {"name": name, "description": description, "version": FIRST_VERSION, "terms": kept}
    await uow.audit("program.created", "program", program_id, after=after)
    return program_id


async def _lock(uow: UnitOfWork, program_id: UUID) -> Mapping[str, Any]:
    row = await uow.one_or_none(select(programs).where(programs.c.id == program_id).with_for_update())
    if row is None:
        raise NotFound("program")
    return dict(row)


def _name_taken(name: str) -> Conflict:
    error = FieldError("/name", "is the name of another program", "name_taken")
    return Conflict(f"There is a program named {name!r} already.", code="name_taken", errors=[error])


async def _add_version(uow: UnitOfWork, program_id: UUID, version: int, program: Program) -> dict[str, Any]:
    terms = program_to_dict(program)
    values = {"program_id": program_id, "version": version, "terms": terms, "created_by": uow.actor.id}
    await uow.execute(insert(program_versions).values(tenant_id=uow.tenant_id, **values))
    return terms
