"""Users of a tenant: staff and the borrowers' portal accounts."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.engine import RowMapping

from domain.errors import Conflict, Forbidden, InvalidInput, NotFound, WrongState
from domain.roles import Role, may_manage
from infra.crypto import Vault
from infra.db.models.servicing import borrowers
from infra.db.models.tenancy import sessions, tenants, users
from infra.db.uow import UnitOfWork
from infra.notifier import Mail
from infra.passwords import hash_password
from services import letters
from services.one_time_tokens import Purpose, issue, revoke

MIN_PASSWORD, MAX_PASSWORD = 12, 200


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; None leaves it as it is. `disabled` True ends all sessions at once."""

    full_name: str | None = None
    role: Role | None = None
    disabled: bool | None = None
    reason: str | None = None


def normal_email(email: str) -> str:
    """An email address as it is stored and compared."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def login_hash(vault: Vault, email: str) -> bytes:
    """The keyed hash by which a login is found before the tenant is known."""
    return vault.keyed_hash("login", normal_email(email))


def check_password(password: str, email: str, pointer: str = "/password") -> None:
    """Raises InvalidInput when a new password is too short, too long, the email address, or one character repeated."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput.at(
            pointer, f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters", code="unacceptable_password"
        )
    if normal_email(password) == normal_email(email) or len(set(password)) < 4:
        raise InvalidInput.at(pointer, "is too easy to guess", code="unacceptable_password")


async def create_user(
    uow: UnitOfWork,
    vault: Vault,
    *,
    email: str,
    full_name: str,
    role: Role,
    password: str | None = None,
    borrower_id: UUID | None = None,
) -> UUID:
    """Create a user: active with a password, invited without. A borrower's account has the role borrower.

    Returns the id. Raises Conflict when the address is taken in this tenant, InvalidInput for a bad password.
    """
    email = normal_email(email)
    if password is not None:
        check_password(password, email)
    await _check_email_free(uow, email)
    user_id = await uow.add(
        users,
        email=email,
        full_name=full_name,
        role=str(role),
        status="active" if password else "invited",
        password_hash=await hash_password(password) if password else None,
        borrower_id=borrower_id,
        created_at=uow.recorded_at,
        updated_at=uow.recorded_at,
    )
    await uow.execute(select(func.register_login(login_hash(vault, email), user_id)))
    await uow.audit("user.created", "user", user_id, after={"role": str(role), "full_name": full_name})
    return user_id


async def tenant_name(uow: UnitOfWork) -> str:
    """How the tenant calls itself in mails."""
    row = await uow.one(select(tenants.c.name).where(tenants.c.id == uow.tenant_id), "tenant")
    return str(row["name"])


async def invite(
    uow: UnitOfWork, vault: Vault, acting: Role, public_url: str, *, email: str, full_name: str, role: Role
) -> tuple[UUID, Mail]:
    """Create a member of staff who chooses the password through the mail, to be sent after commit.

    Raises Forbidden when an admin invites an owner, Conflict when the address is taken.
    """
    _check_may_manage(acting, role)
    user_id = await create_user(uow, vault, email=email, full_name=full_name, role=role)
    return user_id, await _invitation(uow, public_url, user_id, normal_email(email), full_name)


async def invite_again(uow: UnitOfWork, acting: Role, public_url: str, user_id: UUID) -> Mail:
    """A fresh invitation for somebody who has not accepted; the earlier one stops working.

    Raises NotFound, Forbidden, WrongState when the user is not an invited member of staff.
    """
    user = await _locked(uow, user_id)
    _check_may_manage(acting, Role(user["role"]))
    if user["status"] != "invited":
        raise WrongState(f"The user is {user['status']}.", state=user["status"], allowed=["invited"])
    if user["borrower_id"] is not None:
        return await _activation(uow, public_url, user)
    await uow.audit("user.invited_again", "user", user_id)
    return await _invitation(uow, public_url, user_id, user["email"], user["full_name"])


async def _invitation(uow: UnitOfWork, public_url: str, user_id: UUID, email: str, full_name: str) -> Mail:
    token = await issue(uow, user_id, Purpose.INVITATION)
    return letters.invitation(public_url, await tenant_name(uow), email, full_name, token)


async def send_activation(uow: UnitOfWork, vault: Vault, public_url: str, borrower_id: UUID) -> tuple[UUID, Mail]:
    """Offer a borrower the portal: creates the account (invited) and the mail to be sent after commit. Again: a fresh
    mail, to the borrower's present address; the earlier one stops working.

    Returns the user's id and the mail. Raises NotFound("borrower"), WrongState when the borrower has no email address,
    or the account is active or disabled, Conflict when the address belongs to another user.
    """
    borrower = await uow.one(
        select(borrowers.c.email, borrowers.c.first_name, borrowers.c.last_name)
        .where(borrowers.c.id == borrower_id)
        .with_for_update(),
        "borrower",
    )
    if not borrower["email"]:
        raise WrongState(
            "The borrower has no email address to send the activation to.",
            state="without_email",
            allowed=["give the borrower an email address first"],
            code="borrower_without_email",
        )
    email, name = normal_email(borrower["email"]), f"{borrower['first_name']} {borrower['last_name']}"[:200]
    user = await uow.one_or_none(select(users).where(users.c.borrower_id == borrower_id).with_for_update())
    if user is None:
        user_id = await create_user(uow, vault, email=email, full_name=name, role=Role.BORROWER, borrower_id=borrower_id)
        user = await uow.one(select(users).where(users.c.id == user_id), "user")
    elif user["status"] != "invited":
        raise WrongState(f"The borrower's account is {user['status']}.", state=user["status"], allowed=["invited"])
    elif user["email"] != email:
        user = await _readdress(uow, vault, user, email)
    return user["id"], await _activation(uow, public_url, user)


