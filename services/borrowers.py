"""Borrowers and their nested entries: addresses, phones, emails, employers, references, notes, credit scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update

from domain.borrower import (
    APPEND_ONLY,
    DetailKind,
    check_birth_date,
    check_detail,
    check_email,
    check_phone,
    check_ssn,
    check_text,
)
from domain.errors import Conflict, FieldError, InvalidInput, NotFound, WrongState
from infra.crypto import Vault
from infra.db.models.servicing import borrower_details, borrowers
from infra.db.queries import borrowers as queries
from infra.db.uow import UnitOfWork
from infra.ids import new_id

WITH_A_PRIMARY = frozenset({DetailKind.ADDRESS, DetailKind.PHONE, DetailKind.EMAIL, DetailKind.EMPLOYER})
"""Kinds of which one entry is the primary one; the first becomes it by itself."""


@dataclass(frozen=True, slots=True)
class NewDetail:
    """A nested entry to add. `data` is the JSON form of its kind (domain/borrower.py)."""

    kind: DetailKind
    data: Mapping[str, Any]
    is_primary: bool = False
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class CreateBorrower:
    """A new borrower. `ssn` is encrypted at once and never returned."""

    first_name: str
    last_name: str
    middle_name: str | None = None
    birth_date: date | None = None
    email: str | None = None
    phone: str | None = None
    ssn: str | None = field(default=None, repr=False)
    language: str = "en"
    communication_preferences: Mapping[str, bool] = field(default_factory=dict)
    external_id: str | None = None
    details: Sequence[NewDetail] = ()


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "first_name": lambda value: check_text(value, "/first_name", longest=100),
    "middle_name": lambda value: check_text(value, "/middle_name", longest=100),
    "last_name": lambda value: check_text(value, "/last_name", longest=100),
    "email": lambda value: check_email(value, "/email"),
    "phone": lambda value: check_phone(value, "/phone"),
    "language": lambda value: check_text(value, "/language", longest=10),
    "external_id": lambda value: check_text(value, "/external_id", longest=100),
    "communication_preferences": dict,
}
_REQUIRED = frozenset({"first_name", "last_name", "language", "communication_preferences"})


async def create(uow: UnitOfWork, vault: Vault, command: CreateBorrower) -> UUID:
    """Create a borrower with its nested entries; returns the id.

    Raises InvalidInput with one pointer per wrong field, Conflict when the external id is taken.
    """
    names = [*_CHECKS, "birth_date", "ssn"]
    values = _checked({name: getattr(command, name) for name in names}, await uow.business_date())
    await _check_external_id(uow, values["external_id"], None)
    borrower_id = new_id()
    values |= _sealed(uow, vault, borrower_id, values.pop("ssn"))
    await uow.add(borrowers, id=borrower_id, **values)
    await uow.audit("borrower.created", "borrower", borrower_id, after=_auditable(values))
    for detail in command.details:
        await _insert_detail(uow, borrower_id, detail)
    return borrower_id


async def change(uow: UnitOfWork, vault: Vault, borrower_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change the named fields of a borrower (None clears one that may be empty).

    An SSN can be given where none is known yet; it is never replaced. Raises NotFound, InvalidInput, Conflict, and
    WrongState for a second SSN.
    """
    row = await _lock(uow, borrower_id)
    values = _checked(changes, await uow.business_date())
    if values.get("external_id") is not None:
        await _check_external_id(uow, values["external_id"], borrower_id)
    if "ssn" in values:
        if row["ssn_last_four"] is not None:
            detail = f"The borrower has a social security number already, ending in {row['ssn_last_four']}."
            raise WrongState(detail, state="ssn_known", allowed=["none"], code="ssn_already_known")
        values |= _sealed(uow, vault, borrower_id, values.pop("ssn"))
    changed = {name: value for name, value in values.items() if row.get(name) != value}
    if not changed:
        return
    statement = update(borrowers).where(borrowers.c.id == borrower_id)
    await uow.execute(statement.values(**changed, updated_at=uow.recorded_at))
    before = _auditable({name: row.get(name) for name in changed})
    await uow.audit("borrower.changed", "borrower", borrower_id, before=before, after=_auditable(changed))


async def add_detail(uow: UnitOfWork, borrower_id: UUID, detail: NewDetail) -> UUID:
    """Add a nested entry to a borrower; returns its id. Raises NotFound("borrower"), InvalidInput."""
    await _lock(uow, borrower_id)
    return await _insert_detail(uow, borrower_id, detail)


async def change_detail(
    uow: UnitOfWork,
    borrower_id: UUID,
    kind: DetailKind,
    detail_id: UUID,
    changes: Mapping[str, Any],
    is_primary: bool | None = None,
) -> None:
    """Change the named fields of a nested entry. Raises NotFound, InvalidInput, WrongState for an append-only kind."""
    _check_may_change(kind)
    await _lock(uow, borrower_id)
    row = await uow.one(queries.detail(borrower_id, kind, detail_id), kind.replace("_", " "))
    data = check_detail(kind, {**row["data"], **changes})
    primary = row["is_primary"] if is_primary is None else int(is_primary)
    if data == row["data"] and primary == row["is_primary"]:
        return
    if primary and not row["is_primary"]:
        await _clear_primary(uow, borrower_id, kind)
    statement = update(borrower_details).where(borrower_details.c.id == detail_id)
    await uow.execute(statement.values(data=data, is_primary=primary, updated_at=uow.recorded_at))
    before = {**row["data"], "is_primary": bool(row["is_primary"])}
    after = {**data, "is_primary": bool(primary)}
    await uow.audit(f"borrower.{kind}.changed", "borrower", borrower_id, before=before, after=after)


