"""Payment instruments: bank accounts and cards, what of them may be drafted over ACH, and how they are verified.

Account numbers and processors' tokens are secret: no error names them, and nothing here keeps them (see Secrets).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final

from domain.borrower import Check, check_routing_number, check_text, one_of
from domain.errors import FieldError, InvalidInput, WrongState
from domain.payment_file import Method

YEARS_AHEAD: Final = 20
"""No card is issued for longer."""


class InstrumentType(StrEnum):
    BANK_ACCOUNT = "bank_account"
    CARD = "card"


class CardBrand(StrEnum):
    VISA = "visa"
    MASTERCARD = "mastercard"
    AMERICAN_EXPRESS = "american_express"
    DISCOVER = "discover"
    OTHER = "other"


class VerificationStatus(StrEnum):
    """Whether it is known that money can be moved by an instrument, and that it is the borrower's."""

    UNVERIFIED = "unverified"
    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


class VerificationMethod(StrEnum):
    """`prenote`: an ACH entry of 0.00; `micro_deposit`: small amounts the borrower names; `instant`: a processor's answer
    at once; `manual`: staff looked at a document."""

    PRENOTE = "prenote"
    MICRO_DEPOSIT = "micro_deposit"
    INSTANT = "instant"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What may be shown of what a borrower pays by. A bank account has a routing number, a card a brand and an expiry."""

    instrument_type: str
    account_holder_name: str
    account_number_last_four: str
    bank_name: str | None = None
    routing_number: str | None = None
    account_type: str | None = None
    card_brand: str | None = None
    card_expiry_month: int | None = None
    card_expiry_year: int | None = None


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is kept encrypted only: the whole number of a bank account, a processor's token of an account or a card."""

    account_number: str | None = field(default=None, repr=False)
    processor_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """`changed_on` is the business date of the last change; `method` None while unverified."""

    status: VerificationStatus = VerificationStatus.UNVERIFIED
    method: VerificationMethod | None = None
    changed_on: date | None = None


def check_instrument(data: Mapping[str, Any], today: date) -> tuple[Instrument, Secrets]:
    """A new payment instrument: a bank account needs routing number and account type, a card has neither.

    The last four digits are needed unless the account number is given; given both, they must fit. `today` is the business
    date: a card that has expired by then is refused. Raises InvalidInput with one pointer per wrong field.
    """
    return _check(data, today, new_expiry=True)


def check_change(held: Instrument, has_number: bool, changes: Mapping[str, Any], today: date) -> tuple[Instrument, Secrets]:
    """An instrument after a change of the named fields (None clears), with the secrets that were sent.

    A number added where none is held (`has_number` False) must end in the last four digits that are known; one that
    replaces another brings its own. Raises InvalidInput with one pointer per wrong field.
    """
    data = {**asdict(held), **changes}
    if has_number and changes.get("account_number") is not None and "account_number_last_four" not in changes:
        del data["account_number_last_four"]
    keeps_number = has_number and "account_number" not in changes
    if keeps_number and data["account_number_last_four"] != held.account_number_last_four:
        message = "are those of the account number that is kept: send the account number to change them"
        raise InvalidInput.at("/account_number_last_four", message)
    return _check(data, today, new_expiry=bool({"card_expiry_month", "card_expiry_year"} & set(changes)))


def _check(data: Mapping[str, Any], today: date, *, new_expiry: bool) -> tuple[Instrument, Secrets]:
    checks = _checks(data)
    errors = _misplaced(data)
    kept: dict[str, Any] = {}
    for name, check in checks.items():
        try:
            kept[name] = check(data.get(name), f"/{name}")
        except InvalidInput as error:
            errors += error.errors
    number = kept.pop("account_number", None)
    if number is not None and kept.setdefault("account_number_last_four", number[-4:]) != number[-4:]:
        errors.append(
            FieldError("/account_number", "must end in the last four digits of this instrument", "last_four_differ")
        )
    errors += _expiry_errors(kept, today, new=new_expiry)
    if errors:
        fields = ", ".join(error.pointer.lstrip("/") for error in errors)
        raise InvalidInput(f"The payment instrument is not acceptable: {fields}.", errors=errors)
    secrets = Secrets(number, kept.pop("processor_token", None))
    return Instrument(**kept), secrets