async def _activation(uow: UnitOfWork, public_url: str, user: RowMapping) -> Mail:
    token = await issue(uow, user["id"], Purpose.ACTIVATION)
    await uow.audit("borrower.activation_sent", "borrower", user["borrower_id"])
    return letters.activation(public_url, await tenant_name(uow), user["email"], user["full_name"], token)


async def _readdress(uow: UnitOfWork, vault: Vault, user: RowMapping, email: str) -> RowMapping:
    await _check_email_free(uow, email)
    await uow.execute(select(func.forget_login(login_hash(vault, user["email"]))))
    await uow.execute(select(func.register_login(login_hash(vault, email), user["id"])))
    return await uow.one(
        update(users).where(users.c.id == user["id"]).values(email=email, updated_at=uow.recorded_at).returning(users),
        "user",
    )


async def change_user(uow: UnitOfWork, acting: Role, user_id: UUID, change: UserChange) -> None:
    """Change a user's name, role or status.

    Raises NotFound("user"); Forbidden when an admin touches an owner or makes one; InvalidInput when a borrower's account
    is to become staff or the other way round; WrongState when the last active owner would be gone.
    """
    user, owners = await _lock_with_owners(uow, user_id)
    role, new_role = Role(user["role"]), change.role or Role(user["role"])
    _check_may_manage(acting, role)
    _check_may_manage(acting, new_role)
    if (role is Role.BORROWER) != (new_role is Role.BORROWER):
        raise InvalidInput.at("/role", "a borrower's account stays one, and staff stays staff")
    status = _status_after(user, change.disabled)
    if role is Role.OWNER and user["status"] == "active" and (new_role is not Role.OWNER or status != "active"):
        _check_another_owner(user_id, owners)
    values = {"full_name": change.full_name or user["full_name"], "role": str(new_role), "status": status}
    before, after = _difference(user, values)
    if not after:
        return
    await uow.execute(update(users).where(users.c.id == user_id).values(**values, updated_at=uow.recorded_at))
    if status == "disabled":
        await end_sessions(uow, user_id)
        await revoke(uow, user_id)
    await uow.audit("user.changed", "user", user_id, before=before, after=after, reason=change.reason)


def _status_after(user: RowMapping, disabled: bool | None) -> str:
    if disabled is None or disabled == (user["status"] == "disabled"):
        return str(user["status"])
    if disabled:
        return "disabled"
    return "active" if user["password_hash"] else "invited"


async def end_sessions(uow: UnitOfWork, user_id: UUID, *, but: UUID | None = None) -> None:
    """Log a user out everywhere (`but`: except in this session). Counts from the next request on."""
    statement = (
        update(sessions)
        .where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=uow.recorded_at)
    )
    await uow.execute(statement if but is None else statement.where(sessions.c.id != but))


async def _check_email_free(uow: UnitOfWork, email: str) -> None:
    """A clear refusal; the unique key refuses whoever comes at the same moment."""
    if await uow.one_or_none(select(users.c.id).where(users.c.email == email)):
        raise Conflict("A user with this email address exists already.", code="email_taken")


async def _locked(uow: UnitOfWork, user_id: UUID) -> RowMapping:
    return await uow.one(select(users).where(users.c.id == user_id).with_for_update(), "user")


async def _lock_with_owners(uow: UnitOfWork, user_id: UUID) -> tuple[RowMapping, list[UUID]]:
    """The user, and the ids of all active owners, locked in the order of their ids: two owners who demote each other
    neither wait for each other nor both succeed."""
    is_owner = (users.c.role == str(Role.OWNER)) & (users.c.status == "active")
    rows = await uow.all(select(users).where(or_(users.c.id == user_id, is_owner)).order_by(users.c.id).with_for_update())
    found = [row for row in rows if row["id"] == user_id]
    if not found:
        raise NotFound("user")
    return found[0], [row["id"] for row in rows if row["role"] == Role.OWNER and row["status"] == "active"]


def _check_another_owner(user_id: UUID, owners: list[UUID]) -> None:
    if set(owners) <= {user_id}:
        raise WrongState(
            "This is the last active owner.",
            state="last_owner",
            allowed=["make somebody else an owner first"],
            code="last_owner",
        )


def _check_may_manage(acting: Role, target: Role) -> None:
    if not may_manage(acting, target):
        raise Forbidden(f"The role {acting} may not create or change a user with the role {target}.")


def _difference(row: RowMapping, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    after = {name: value for name, value in values.items() if row[name] != value}
    return {name: row[name] for name in after}, after
