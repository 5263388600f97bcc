"""The fields of an event's JSON form: how each kind of value is written and read. Money and rates are decimal strings, dates
ISO. Reading raises InvalidInput naming the field that is absent or not of its form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple

from domain.errors import InvalidInput
from domain.money import format_amount, format_rate, parse_amount, parse_rate


class Field(NamedTuple):
    """How a field of a body is written to and read from JSON; an optional one may be absent or null."""

    write: Callable[[Any], Any]
    read: Callable[[Mapping[str, Any], str], Any]
    optional: bool = False


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput.at(f"/{name}", "must be a text that is not empty")
    return value


def _amount(data: Mapping[str, Any], name: str) -> int:
    return parse_amount(_text(data, name), f"/{name}")


def _rate(data: Mapping[str, Any], name: str) -> Any:
    return parse_rate(_text(data, name), f"/{name}")


def _date(data: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(_text(data, name))
    except ValueError:
        raise InvalidInput.at(f"/{name}", "must be a date such as 2020-10-09") from None


def _whole(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput.at(f"/{name}", "must be a whole number")
    return value


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name)
    if not isinstance(value, bool):
        raise InvalidInput.at(f"/{name}", "must be true or false")
    return value


def one_of(choices: type[StrEnum]) -> Field:
    """A field with one of these words."""

    def read(data: Mapping[str, Any], name: str) -> StrEnum:
        if data.get(name) not in list(choices):
            raise InvalidInput.at(f"/{name}", f"must be one of {', '.join(choices)}")
        return choices(data[name])

    return Field(str, read)


def optional(field: Field) -> Field:
    """The same field where it may be absent or null."""
    return field._replace(optional=True)


MONEY: Final = Field(format_amount, _amount)
TEXT: Final = Field(str, _text)
DAY: Final = Field(date.isoformat, _date)
RATE: Final = Field(format_rate, _rate)
COUNT: Final = Field(int, _whole)
FLAG: Final = Field(bool, _flag)