def _checks(data: Mapping[str, Any]) -> dict[str, Check]:
    """The check of each field that is given or needed."""
    checks: dict[str, Check] = {
        "instrument_type": one_of(*InstrumentType),
        "account_holder_name": lambda value, pointer: check_text(value, pointer),
    }
    optional: dict[str, Check] = {
        "bank_name": lambda value, pointer: check_text(value, pointer),
        "processor_token": _token,
    }
    if data.get("instrument_type") == InstrumentType.BANK_ACCOUNT:
        checks |= {"routing_number": check_routing_number, "account_type": one_of("checking", "savings")}
        optional["account_number"] = check_account_number
    else:
        optional["card_brand"] = one_of(*CardBrand)
        if data.get("card_expiry_month") is not None or data.get("card_expiry_year") is not None:
            checks |= {"card_expiry_month": _month, "card_expiry_year": _year}
    checks |= {name: check for name, check in optional.items() if data.get(name) is not None}
    if "account_number" not in checks or data.get("account_number_last_four") is not None:
        checks["account_number_last_four"] = _last_four
    return checks


_OF_A_BANK_ACCOUNT: Final = ("routing_number", "account_type")
_OF_A_CARD: Final = ("card_brand", "card_expiry_month", "card_expiry_year")


def _misplaced(data: Mapping[str, Any]) -> list[FieldError]:
    """What was given of the other kind of instrument. A card's number is its processor's to keep (PCI DSS), never ours."""
    if data.get("instrument_type") == InstrumentType.BANK_ACCOUNT:
        given = [name for name in _OF_A_CARD if data.get(name) is not None]
        return [FieldError(f"/{name}", "belongs to a card only") for name in given]
    given = [name for name in _OF_A_BANK_ACCOUNT if data.get(name) is not None]
    errors = [FieldError(f"/{name}", "belongs to a bank_account only") for name in given]
    if data.get("account_number") is not None:
        message = "belongs to a bank_account only: of a card, give the processor's token"
        errors.append(FieldError("/account_number", message))
    return errors


def check_account_number(value: Any, pointer: str = "/account_number") -> str:
    """A bank account number: 4 to 17 digits, as the DFI account number of a NACHA entry holds. No message repeats it."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"\d{4,17}", text, re.ASCII) or not text.strip("0"):
        raise InvalidInput.at(pointer, "must be an account number: 4 to 17 digits", code="invalid_account_number")
    return text


def _token(value: Any, pointer: str) -> str:
    """What a processor calls the instrument by. A bare card number is none, and must not come to be kept here."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"[\x21-\x7e]{8,255}", text) or re.fullmatch(r"[\d-]{12,23}", text):
        raise InvalidInput.at(pointer, "must be a processor's token: 8 to 255 visible ASCII characters, not a number")
    return text


def _last_four(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}", value, re.ASCII):
        raise InvalidInput.at(pointer, "must be exactly the last four digits")
    return value


