"""What a borrower pays by: bank accounts and cards. Account numbers and processors' tokens are kept sealed only.

Locks are taken in one order: enrolment, borrower, instrument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy.engine import RowMapping

from domain.errors import Conflict, InvalidInput, WrongState
from domain.instruments import (
    Instrument,
    InstrumentType,
    Secrets,
    Verification,
    VerificationMethod,
    VerificationStatus,
    check_change,
    check_instrument,
    verify,
)
from infra.crypto import Vault
from infra.db.models.servicing import payment_instruments
from infra.db.queries import instruments as queries
from infra.db.repositories import autopay as enrolments
from infra.db.repositories import instruments as repository
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from services import autopay, suspensions
from services.authorizations import check_account

_VISIBLE: Final = tuple(field.name for field in fields(Instrument))
_SECRET: Final = tuple(field.name for field in fields(Secrets))
_MOVES_MONEY: Final = {"routing_number", "account_type", *_SECRET}
"""What was verified is no longer what money moves by when one of these changes."""


def sealed_place(name: str, tenant_id: UUID, instrument_id: UUID) -> str:
    """What a sealed value ("account_number", "processor_token") is bound to: copied to another row it does not open."""
    return f"payment_instruments.{name}/{tenant_id}/{instrument_id}"


async def add(uow: UnitOfWork, vault: Vault, borrower_id: UUID, data: Mapping[str, Any]) -> UUID:
    """Add a payment instrument (the JSON form of domain.instruments: Instrument and Secrets); returns its id.

    Raises NotFound("borrower"), InvalidInput with one pointer per wrong field, Conflict naming the borrower's instrument
    that is the same.
    """
    instrument, secrets = check_instrument(data, await uow.business_date())
    await repository.lock_borrower(uow, borrower_id)
    instrument_id = new_id()
    values = {
        **asdict(instrument),
        **_sealed(uow, vault, instrument_id, asdict(secrets)),
        "identity_hash": await _identity(uow, vault, borrower_id, instrument, secrets, own=None),
    }
    instants = {"created_at": uow.recorded_at, "updated_at": uow.recorded_at}
    await uow.add(payment_instruments, id=instrument_id, borrower_id=borrower_id, **values, **instants)
    held = {f"has_{name}": getattr(secrets, name) is not None for name in _SECRET}
    after = {**asdict(instrument), **held, "id": str(instrument_id)}
    await uow.audit("payment_instrument.added", "borrower", borrower_id, after=after)
    return instrument_id


async def change(
    uow: UnitOfWork,
    vault: Vault,
    borrower_id: UUID,
    instrument_id: UUID,
    changes: Mapping[str, Any],
    reason: str | None = None,
) -> None:
    """Change the named fields of an instrument (None clears one that may be empty), or add an account number or a token.

    Where that changes what money moves by, the instrument is unverified again, and autopays that were suspended until it is
    corrected draft again. Raises NotFound, InvalidInput with one pointer per wrong field, Conflict naming the borrower's
    instrument that is the same, WrongState naming the autopays that could not draw on it any more.
    """
    drawing = await enrolments.drawing_on(uow, instrument_id, lock=True)
    await repository.lock_borrower(uow, borrower_id)
    row = await repository.lock(uow, borrower_id, instrument_id)
    today = await uow.business_date()
    held = Instrument(**{name: row[name] for name in _VISIBLE})
    instrument, sent = check_change(held, row["has_account_number"], changes, today)
    known = await _opened(uow, vault, instrument_id)
    secrets = Secrets(**{name: getattr(sent if name in changes else known, name) for name in _SECRET})
    values = _differences(asdict(held), asdict(instrument))
    moved = _differences(asdict(known), asdict(secrets))
    if not values and not moved:
        return
    if moved and not any(asdict(secrets).values()):
        _check_unused(await enrolments.drawing_on(uow, instrument_id))
    changed = set(values) | set(moved)
    before = {name: row[name] for name in values}
    after = {**values, **{name: "removed" if moved[name] is None else "set" for name in moved}, "id": str(instrument_id)}
    if changed & _MOVES_MONEY and row["verification_status"] != VerificationStatus.UNVERIFIED:
        reset = _verification_values(Verification(changed_on=today))
        before["verification_status"] = row["verification_status"]
        after["verification_status"] = reset["verification_status"]
        values |= reset
    if changed & {*repository.VISIBLE, "account_number"}:
        values["identity_hash"] = await _identity(uow, vault, borrower_id, instrument, secrets, own=instrument_id)
    await repository.change(uow, instrument_id, **values, **_sealed(uow, vault, instrument_id, moved))
    await uow.audit("payment_instrument.changed", "borrower", borrower_id, before=before, after=after, reason=reason)
    if changed & _MOVES_MONEY:
        await suspensions.reinstate(uow, drawing, reason or "the account was corrected")


async def set_verification(
    uow: UnitOfWork,
    borrower_id: UUID,
    instrument_id: UUID,
    status: VerificationStatus,
    method: VerificationMethod | None,
    reason: str,
) -> None:
    """Record how far the verification of an instrument has come, on the business date.

    Raises NotFound; WrongState naming the state and what it may become; InvalidInput at /method.
    """
    row = await repository.lock(uow, borrower_id, instrument_id)
    known = row["verification_method"]
    now = Verification(
        VerificationStatus(row["verification_status"]),
        None if known is None else VerificationMethod(known),
        row["verification_changed_on"],
    )
    verified = verify(
        now,
        status,
        method,
        await uow.business_date(),
        is_bank_account=row["instrument_type"] == InstrumentType.BANK_ACCOUNT,
        reachable=row["has_account_number"] or row["has_processor_token"],
    )
    await repository.change(uow, instrument_id, **_verification_values(verified))
    named = {"id": str(instrument_id)}
    before = named | {"status": str(now.status), "method": known}
    after = named | {"status": str(verified.status), "method": verified.method and str(verified.method)}
    await uow.audit("payment_instrument.verification", "borrower", borrower_id, before=before, after=after, reason=reason)


async def remove(uow: UnitOfWork, borrower_id: UUID, instrument_id: UUID, replace_with: UUID | None = None) -> None:
    """Remove a payment instrument; payments made with it keep referring to it.

    Autopays that draw on it are moved to the instrument `replace_with`, and their workflows told. Raises NotFound, also
    when it was removed already; InvalidInput at /replace_with; WrongState naming the autopays that draw on it still.
    """
    await uow.one(queries.instrument(borrower_id, instrument_id), "payment instrument")
    drawing = [] if replace_with is None else await enrolments.drawing_on(uow, instrument_id, lock=True)
    row = await _lock_both(uow, borrower_id, instrument_id, replace_with)
    # whoever enrols holds the instrument, so from here on nobody begins to draw on it
    left = await enrolments.drawing_on(uow, instrument_id)
    if {enrolment["id"] for enrolment in left} - {enrolment["id"] for enrolment in drawing}:
        raise _in_use(left)
    if replace_with is not None:
        await check_account(uow, replace_with, borrower_id, "/replace_with")
        for enrolment in drawing:
            await autopay.draw_on(
                uow, enrolment, instrument_id, replace_with, f"payment instrument {instrument_id} was removed"
            )
    await repository.change(uow, instrument_id, removed_at=uow.recorded_at)
    before = {"id": str(instrument_id), "account_number_last_four": row["account_number_last_four"]}
    after = None if replace_with is None else {"replaced_with": str(replace_with)}
    await uow.audit("payment_instrument.removed", "borrower", borrower_id, before=before, after=after)


async def _lock_both(uow: UnitOfWork, borrower_id: UUID, instrument_id: UUID, other: UUID | None) -> RowMapping:
    """Lock an instrument, and hold the one that takes its place, in the order of ids."""
    if other == instrument_id:
        raise InvalidInput.at("/replace_with", "must be another payment instrument than the one that is removed")
    if other is not None and other < instrument_id:
        await repository.hold(uow, other)
    return await repository.lock(uow, borrower_id, instrument_id)


def _in_use(drawing: Sequence[RowMapping]) -> WrongState:
    detail = (
        f"Drawn on by {_named(drawing)}: cancel it, or name the instrument it is to draw on instead with ?replace_with=, "
    )
    allowed = ["remove with replace_with", "cancel the autopay"]
    return WrongState(f"{detail}first.", state="in_use", allowed=allowed, code="instrument_in_use")


def _check_unused(drawing: Sequence[RowMapping]) -> None:
    """Refuse to clear all that an account is drafted by, as long as it is drawn on."""
    if drawing:
        detail = f"Drawn on by {_named(drawing)}, and without the account number or a token nothing can be drafted."
        allowed = ["change the autopay's account", "cancel the autopay"]
        raise WrongState(detail, state="in_use", allowed=allowed, code="instrument_in_use")


def _named(drawing: Sequence[RowMapping]) -> str:
    return ", ".join(f"autopay {row['id']} of loan {row['loan_id']}" for row in drawing)


async def _identity(
    uow: UnitOfWork, vault: Vault, borrower_id: UUID, instrument: Instrument, secrets: Secrets, *, own: UUID | None
) -> bytes:
    """The keyed hash of what makes an instrument one and the same. The borrower is locked.

    Raises Conflict when another instrument of the borrower is the same."""
    visible = asdict(instrument)
    has_number = secrets.account_number is not None
    parts = [str(visible[name]) for name in repository.VISIBLE]
    if secrets.account_number is not None:
        parts = [str(instrument.routing_number), secrets.account_number]
    identity = vault.keyed_hash("payment-instrument", "/".join([str(uow.tenant_id), str(borrower_id), *parts]))
    twin = await repository.same(uow, borrower_id, visible, identity, has_number=has_number, own=own)
    if twin is not None:
        detail = (
            f"The borrower has this payment instrument already: {twin}. Change that one, for example to add its account "
            "number, or remove it first."
        )
        raise Conflict(detail, code="instrument_exists")
    return identity


def _sealed(uow: UnitOfWork, vault: Vault, instrument_id: UUID, secrets: Mapping[str, str | None]) -> dict[str, Any]:
    """The columns that hold some secrets; None empties one."""
    places = {name: sealed_place(name, uow.tenant_id, instrument_id) for name in secrets}
    return {
        f"{name}_encrypted": None if secret is None else vault.encrypt(secret, places[name])
        for name, secret in secrets.items()
    }


async def _opened(uow: UnitOfWork, vault: Vault, instrument_id: UUID) -> Secrets:
    sealed = dict(zip(_SECRET, await repository.sealed(uow, instrument_id), strict=True))
    places = {name: sealed_place(name, uow.tenant_id, instrument_id) for name in sealed}
    return Secrets(**{name: None if value is None else vault.decrypt(value, places[name]) for name, value in sealed.items()})


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value != before[name]}


def _verification_values(verification: Verification) -> dict[str, Any]:
    return {
        "verification_status": str(verification.status),
        "verification_method": None if verification.method is None else str(verification.method),
        "verification_changed_on": verification.changed_on,
    }
