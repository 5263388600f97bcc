"""Notifications of change: what a borrower's bank says is to be corrected before the next entry.

Source: Nacha Operating Rules, Appendix Five (change codes, and how the corrected data field of 29 characters is divided) and
2.11.1 (the change is made within six banking days of receiving it, or before the next entry, whichever is later).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from domain.borrower import check_routing_number
from domain.calendars import add_banking_days
from domain.errors import InvalidInput
from domain.instruments import check_account_number
from domain.nacha import AccountType

CHANGE_DAYS: Final = 6
"""Banking days."""

CHANGE_CODES: Final[dict[str, str]] = {
    "C01": "Incorrect DFI Account Number",
    "C02": "Incorrect Routing Number",
    "C03": "Incorrect Routing Number and Incorrect DFI Account Number",
    "C04": "Incorrect Individual Name",
    "C05": "Incorrect Transaction Code",
    "C06": "Incorrect DFI Account Number and Incorrect Transaction Code",
    "C07": "Incorrect Routing Number, Incorrect DFI Account Number, and Incorrect Transaction Code",
    "C08": "Incorrect Receiving DFI Identification (IAT Only)",
    "C09": "Incorrect Individual Identification Number",
    "C13": "Addenda Format Error",
}
"""Titles by code. C08 is of international entries only; C13 says that our addenda were wrong, not what would be right."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an account is to be from now on: None is left as it is."""

    routing_number: str | None = None
    account_number: str | None = field(default=None, repr=False)
    account_type: AccountType | None = None
    individual_name: str | None = field(default=None, repr=False)
    individual_id: str | None = None


def corrected(code: str, data: str) -> Correction:
    """What a notification corrects. `data` is its corrected data field (36-64 of the addenda), not stripped on the left.

    Two and three values stand at fixed places; some banks write them one after the other with spaces between, which is
    read too. The account types come as transaction codes (22 to 29 checking, 32 to 39 savings).

    Raises: InvalidInput (code unusable_correction) when the code corrects nothing of an account, or the data are not
        what the code says: a person decides then. No message repeats an account number.
    """
    read = _READ.get(code)
    if read is None:
        title = CHANGE_CODES.get(code, "an unknown change code")
        raise _unusable(f"{code}, {title}, does not say what of the account is to be changed")
    try:
        return read(data.ljust(29))
    except InvalidInput as error:
        raise _unusable(f"{code}, {CHANGE_CODES[code]}: {error.errors[0].message}") from None


def change_by(received_on: date, holidays: frozenset[date]) -> date:
    """The last banking day for making a change that was received on a date, unless the next entry goes out later."""
    return add_banking_days(received_on, CHANGE_DAYS, holidays)


def _unusable(message: str) -> InvalidInput:
    return InvalidInput.at("/corrected_data", message, code="unusable_correction")


def _account_type(text: str) -> AccountType:
    if len(text) == 2 and text in {f"{tens}{units}" for tens in "23" for units in "234789"}:
        return AccountType.CHECKING if text[0] == "2" else AccountType.SAVINGS
    raise InvalidInput.at("/account_type", "the transaction code is neither of a checking nor of a savings account")


def _name(data: str) -> Correction:
    return Correction(individual_name=_text(data))


def _identification(data: str) -> Correction:
    return Correction(individual_id=_text(data))


def _text(data: str) -> str:
    text = data[:22].strip()
    if not text:
        raise InvalidInput.at("/individual", "the corrected data are blank")
    return text


def _account(data: str) -> Correction:
    return Correction(account_number=check_account_number(data.strip()))


def _routing(data: str) -> Correction:
    return Correction(routing_number=check_routing_number(data.strip()))


def _type(data: str) -> Correction:
    return Correction(account_type=_account_type(data.strip()))


def _routing_and_account(data: str) -> Correction:
    """The routing number in 1-9, the account number in 13-29."""
    routing, account = _parts([data[:9], data[12:29]], data[9:12], data.split())
    return Correction(check_routing_number(routing), check_account_number(account))


def _account_and_type(data: str) -> Correction:
    """The account number in 1-17, the transaction code in 21-22."""
    account, code = _parts([data[:17], data[20:22]], data[17:20], data.split())
    return Correction(None, check_account_number(account), _account_type(code))


def _routing_account_and_type(data: str) -> Correction:
    """The routing number in 1-9, the account number in 10-26, the transaction code in 27-28."""
    routing, account, code = _parts([data[:9], data[9:26], data[26:28]], "", [data[:9], *data[9:].split()])
    return Correction(check_routing_number(routing), check_account_number(account), _account_type(code))


def _parts(placed: list[str], between: str, words: list[str]) -> list[str]:
    """The values at their places, or, where those cannot be meant, the words. `between` is to be blank."""
    values = [value.strip() for value in placed]
    if not between.strip() and all(value and " " not in value for value in values):
        return values
    if len(words) != len(placed):
        found = len([word for word in words if word.strip()])
        raise InvalidInput.at("/corrected_data", f"{len(placed)} values were expected, and {found} are there")
    return words


_READ: Final[dict[str, Callable[[str], Correction]]] = {
    "C01": _account,
    "C02": _routing,
    "C03": _routing_and_account,
    "C04": _name,
    "C05": _type,
    "C06": _account_and_type,
    "C07": _routing_account_and_type,
    "C09": _identification,
}
