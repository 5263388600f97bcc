"""What the sandbox's bank does with a draft: by the last four digits of the account, so that whoever builds on us can try
every outcome. Test data, like the test cards of a payment processor: docs/sandbox-bank.md says what each number does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from domain.calendars import add_banking_days, next_banking_day

SETTLEMENT_DAYS: Final = 1
"""Banking days from the cutoff to settlement, unless a script says otherwise."""
RETURN_DAYS: Final = 2
"""Banking days from the cutoff to a return."""
TOO_LATE_DAYS: Final = 5
"""Banking days from the cutoff to a return after its deadline, which is the third."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the bank says of a draft on a date: a return (R code) or a notification of change (C code, with the corrected
    data)."""

    code: str
    on: date
    corrected: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What becomes of a draft: when it settles (None: the bank never says), and what comes back."""

    settles_on: date | None
    messages: tuple[Message, ...] = ()


Scripted = Callable[[date, int, frozenset[date]], Script]
"""A script for a draft handed over on a date as the nth attempt."""

_CORRECTED: Final = {
    "C01": "000011112222",
    "C02": "322271627",
    "C03": "322271627   000011112222",
    "C05": "37",
    "C06": "000011112222        37",
    "C07": "32227162700001111222237",
}
"""The corrected data of each change code: account 000011112222, routing number 322271627, a savings account."""


def script(last_four: str, handed_over_on: date, attempt: int, holidays: frozenset[date]) -> Script:
    """What the bank does with a draft from an account that ends in these digits. `attempt`: 1 for the first."""
    settles = add_banking_days(handed_over_on, SETTLEMENT_DAYS, holidays)
    if last_four in _SCRIPTS:
        return _SCRIPTS[last_four](handed_over_on, attempt, holidays)
    if "9901" <= last_four <= "9985":
        return Script(settles, (Message(f"R{last_four[2:]}", add_banking_days(handed_over_on, RETURN_DAYS, holidays)),))
    change = f"C{last_four[2:]}"
    if last_four[:2] == "97" and change in _CORRECTED:
        return Script(settles, (Message(change, settles, _CORRECTED[change]),))
    return Script(settles)


def _never(on: date, attempt: int, holidays: frozenset[date]) -> Script:
    return Script(None)


def _twice(on: date, attempt: int, holidays: frozenset[date]) -> Script:
    back = Message("R01", add_banking_days(on, RETURN_DAYS, holidays))
    return Script(add_banking_days(on, SETTLEMENT_DAYS, holidays), (back, back))


def _out_of_order(on: date, attempt: int, holidays: frozenset[date]) -> Script:
    back = Message("R01", add_banking_days(on, 1, holidays))
    return Script(add_banking_days(on, 2, holidays), (back,))


def _returned_first(times: int) -> Scripted:
    def returned(on: date, attempt: int, holidays: frozenset[date]) -> Script:
        back = Message("R01", add_banking_days(on, RETURN_DAYS, holidays))
        return Script(add_banking_days(on, SETTLEMENT_DAYS, holidays), (back,) if attempt <= times else ())

    return returned


def _too_late(on: date, attempt: int, holidays: frozenset[date]) -> Script:
    back = Message("R08", add_banking_days(on, TOO_LATE_DAYS, holidays))
    return Script(add_banking_days(on, SETTLEMENT_DAYS, holidays), (back,))


def _disputed(on: date, attempt: int, holidays: frozenset[date]) -> Script:
    back = Message("R10", next_banking_day(on + timedelta(days=60), holidays))
    return Script(add_banking_days(on, SETTLEMENT_DAYS, holidays), (back,))


_SCRIPTS: Final[dict[str, Scripted]] = {
    "9800": _never,
    "9801": _returned_first(1),
    "9802": _returned_first(2),
    "9803": _twice,
    "9804": _out_of_order,
    "9805": _too_late,
    "9860": _disputed,
}