def _month(value: Any, pointer: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 12:
        raise InvalidInput.at(pointer, "must be a month from 1 to 12; month and year are given together")
    return value


def _year(value: Any, pointer: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2000 <= value <= 2199:
        raise InvalidInput.at(pointer, "must be a year of four digits; month and year are given together")
    return value


def _expiry_errors(kept: Mapping[str, Any], today: date, *, new: bool) -> list[FieldError]:
    month, year = kept.get("card_expiry_month"), kept.get("card_expiry_year")
    if not new or month is None or year is None:
        return []
    if has_expired(month, year, today):
        return [
            FieldError("/card_expiry_year", f"is past: the card had expired by the business date {today}", "card_expired")
        ]
    if year > today.year + YEARS_AHEAD:
        return [FieldError("/card_expiry_year", f"must not be after {today.year + YEARS_AHEAD}")]
    return []


def has_expired(month: int, year: int, today: date) -> bool:
    """Whether a card is past the last day of its month."""
    return today > date(year, month, monthrange(year, month)[1])


_PAID_FROM: Final[Mapping[Method, tuple[InstrumentType, ...]]] = {
    "ach": (InstrumentType.BANK_ACCOUNT,),
    "wire": (InstrumentType.BANK_ACCOUNT,),
    "check": (InstrumentType.BANK_ACCOUNT,),
    "card": (InstrumentType.CARD,),
    "cash": (),
    "other": tuple(InstrumentType),
}
"""What the money of a payment method can have come from: a check is drawn on an account, cash on nothing."""


def check_pays(method: Method | None, instrument_type: str | None, *, removed: bool) -> None:
    """Refuse (InvalidInput at /payment_instrument_id) an instrument by which a new payment cannot have been made.

    Arguments: `method` None is not known yet, in a preview. `instrument_type` None: the loan's borrower has no such
        instrument. `removed`: they had it.
    """
    pointer = "/payment_instrument_id"
    if instrument_type is None:
        raise InvalidInput.at(pointer, "must be a payment instrument of the loan's borrower", code="unknown_instrument")
    if removed:
        message = "was removed: name another payment instrument of the loan's borrower, or leave it out"
        raise InvalidInput.at(pointer, message, code="instrument_removed")
    if method is None or instrument_type in _PAID_FROM[method]:
        return
    takes = " or ".join(_PAID_FROM[method]) or "no payment instrument"
    others = ", ".join(name for name, kinds in _PAID_FROM.items() if instrument_type in kinds)
    message = f"is a {instrument_type}, and {method} takes {takes}: leave it out, or pay by {others}"
    raise InvalidInput.at(pointer, message, code="not_of_this_method")


def ach_refusal(instrument_type: str, *, removed: bool, has_number: bool, has_token: bool, verification: str) -> str | None:
    """Why an instrument cannot be drafted over ACH, or None when it can. Not being verified yet forbids nothing."""
    if removed:
        return "the payment instrument was removed"
    if instrument_type != InstrumentType.BANK_ACCOUNT:
        return "a card cannot be drafted over ACH: it takes a bank account"
    if not has_number and not has_token:
        return "only the last four digits of the account are known: add the account number or a processor's token"
    if verification == VerificationStatus.FAILED:
        return "the verification of the account has failed"
    return None


_MAY_BECOME: Final[dict[VerificationStatus, tuple[VerificationStatus, ...]]] = {
    VerificationStatus.UNVERIFIED: (
        VerificationStatus.PENDING,
        VerificationStatus.VERIFIED,
        VerificationStatus.FAILED,
    ),
    VerificationStatus.PENDING: (
        VerificationStatus.VERIFIED,
        VerificationStatus.FAILED,
        VerificationStatus.UNVERIFIED,
    ),
    VerificationStatus.VERIFIED: (VerificationStatus.FAILED, VerificationStatus.UNVERIFIED),
    VerificationStatus.FAILED: (
        VerificationStatus.PENDING,
        VerificationStatus.VERIFIED,
        VerificationStatus.UNVERIFIED,
    ),
}

_THROUGH_THE_BANK: Final = (VerificationMethod.PRENOTE, VerificationMethod.MICRO_DEPOSIT)
"""Something is sent to the account and takes days, so these are pending before they are anything else."""


def verify(
    now: Verification,
    target: VerificationStatus,
    method: VerificationMethod | None,
    today: date,
    *,
    is_bank_account: bool,
    reachable: bool,
) -> Verification:
    """The verification after staff set it to `target`.

    Arguments: `method` None is the one under way. `today`: the business date. `reachable`: an account number or a token is
        held, so that something can be sent to the account.
    Raises: WrongState naming the state and what it may become; InvalidInput at /method.
    """
    if target not in _MAY_BECOME[now.status]:
        raise _wrong_state(now, f"The verification is {now.status}: it cannot become {target}.", _MAY_BECOME[now.status])
    if target is VerificationStatus.UNVERIFIED:
        if method is not None:
            raise InvalidInput.at("/method", "must be left out: an unverified instrument was verified by nothing")
        return Verification(target, None, today)
    method = method or (now.method if now.status is not VerificationStatus.FAILED else None)
    if method is None:
        raise InvalidInput.at("/method", f"is required: one of {', '.join(VerificationMethod)}", code="missing")
    if method in _THROUGH_THE_BANK:
        if not is_bank_account or not reachable:
            message = "needs a bank account whose account number, or a processor's token of it, is known"
            raise InvalidInput.at("/method", f"{method} {message}")
        under_way = now.status in (VerificationStatus.PENDING, VerificationStatus.VERIFIED) and now.method == method
        if target is not VerificationStatus.PENDING and not under_way:
            detail = (
                f"No {method} is under way, the verification is {now.status}: a {method} is pending before it is {target}."
            )
            allowed = [s for s in _MAY_BECOME[now.status] if s is not target]
            raise _wrong_state(now, detail, allowed)
    return Verification(target, method, today)


def _wrong_state(now: Verification, detail: str, allowed: Any) -> WrongState:
    names = [str(status) for status in allowed]
    return WrongState(
        f"{detail} It can become: {', '.join(names)}.",
        state=str(now.status),
        allowed=names,
        code="verification_wrong_state",
    )
