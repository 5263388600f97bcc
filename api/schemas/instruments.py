"""Payment instruments at the edge. Account numbers and processors' tokens come in and never go out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy.engine import RowMapping

from api.schemas.base import Count, Date, Reason, Schema
from domain.instruments import CardBrand, InstrumentType, VerificationMethod, VerificationStatus, has_expired
from infra.db.queries.instruments import ach_refusal_of

_BANK_ACCOUNT: dict[str, Any] = {
    "instrument_type": "bank_account",
    "account_holder_name": "John Doe",
    "bank_name": "Chase",
    "routing_number": "021000021",
    "account_number_last_four": "6789",
    "account_type": "checking",
}
_CARD: dict[str, Any] = {
    "instrument_type": "card",
    "account_holder_name": "John Doe",
    "account_number_last_four": "4242",
    "card_brand": "visa",
    "card_expiry_month": 12,
    "card_expiry_year": 2030,
}


def _account_number() -> Any:
    text = "of a bank_account: the whole number, 4 to 17 digits, kept encrypted and never shown; what ACH is drafted by"
    return Field(None, repr=False, description=text)


def _processor_token() -> Any:
    text = "what a payment processor calls the account or card by; kept encrypted and never shown"
    return Field(None, repr=False, description=text)


class InstrumentRequest(Schema):
    """A bank account or a card. Of a bank account the whole number may be given, now or later; of a card never."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BANK_ACCOUNT, _CARD]})

    instrument_type: str = Field(description="bank_account or card", examples=["bank_account"])
    account_holder_name: str = Field(examples=["John Doe"])
    bank_name: str | None = Field(None, examples=["Chase"])
    routing_number: str | None = Field(None, description="of a bank_account", examples=["021000021"])
    account_number: str | None = _account_number()
    account_number_last_four: str | None = Field(
        None, description="may be left out where account_number is given, and must fit it", examples=["6789"]
    )
    account_type: str | None = Field(None, description="of a bank_account: checking or savings", examples=["checking"])
    processor_token: str | None = _processor_token()
    card_brand: CardBrand | None = None
    card_expiry_month: Count | None = Field(None, examples=[12])
    card_expiry_year: Count | None = Field(None, description="given with the month", examples=[2030])


class InstrumentChange(Schema):
    """What to change; a field that is left out stays as it is, null clears it (but not all that an autopay draws by). A
    number that is added must end in the last four digits that are known. With another number, token, routing number or
    account type it is unverified again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_number": "000123456789"}]})

    account_holder_name: str | None = None
    bank_name: str | None = None
    routing_number: str | None = None
    account_number: str | None = _account_number()
    account_number_last_four: str | None = None
    account_type: str | None = None
    processor_token: str | None = _processor_token()
    card_brand: CardBrand | None = None
    card_expiry_month: Count | None = None
    card_expiry_year: Count | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class VerificationRequest(Schema):
    """How far the verification has come. A prenote or micro-deposits are pending before they are verified or failed."""

    status: VerificationStatus = Field(examples=["pending"])
    method: VerificationMethod | None = Field(
        None, description="default: the one under way; none with unverified", examples=["prenote"]
    )
    reason: Reason = Field(examples=["A prenote was sent."])


class InstrumentVerification(Schema):
    status: VerificationStatus
    method: VerificationMethod | None
    changed_on: Date | None = Field(description="the business date of the last change")


class Instrument(Schema):
    """What may be shown of a payment instrument."""

    id: UUID
    instrument_type: InstrumentType
    account_holder_name: str = Field(examples=["John Doe"])
    bank_name: str | None = Field(examples=["Chase"])
    routing_number: str | None = Field(examples=["021000021"])
    account_number_last_four: str = Field(examples=["6789"])
    account_type: str | None = Field(examples=["checking"])
    card_brand: CardBrand | None
    card_expiry_month: int | None
    card_expiry_year: int | None
    card_expired: bool | None = Field(description="by the business date; null where no expiry is known")
    has_account_number: bool
    has_processor_token: bool
    ach_draftable: bool
    ach_reason: str | None = Field(description="why it cannot be drafted over ACH; null when it can")
    verification: InstrumentVerification
    created_at: datetime
    updated_at: datetime


def instrument_of(row: RowMapping, today: date) -> Instrument:
    """A payment instrument from its row (infra.db.queries.instruments) on a business date."""
    month, year = row["card_expiry_month"], row["card_expiry_year"]
    refusal = ach_refusal_of(row)
    derived = {
        "card_expired": None if month is None else has_expired(month, year, today),
        "ach_draftable": refusal is None,
        "ach_reason": refusal,
        "verification": {name: row[f"verification_{name}"] for name in InstrumentVerification.model_fields},
    }
    plain = {name: row[name] for name in Instrument.model_fields if name not in derived}
    return Instrument.model_validate(plain | derived)
