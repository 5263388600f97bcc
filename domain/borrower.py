"""Rules of a borrower's data: the nested kinds (one form a kind), SSN, routing numbers. Payment instruments: instruments.py.

Every check returns the value as it is kept (trimmed, a phone number in E.164) or raises InvalidInput at its pointer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from domain.calendars import FIRST_YEAR, LAST_YEAR
from domain.errors import FieldError, InvalidInput
from domain.money import format_amount, parse_amount

Check = Callable[[Any, str], Any]


class DetailKind(StrEnum):
    """What a borrower has several of."""

    ADDRESS = "address"
    PHONE = "phone"
    EMAIL = "email"
    EMPLOYER = "employer"
    REFERENCE = "reference"
    NOTE = "note"
    CREDIT_SCORE = "credit_score"


APPEND_ONLY = frozenset({DetailKind.NOTE})
"""A note records what was said; it is followed by another, never changed."""

_STATES = """
    AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR
    PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI AA AE AP
"""
US_STATES = frozenset(_STATES.split())

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_EMAIL = re.compile(r"[^@\s,;<>()\[\]\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ZIP = re.compile(r"\d{5}(-\d{4})?", re.ASCII)
_SSN = re.compile(r"(?!000|666|9)\d{3}-?(?!00)\d{2}-?(?!0000)\d{4}", re.ASCII)


def check_text(value: Any, pointer: str, *, longest: int = 200, lines: bool = False) -> str:
    """A trimmed text of 1 to `longest` characters without control characters (line breaks only with `lines`)."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > longest or _CONTROL.search(text) or (not lines and re.search(r"[\t\r\n]", text)):
        raise InvalidInput.at(pointer, f"must be a text of 1 to {longest} characters without control characters")
    return text


def check_email(value: Any, pointer: str) -> str:
    """An email address, kept as given but for blanks around it."""
    text = check_text(value, pointer, longest=254)
    if not _EMAIL.fullmatch(text):
        raise InvalidInput.at(pointer, 'must be an email address such as "john.doe@example.com"')
    return text


def check_phone(value: Any, pointer: str) -> str:
    """A phone number in E.164 ("+12125551234"); ten digits alone are taken as a number of the United States."""
    digits = re.sub(r"[\s().-]", "", value) if isinstance(value, str) and len(value) <= 40 else ""
    if re.fullmatch(r"\d{10}", digits, re.ASCII):
        digits = f"+1{digits}"
    if not _E164.fullmatch(digits):
        raise InvalidInput.at(pointer, 'must be a phone number such as "+12125551234"')
    return digits


def check_ssn(value: Any, pointer: str = "/ssn") -> str:
    """A social security number as nine digits. The message never repeats the number."""
    if not isinstance(value, str) or not _SSN.fullmatch(value.strip()):
        raise InvalidInput.at(pointer, "must be a social security number: nine digits, with or without hyphens")
    return value.strip().replace("-", "")


def check_routing_number(value: Any, pointer: str = "/routing_number") -> str:
    """An ABA routing number: nine digits with 3(d1+d4+d7) + 7(d2+d5+d8) + (d3+d6+d9) a multiple of 10."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"\d{9}", text, re.ASCII) or text == "000000000":
        raise InvalidInput.at(pointer, "must be a routing number: nine digits", code="invalid_routing_number")
    if sum(int(digit) * weight for digit, weight in zip(text, (3, 7, 1) * 3, strict=True)) % 10:
        raise InvalidInput.at(
            pointer, "is not a routing number: its check digit does not fit", code="invalid_routing_number"
        )
    return text


def check_birth_date(value: date | None, today: date, pointer: str = "/birth_date") -> date | None:
    """A date of birth of a living adult's kind: in the past, and at most 120 years back."""
    if value is not None and not today.year - 120 <= value.year <= today.year:
        raise InvalidInput.at(pointer, f"must be between {today.year - 120} and {today.year}")
    if value is not None and value >= today:
        raise InvalidInput.at(pointer, f"must be before {today}")
    return value


