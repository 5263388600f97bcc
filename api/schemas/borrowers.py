"""Borrowers and their nested entries at the edge. Their rules are in domain/borrower.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, create_model
from sqlalchemy.engine import RowMapping

from api.schemas.base import Count, Date, Flag, Schema
from domain.borrower import DetailKind
from services.borrowers import WITH_A_PRIMARY, NewDetail

MAX_ENTRIES = 50


class CommunicationPreferences(Schema):
    """How the borrower agreed to be reached; null: not said."""

    email: Flag | None = None
    sms: Flag | None = None
    phone: Flag | None = None
    mail: Flag | None = None
    paperless: Flag | None = None


class AddressIn(Schema):
    address_type: str | None = Field(None, description="home, mailing, work or other", examples=["home"])
    line1: str = Field(examples=["123 Main St"])
    line2: str | None = None
    city: str = Field(examples=["Poughkeepsie"])
    state: str = Field(description="two letters in the United States", examples=["NY"])
    postal_code: str = Field(examples=["12601"])
    country: str | None = Field(None, description="two letters; default US", examples=["US"])
    is_primary: Flag = False


class PhoneIn(Schema):
    phone_type: str | None = Field(None, description="mobile, home, work or other", examples=["mobile"])
    number: str = Field(examples=["+12125551234"])
    is_primary: Flag = False


class EmailIn(Schema):
    email_type: str | None = Field(None, description="personal, work or other", examples=["personal"])
    email: str = Field(examples=["john.doe@example.com"])
    is_primary: Flag = False


class EmployerIn(Schema):
    name: str = Field(examples=["Acme Inc."])
    position: str | None = None
    phone: str | None = None
    start_date: str | None = Field(None, examples=["2015-03-01"])
    end_date: str | None = None
    monthly_income: str | None = Field(None, examples=["4500.00"])
    is_primary: Flag = Field(False, description="the current employer")


class ReferenceIn(Schema):
    name: str = Field(examples=["Jane Roe"])
    relationship: str | None = Field(None, examples=["sister"])
    phone: str | None = None
    email: str | None = None


class NoteIn(Schema):
    """A note is never changed or removed."""

    text: str = Field(examples=["Asked to be called after 5 pm."])


class CreditScoreIn(Schema):
    score: Count = Field(examples=[700])
    bureau: str = Field(description="equifax, experian, transunion or other", examples=["experian"])
    model: str | None = Field(None, examples=["FICO 8"])
    scored_on: str = Field(examples=["2020-08-31"])


class Entry(Schema):
    """What every nested entry has."""

    id: UUID
    created_at: datetime
    updated_at: datetime


class Address(Entry, AddressIn):
    pass


class Phone(Entry, PhoneIn):
    pass


class Email(Entry, EmailIn):
    pass


class Employer(Entry, EmployerIn):
    pass


class Reference(Entry, ReferenceIn):
    pass


class Note(Entry, NoteIn):
    author_id: UUID | None


class CreditScore(Entry, CreditScoreIn):
    pass


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of nested entry is written: its path, what is sent, what may be changed, what is answered."""

    segment: str
    field: str
    singular: str
    kind: DetailKind
    create: type[Schema]
    change: type[Schema]
    out: type[Entry]


def _form(segment: str, kind: DetailKind, create: type[Schema], out: type[Entry]) -> Form:
    optional: dict[str, Any] = {name: (info.rebuild_annotation() | None, None) for name, info in create.model_fields.items()}
    change = create_model(f"{out.__name__}Change", __base__=Schema, **optional)
    return Form(segment, segment.replace("-", "_"), str(kind), kind, create, change, out)


