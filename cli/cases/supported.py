"""Which options of the products and terms of serviced instalment loans the engine has.

The file format names options of its source; one whose figures would be others is refused, not passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.errors import InvalidInput

_PRODUCT: Final = {
    "schedule_type": ("PROGRESSIVE",),
    "processing": ("HORIZONTAL",),
    "amortization": ("EQUAL_INSTALLMENTS",),
    "currency_decimals": ("2",),
    "installment_multiple_of": ("None", "0"),
    "rest_frequency": ("DAILY x1",),
    "compounding": ("NONE",),
    "reschedule_strategy": ("4",),
    "days_in_year_custom": ("None", "FULL_LEAP_YEAR", "FEB_29_PERIOD_ONLY"),
    "charge_off_behaviour": ("None", "REGULAR", "ZERO_INTEREST"),
}
_TERMS: Final = {
    "interest_type": ("DECLINING_BALANCE",),
    "amortization": ("EQUAL_INSTALLMENTS",),
    "grace_principal_periods": ("0",),
    "grace_interest_periods": ("0",),
    "interest_free_periods": ("0",),
}
"""By option, the values that the engine has, which a remark may follow; an option that is not stated is one of them."""


def check_options(product: Mapping[str, Any], terms: Mapping[str, Any]) -> None:
    """Raises InvalidInput naming the first option that is not supported, and what would be."""
    for where, stated, known in (("product", product, _PRODUCT), ("terms", terms, _TERMS)):
        for name, values in known.items():
            if name in stated and not f"{stated[name]} ".startswith(tuple(f"{value} " for value in values)):
                allowed = " or ".join(values)
                raise InvalidInput(f"{name} of the {where} is {stated[name]!r}, which is not supported: only {allowed}")
