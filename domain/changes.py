"""What people change of a running loan: the bodies of its modifications. Data only; what they do: domain/modifications.py.

Each counts from its effective date on. Amounts are `int` minor units, rates exact fractions of one a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final, get_args


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The yearly rate is `rate` from the effective date on, to before `until` (None: for good), when the former one
    holds again. `keep_payment`: the payment stays and the last instalment settles; else the rest is amortized anew.

    `cap`: `rate` is the most the loan bears on those days: a rate that is lower stays, and one that is agreed in between
    or before counts again afterwards. So a servicemember's loan is capped at 6 % (50 USC 3937), whatever its rate.
    """

    rate: Fraction
    until: date | None
    keep_payment: bool
    reason: str | None = None
    cap: bool | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """Nothing is due with the next `instalments` that are not past due. `accrue`: interest goes on until the last of them
    is over. `to_end`: as many due dates are added at the end; else the last instalment takes their principal."""

    instalments: int
    accrue: bool
    to_end: bool


@dataclass(frozen=True, slots=True)
class Forborne:
    """Instalments due up to `until` (included) are reduced to `payment`, None: to nothing. `accrue`: interest goes on."""

    until: date
    accrue: bool
    payment: int | None


@dataclass(frozen=True, slots=True)
class Extended:
    """`periods` more due dates at the end. `reamortize`: with a new level payment; else the payment stays."""

    periods: int
    reamortize: bool


@dataclass(frozen=True, slots=True)
class DueDateChanged:
    """The next unpaid instalment that is not past due falls due on `new_first_due`, later ones follow from there."""

    new_first_due: date


@dataclass(frozen=True, slots=True)
class ReAged:
    """The past-due instalments are brought current: what is unpaid of them is paid by the remaining ones."""


@dataclass(frozen=True, slots=True)
class ReAmortized:
    """A new level payment over the remaining due dates, or over `periods` instalments from the next unpaid one on."""

    periods: int | None


Modification = RateChanged | Deferred | Forborne | Extended | DueDateChanged | ReAged | ReAmortized

MODIFICATIONS: Final[tuple[type, ...]] = get_args(Modification)
