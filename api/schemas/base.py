"""The kinds of values that cross the edge, each with one way to be written.

Amounts are decimal strings outside and integer minor units inside; rates are decimal strings and exact fractions;
dates are ISO. A schema refuses unknown fields, so that a typing mistake loses nothing silently.
"""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from domain.calendars import FIRST_YEAR, LAST_YEAR
from domain.errors import InvalidInput
from domain.money import format_amount, format_rate, parse_amount, parse_rate

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AMOUNT_SCHEMA = {"type": "string", "pattern": r"^-?\d{1,13}(\.\d{1,2})?$", "examples": ["500.00"]}
_RATE_SCHEMA = {"type": "string", "pattern": r"^\d{1,4}(\.\d{1,8})?$", "examples": ["0.085"]}


class Schema(BaseModel):
    """Base of every request and response body."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


def _amount(value: Any) -> int:
    if not isinstance(value, str):
        raise PydanticCustomError("invalid_amount", 'must be a decimal string such as "500.00"')
    try:
        return parse_amount(value)
    except InvalidInput as refusal:
        raise PydanticCustomError("invalid_amount", "{reason}", {"reason": refusal.errors[0].message}) from None


def _rate(value: Any) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("invalid_rate", 'must be a decimal string such as "0.085"')
    try:
        return parse_rate(value)
    except InvalidInput as refusal:
        raise PydanticCustomError("invalid_rate", "{reason}", {"reason": refusal.errors[0].message}) from None


def _date(value: Any) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            parsed = date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("invalid_date", "there is no such day in the calendar") from None
        if FIRST_YEAR <= parsed.year <= LAST_YEAR:
            return parsed
        raise PydanticCustomError("invalid_date", f"must be between the years {FIRST_YEAR} and {LAST_YEAR}")
    raise PydanticCustomError("invalid_date", 'must be an ISO date such as "2026-02-15"')


Amount = Annotated[
    int,
    BeforeValidator(_amount),
    PlainSerializer(format_amount, return_type=str),
    WithJsonSchema(_AMOUNT_SCHEMA),
]
"""Input: a decimal string, as `int` minor units. Bounds are the field's: `amount: Amount = Field(gt=0)`."""

Money = Annotated[int, PlainSerializer(format_amount, return_type=str), WithJsonSchema(_AMOUNT_SCHEMA)]
"""Output: `int` minor units, written as a decimal string."""

RateString = Annotated[
    Fraction, PlainValidator(_rate), PlainSerializer(format_rate, return_type=str), WithJsonSchema(_RATE_SCHEMA)
]
"""Input and output: a yearly rate of one, "0.085" = 8.5 %, as an exact Fraction."""

Date = Annotated[
    date,
    PlainValidator(_date),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-02-15"]}),
]
"""Input and output: a calendar date between FIRST_YEAR and LAST_YEAR."""

Count = Annotated[int, Strict()]
"""A whole number; not "36", 36.0 or true, which pydantic would read as one."""

Flag = Annotated[bool, Strict()]
"""true or false; not "yes" or 1."""


def _one_line(value: str) -> str:
    if not value.isprintable() and any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise PydanticCustomError("invalid_text", "must be one line without control characters")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
"""A name of something or somebody: not blank, one line."""

Bucket = Literal["current", "dpd_1_29", "dpd_30_59", "dpd_60_89", "dpd_90_119", "dpd_120_plus"]
"""How long the oldest unpaid instalment has been due, in days."""

Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
"""Why somebody did something; kept in the audit trail."""
