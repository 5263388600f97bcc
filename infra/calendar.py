"""Federal Reserve bank holidays, for the domain to reckon with as data."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Final

import holidays

_SUNDAY: Final = 6
_FIRST_YEAR, _LAST_YEAR = 1990, 2100


@cache
def bank_holidays() -> frozenset[date]:
    """Days on which no money moves, besides weekends, 1990 to 2100.

    The Federal Reserve moves a holiday from Sunday to Monday; one on a Saturday is not moved to Friday. The library's
    own "observed" and bank categories do move it, hence the plain list and our own shift.
    """
    plain = holidays.country_holidays("US", observed=False, years=range(_FIRST_YEAR, _LAST_YEAR + 1))
    return frozenset(day + timedelta(days=1) if day.weekday() == _SUNDAY else day for day in plain)