def one_of(*allowed: str) -> Check:
    """A check that takes these texts and no other."""

    def check(value: Any, pointer: str) -> str:
        if value not in allowed:
            raise InvalidInput.at(pointer, f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def _text(longest: int = 200, *, lines: bool = False) -> Check:
    return lambda value, pointer: check_text(value, pointer, longest=longest, lines=lines)


def _date(value: Any, pointer: str) -> str:
    try:
        if (
            isinstance(value, str)
            and _ISO_DATE.fullmatch(value)
            and FIRST_YEAR <= date.fromisoformat(value).year <= LAST_YEAR
        ):
            return value
    except ValueError:
        pass
    raise InvalidInput.at(pointer, f'must be a date such as "2020-10-09", from {FIRST_YEAR} to {LAST_YEAR}')


def _amount(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or (amount := parse_amount(value, pointer)) < 0:
        raise InvalidInput.at(pointer, 'must be a decimal string such as "500.00", not negative')
    return format_amount(amount)


def _score(value: Any, pointer: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 250 <= value <= 900:
        raise InvalidInput.at(pointer, "must be a whole number from 250 to 900")
    return value


def _country(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{2}", value):
        raise InvalidInput.at(pointer, 'must be a two-letter country code such as "US"')
    return value


@dataclass(frozen=True, slots=True)
class _Field:
    check: Check
    required: bool = False
    default: Any = None


_FORMS: dict[DetailKind, dict[str, _Field]] = {
    DetailKind.ADDRESS: {
        "address_type": _Field(one_of("home", "mailing", "work", "other"), default="home"),
        "line1": _Field(_text(), required=True),
        "line2": _Field(_text()),
        "city": _Field(_text(100), required=True),
        "state": _Field(_text(100), required=True),
        "postal_code": _Field(_text(12), required=True),
        "country": _Field(_country, default="US"),
    },
    DetailKind.PHONE: {
        "phone_type": _Field(one_of("mobile", "home", "work", "other"), default="mobile"),
        "number": _Field(check_phone, required=True),
    },
    DetailKind.EMAIL: {
        "email_type": _Field(one_of("personal", "work", "other"), default="personal"),
        "email": _Field(check_email, required=True),
    },
    DetailKind.EMPLOYER: {
        "name": _Field(_text(), required=True),
        "position": _Field(_text()),
        "phone": _Field(check_phone),
        "start_date": _Field(_date),
        "end_date": _Field(_date),
        "monthly_income": _Field(_amount),
    },
    DetailKind.REFERENCE: {
        "name": _Field(_text(), required=True),
        "relationship": _Field(_text(100)),
        "phone": _Field(check_phone),
        "email": _Field(check_email),
    },
    DetailKind.NOTE: {"text": _Field(_text(10_000, lines=True), required=True)},
    DetailKind.CREDIT_SCORE: {
        "score": _Field(_score, required=True),
        "bureau": _Field(one_of("equifax", "experian", "transunion", "other"), required=True),
        "model": _Field(_text(50)),
        "scored_on": _Field(_date, required=True),
    },
}


def check_detail(kind: DetailKind, data: Mapping[str, Any]) -> dict[str, Any]:
    """A nested entry of a borrower in the form it is kept in; what is absent takes its default (None: none).

    Raises InvalidInput with one pointer per wrong, unknown or missing field.
    """
    form = _FORMS[kind]
    errors = [FieldError(f"/{name}", "unknown field", "unknown_field") for name in data if name not in form]
    kept: dict[str, Any] = {}
    for name, spec in form.items():
        value = data.get(name)
        if value is None:
            if spec.required:
                errors.append(FieldError(f"/{name}", "is required", "missing"))
            kept[name] = spec.default
            continue
        try:
            kept[name] = spec.check(value, f"/{name}")
        except InvalidInput as error:
            errors += error.errors
    if kind is DetailKind.ADDRESS and not errors:
        errors += _check_us_address(kept)
    if errors:
        fields = ", ".join(error.pointer.lstrip("/") for error in errors)
        raise InvalidInput(f"The {kind.replace('_', ' ')} is not acceptable: {fields}.", errors=errors)
    return kept


def _check_us_address(address: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    if address["country"] == "US":
        if address["state"] not in US_STATES:
            errors.append(FieldError("/state", 'must be a state\'s two letters such as "NY"'))
        if not _ZIP.fullmatch(address["postal_code"]):
            errors.append(FieldError("/postal_code", 'must be a ZIP code such as "12345" or "12345-6789"'))
    return errors
