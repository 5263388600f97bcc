"""Bodies about logging in, users, the tenant and the audit trail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, EmailStr, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas.base import Amount, Date, Money, Name, Reason, Schema
from domain.roles import Role


def _ascii_lower(value: str) -> str:
    if not value.isascii() or len(value) > 254:
        raise PydanticCustomError("invalid_email", "must be an email address of at most 254 ASCII characters")
    return value.lower()


EmailAddress = Annotated[EmailStr, AfterValidator(_ascii_lower), Field(examples=["jane@acmelending.com"])]
AnyEmail = Annotated[str, StringConstraints(min_length=1, max_length=320)]
"""An address somebody logs in with: whether it is one is not said."""
Secret = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1024)]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$"), Field(examples=["#1976d2"])]
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[!-~]+$", max_length=500)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"), Field(examples=["+18005551234"])]


class StaffRole(StrEnum):
    VIEWER = "viewer"
    LOAN_OFFICER = "loan_officer"
    ADMIN = "admin"
    OWNER = "owner"


class UserStatus(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class StatusChange(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class LoginIn(Schema):
    email: AnyEmail
    password: Secret
    tenant: Slug | None = Field(None, description="slug of the lender; else the Host header or the password tells it")


class RefreshIn(Schema):
    refresh_token: Secret


class TokensOut(Schema):
    access_token: str
    refresh_token: str = Field(description="works once; each refresh gives a new one")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a scheme, not a password)
    expires_in: int = Field(description="seconds the access token is good for", examples=[900])


class PasswordResetRequestIn(Schema):
    email: AnyEmail
    tenant: Slug | None = None


class TokenAndPasswordIn(Schema):
    token: Secret = Field(description="from the mail")
    password: Secret = Field(description="12 to 200 characters")


class ChangePasswordIn(Schema):
    current_password: Secret
    password: Secret = Field(description="12 to 200 characters")


class AcceptedOut(Schema):
    detail: str


class MeOut(Schema):
    id: UUID
    email: str
    full_name: str
    role: Role
    borrower_id: UUID | None
    tenant_id: UUID
    tenant_slug: str
    tenant_name: str
    business_date: Date


class UserIn(Schema):
    email: EmailAddress
    full_name: Name
    role: StaffRole


class UserPatch(Schema):
    full_name: Name | None = None
    role: StaffRole | None = None
    status: StatusChange | None = Field(None, description="disabled ends all sessions at once")
    reason: Reason | None = None


class UserOut(Schema):
    id: UUID
    email: str
    full_name: str
    role: Role
    status: UserStatus
    borrower_id: UUID | None
    locked_until: datetime | None
    created_at: datetime
    updated_at: datetime


class ActivationOut(Schema):
    user_id: UUID
    status: UserStatus
    detail: str


class BrandingPatch(Schema):
    logo_url: HttpsUrl | None = None
    primary_color: Color | None = None
    secondary_color: Color | None = None
    support_email: EmailAddress | None = None
    support_phone: Phone | None = None


class TenantPatch(Schema):
    """Members that are absent stay; null removes what may be absent."""

    name: Name | None = None
    zone: str | None = Field(None, max_length=64, examples=["America/New_York"])
    branding: BrandingPatch | None = None
    approval_limit: Amount | None = Field(
        None, ge=0, description="payments and refunds above it need a second person; null: no limit"
    )
    reason: Reason | None = None


class BrandingOut(Schema):
    logo_url: str | None = None
    primary_color: str | None = None
    secondary_color: str | None = None
    support_email: str | None = None
    support_phone: str | None = None


class TenantOut(Schema):
    id: UUID
    slug: str
    name: str
    host: str | None
    zone: str
    mode: str
    business_date: Date
    branding: BrandingOut
    approval_limit: Money | None
    created_at: datetime


class AuditOut(Schema):
    id: UUID
    actor_id: UUID | None
    actor_kind: str
    action: str
    object_type: str
    object_id: UUID
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    business_date: Date
    recorded_at: datetime


class PortalConfigOut(BrandingOut):
    tenant_name: str


class ProfileOut(Schema):
    id: UUID
    email: str | None
    first_name: str
    last_name: str
    phone: str | None


class ContactOut(Schema):
    id: UUID
    is_primary: bool
    data: dict[str, Any]


class ProfileDetailOut(ProfileOut):
    middle_name: str | None
    birth_date: Date | None
    ssn_last_four: str | None
    language: str
    communication_preferences: dict[str, Any]
    addresses: list[ContactOut]
    phones: list[ContactOut]
    emails: list[ContactOut]
