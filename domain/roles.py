"""Who may act: the roles of users, from least to most."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"
    LOAN_OFFICER = "loan_officer"
    ADMIN = "admin"
    OWNER = "owner"
    BORROWER = "borrower"


STAFF_ROLES = (Role.VIEWER, Role.LOAN_OFFICER, Role.ADMIN, Role.OWNER)
"""Each may do what those before it may. A borrower is not staff and sees the portal only."""


def may_manage(actor: Role, target: Role) -> bool:
    """Whether an actor may create, change or disable a user of a role: owners everybody, admins everybody but owners."""
    return actor is Role.OWNER or (actor is Role.ADMIN and target is not Role.OWNER)
