"""The interest methods behind one protocol: how a loan earns interest, and how its instalments are made and paid."""

from __future__ import annotations

from typing import Final

from domain.program import InterestMethod
from domain.recalculated import Recalculated
from domain.scheduled import Scheduled
from domain.simple_daily import SimpleDaily
from domain.working import Method

_METHODS: Final[dict[InterestMethod, type[Method]]] = {
    InterestMethod.SCHEDULED: Scheduled,
    InterestMethod.SIMPLE_DAILY: SimpleDaily,
    InterestMethod.RECALCULATED: Recalculated,
}


def method_of(interest_method: InterestMethod) -> Method:
    """The rules of an interest method, for one replay (they may keep what they need of it)."""
    return _METHODS[interest_method]()