async def remove_detail(uow: UnitOfWork, borrower_id: UUID, kind: DetailKind, detail_id: UUID) -> None:
    """Remove a nested entry. Raises NotFound, WrongState for an append-only kind."""
    _check_may_change(kind)
    await _lock(uow, borrower_id)
    row = await uow.one(queries.detail(borrower_id, kind, detail_id), kind.replace("_", " "))
    await uow.execute(delete(borrower_details).where(borrower_details.c.id == detail_id))
    await uow.audit(f"borrower.{kind}.removed", "borrower", borrower_id, before=row["data"])


def _check_may_change(kind: DetailKind) -> None:
    if kind in APPEND_ONLY:
        detail = f"A {kind} is never changed or removed: add another one."
        raise WrongState(detail, state="append_only", allowed=["add"], code="append_only")


async def _insert_detail(uow: UnitOfWork, borrower_id: UUID, detail: NewDetail) -> UUID:
    try:
        data = check_detail(detail.kind, detail.data)
    except InvalidInput as error:
        errors = [FieldError(detail.pointer + e.pointer, e.message, e.code) for e in error.errors]
        raise InvalidInput(error.detail, code=error.code, errors=errors) from None
    if detail.kind is DetailKind.NOTE:
        data["author_id"] = None if uow.actor.id is None else str(uow.actor.id)
    primary = detail.is_primary
    if detail.kind in WITH_A_PRIMARY and not primary:
        primary = await uow.one_or_none(_primary(borrower_id, detail.kind)) is None
    elif primary:
        await _clear_primary(uow, borrower_id, detail.kind)
    values = {"borrower_id": borrower_id, "kind": str(detail.kind), "data": data, "is_primary": int(primary)}
    detail_id = await uow.add(borrower_details, **values)
    after = {**data, "is_primary": primary}
    await uow.audit(f"borrower.{detail.kind}.added", "borrower", borrower_id, after=after)
    return detail_id


def _primary(borrower_id: UUID, kind: DetailKind) -> Any:
    table = borrower_details
    return select(table.c.id).where(table.c.borrower_id == borrower_id, table.c.kind == kind, table.c.is_primary == 1)


async def _clear_primary(uow: UnitOfWork, borrower_id: UUID, kind: DetailKind) -> None:
    table = borrower_details
    which = (table.c.borrower_id == borrower_id, table.c.kind == kind, table.c.is_primary == 1)
    await uow.execute(update(table).where(*which).values(is_primary=0, updated_at=uow.recorded_at))


async def _lock(uow: UnitOfWork, borrower_id: UUID) -> Mapping[str, Any]:
    row = await uow.one_or_none(select(*queries.SHOWN).where(borrowers.c.id == borrower_id).with_for_update())
    if row is None:
        raise NotFound("borrower")
    return dict(row)


def _checked(given: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The given fields in the form they are kept; every wrong one is named at once."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in given.items():
        try:
            if value is None:
                if name in _REQUIRED:
                    raise InvalidInput.at(f"/{name}", "must not be empty")
                values[name] = None
            elif name == "ssn":
                values[name] = check_ssn(value)
            elif name == "birth_date":
                values[name] = check_birth_date(value, today)
            else:
                values[name] = _CHECKS[name](value)
        except InvalidInput as error:
            errors += error.errors
    if errors:
        fields = ", ".join(error.pointer.lstrip("/") for error in errors)
        raise InvalidInput(f"The borrower's data are not acceptable: {fields}.", errors=errors)
    return values


def _sealed(uow: UnitOfWork, vault: Vault, borrower_id: UUID, ssn: str | None) -> dict[str, Any]:
    if ssn is None:
        return {}
    bound_to = f"borrowers.ssn/{uow.tenant_id}/{borrower_id}"
    return {"ssn_encrypted": vault.encrypt(ssn, bound_to), "ssn_last_four": ssn[-4:]}


def _auditable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the audit trail: JSON, and nothing that is encrypted."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
        if name != "ssn_encrypted"
    }


async def _check_external_id(uow: UnitOfWork, external_id: str | None, own: UUID | None) -> None:
    """A clear refusal; the unique key refuses whoever comes at the same moment."""
    if external_id is None:
        return
    row = await uow.one_or_none(select(borrowers.c.id).where(borrowers.c.external_id == external_id))
    if row is not None and row["id"] != own:
        error = FieldError("/external_id", "belongs to another borrower", "external_id_taken")
        raise Conflict("There is a borrower with this external_id already.", code="external_id_taken", errors=[error])
