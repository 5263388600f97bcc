"""A borrower's own profile."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping

from api.deps import BorrowerUser
from api.schemas.accounts import ContactOut, ProfileDetailOut, ProfileOut
from infra.db.queries.users import get_profile, list_contacts

router = APIRouter(prefix="/portal/profile", tags=["portal"])


@router.get("")
async def get_basic_profile(caller: BorrowerUser) -> ProfileOut:
    """Name, email address and phone."""
    async with caller.uow() as uow:
        row = await get_profile(uow, caller.borrower)
    return ProfileOut(**{name: row[name] for name in ProfileOut.model_fields})


@router.get("/detail")
async def get_detailed_profile(caller: BorrowerUser) -> ProfileDetailOut:
    """Everything the lender keeps to reach the borrower, with preferences and language."""
    async with caller.uow() as uow:
        row = await get_profile(uow, caller.borrower)
        contacts = await list_contacts(uow, caller.borrower)
    plain = {name: row[name] for name in ProfileDetailOut.model_fields if name in row}
    return ProfileDetailOut(
        **plain,
        addresses=_of_kind(contacts, "address"),
        phones=_of_kind(contacts, "phone"),
        emails=_of_kind(contacts, "email"),
    )


def _of_kind(contacts: Sequence[RowMapping], kind: str) -> list[ContactOut]:
    return [
        ContactOut(id=row["id"], is_primary=bool(row["is_primary"]), data=row["data"])
        for row in contacts
        if row["kind"] == kind
    ]