FORMS = (
    _form("addresses", DetailKind.ADDRESS, AddressIn, Address),
    _form("phones", DetailKind.PHONE, PhoneIn, Phone),
    _form("emails", DetailKind.EMAIL, EmailIn, Email),
    _form("employers", DetailKind.EMPLOYER, EmployerIn, Employer),
    _form("references", DetailKind.REFERENCE, ReferenceIn, Reference),
    _form("notes", DetailKind.NOTE, NoteIn, Note),
    _form("credit-scores", DetailKind.CREDIT_SCORE, CreditScoreIn, CreditScore),
)


def new_detail(kind: DetailKind, body: Schema, pointer: str = "") -> NewDetail:
    """A nested entry to add, from its body."""
    data = body.model_dump(exclude_unset=True)
    return NewDetail(kind, data, bool(data.pop("is_primary", False)), pointer)


def entry_of(form: Form, row: RowMapping) -> Any:
    """A nested entry from its row."""
    values = {**row["data"], "id": row["id"], "created_at": row["created_at"], "updated_at": row["updated_at"]}
    if form.kind in WITH_A_PRIMARY:
        values["is_primary"] = bool(row["is_primary"])
    return form.out.model_validate(values)


class BorrowerRequest(Schema):
    first_name: str = Field(examples=["John"])
    middle_name: str | None = None
    last_name: str = Field(examples=["Doe"])
    birth_date: Date | None = None
    email: str | None = Field(None, examples=["john.doe@example.com"])
    phone: str | None = Field(None, examples=["+12125551234"])
    ssn: str | None = Field(
        None, repr=False, description="kept encrypted; only the last four digits are ever shown", examples=["123-45-6789"]
    )
    language: str = Field("en", examples=["en"])
    communication_preferences: CommunicationPreferences = CommunicationPreferences()
    external_id: str | None = Field(None, description="your id of the borrower", examples=["B-1001"])
    addresses: list[AddressIn] = Field([], max_length=MAX_ENTRIES)
    phones: list[PhoneIn] = Field([], max_length=MAX_ENTRIES)
    emails: list[EmailIn] = Field([], max_length=MAX_ENTRIES)
    employers: list[EmployerIn] = Field([], max_length=MAX_ENTRIES)
    references: list[ReferenceIn] = Field([], max_length=MAX_ENTRIES)
    notes: list[NoteIn] = Field([], max_length=MAX_ENTRIES)
    credit_scores: list[CreditScoreIn] = Field([], max_length=MAX_ENTRIES)

    def details(self) -> list[NewDetail]:
        """The nested entries, each with the pointer it was given at."""
        return [
            new_detail(form.kind, entry, f"/{form.field}/{at}")
            for form in FORMS
            for at, entry in enumerate(getattr(self, form.field))
        ]


class BorrowerChange(Schema):
    """What to change; a field that is left out stays as it is, null clears it. `ssn` only where none is known yet."""

    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    birth_date: Date | None = None
    email: str | None = None
    phone: str | None = None
    ssn: str | None = Field(None, repr=False)
    language: str | None = None
    communication_preferences: CommunicationPreferences | None = None
    external_id: str | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        preferences = values.get("communication_preferences")
        if preferences is not None:
            values["communication_preferences"] = preferences.model_dump(exclude_none=True)
        return values


class Borrower(Schema):
    id: UUID
    external_id: str | None
    first_name: str
    middle_name: str | None
    last_name: str
    birth_date: Date | None
    email: str | None
    phone: str | None
    ssn_last_four: str | None
    language: str
    communication_preferences: CommunicationPreferences
    created_at: datetime
    updated_at: datetime


class BorrowerDetail(Borrower):
    """A borrower with the nested entries that `expand` named; null where it did not."""

    addresses: list[Address] | None = None
    phones: list[Phone] | None = None
    emails: list[Email] | None = None
    employers: list[Employer] | None = None
    references: list[Reference] | None = None
    notes: list[Note] | None = None
    credit_scores: list[CreditScore] | None = None


def borrower_of(row: RowMapping) -> Borrower:
    """A borrower from a row of infra.db.queries.borrowers."""
    return Borrower.model_validate({name: row[name] for name in Borrower.model_fields})
