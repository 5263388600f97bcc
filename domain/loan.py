"""What a loan is: its terms, its source events, and the state that replaying them gives. Data only; no rules.

Amounts are `int` minor units, rates exact fractions of one a year.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from domain.program import Component


class LoanStatus(StrEnum):
    """Life of a loan; the replay of its events says it."""

    BOARDING = "boarding"
    ACTIVE = "active"
    PAID_OFF = "paid_off"
    CHARGED_OFF = "charged_off"
    TRANSFERRED = "transferred"
    CANCELLED = "cancelled"


class InstalmentStatus(StrEnum):
    """`due` on its due date, `past_due` from the day after, `partial` when some of it is paid before that, or nothing but
    a fee or the program's tolerance is left of it. `waived`: settled, some of its interest without money. `deferred`: put
    off by a modification."""

    SCHEDULED = "scheduled"
    DUE = "due"
    PARTIAL = "partial"
    PAID = "paid"
    PAST_DUE = "past_due"
    WAIVED = "waived"
    DEFERRED = "deferred"


SETTLED: Final = frozenset({InstalmentStatus.PAID, InstalmentStatus.WAIVED, InstalmentStatus.DEFERRED})
"""Statuses of an instalment with which nothing is to be paid any more."""


class FeeKind(StrEnum):
    """What a fee is for. Late and instalment fees are derived, the others are charged by people or a bank's return.

    A fee's key begins with its kind and a colon.
    """

    LATE = "late_fee"
    NSF = "nsf_fee"
    OTHER = "other_fee"
    INSTALMENT = "instalment_fee"


PENALTIES: Final = frozenset({FeeKind.LATE, FeeKind.NSF})
"""Kinds that are penalties in a waterfall that separates them from fees."""


def fee_kind(key: str) -> FeeKind:
    """The kind of the fee with a key such as "late_fee:2020-10-09"."""
    return FeeKind(key.partition(":")[0])


class Instalment(NamedTuple):
    """One row of the schedule as it stands; payment = principal + interest. `interest_paid` with money, `interest_waived`
    without. `fees`: the program's instalment fee, payable with the row and known from the start, and what was settled of
    it; other fees are not here. `paid_on`: the day on which the last of all that was settled.

    `prior_interest`: the part of the period's interest that was paid to the prior servicer of a boarded loan, so it is not
    in `interest`; negative: interest that is in `interest` but was earned before the period (brought along, or charged
    back).
    """

    number: int
    due_date: date
    period_start: date
    payment: int
    principal: int
    interest: int
    principal_paid: int
    interest_paid: int
    status: InstalmentStatus
    paid_on: date | None
    prior_interest: int = 0
    interest_waived: int = 0
    fees: int = 0
    fees_paid: int = 0

    @property
    def interest_unpaid(self) -> int:
        return self.interest - self.interest_paid - self.interest_waived

    @property
    def unpaid(self) -> int:
        """Principal and interest of it that nothing has settled yet."""
        return self.principal - self.principal_paid + self.interest_unpaid


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee. `key` is its business key ("late_fee:2020-10-09", "nsf_fee:{fee_id}"), which a waiver names. `paid` with
    money, `waived` without; `paid_on`: when nothing was left of it."""

    key: str
    kind: FeeKind
    instalment_number: int
    due_date: date
    assessed_on: date
    amount: int
    paid: int
    waived: int = 0
    paid_on: date | None = None

    @property
    def unpaid(self) -> int:
        return self.amount - self.paid - self.waived


class AllocationLine(NamedTuple):
    """Where a part of a payment went. Principal with no instalment number is a curtailment."""

    component: Component
    amount: int
    instalment_number: int | None = None
    fee_key: str | None = None


class Allocation(NamedTuple):
    """What one payment paid: fees + interest + principal + unapplied + due_from_borrower == its amount; `lines` hold the
    first three. `nsf_fees` and `other_fees` (instalment fees too) are parts of `fees`; the rest are late fees.

    `recovery`: the loan was charged off. `due_from_borrower`: what repaid money the borrower had got without a right.
    """

    payment_id: str
    effective_date: date
    fees: int
    interest: int
    principal: int
    unapplied: int
    lines: tuple[AllocationLine, ...]
    nsf_fees: int = 0
    other_fees: int = 0
    due_from_borrower: int = 0
    recovery: bool = False

    @property
    def amount(self) -> int:
        return self.fees + self.interest + self.principal + self.unapplied + self.due_from_borrower

    @property
    def late_fees(self) -> int:
        return self.fees - self.nsf_fees - self.other_fees


@dataclass(frozen=True, slots=True)
class PayoffQuote:
    """Minor units; `interest` is negative where more was paid ahead than is earned and owed (never more than the
    principal). `per_diem` unrounded: the interest a further day adds within the current period."""

    principal: int
    interest: int
    fees: int
    total: int
    per_diem: Fraction


@dataclass(frozen=True, slots=True)
class LoanState:
    """The loan at the close of `as_of`: the result of a replay, never stored as the truth.

    accrued_interest: earned to `as_of` and not paid. past_due_amount: principal and interest of instalments due before
    `as_of`. oldest_unpaid_due_date: oldest due date up to `as_of` not fully paid. next_due_date: due date (from `as_of`
    on) of the first instalment not fully paid; None when there is none. next_due_amount: what a draft on that date must
    take to bring the loan current through it: all past due, that instalment's rest, and the assessed fees which the
    program's waterfall takes on the way. total_paid: all money received. per_diem: minor units, unrounded, by which
    the payoff grows a day. payoff: what pays the loan off at `as_of`; None unless it is
    active. opened_on: effective date of disbursement or boarding.

    late_fees, nsf_fees, other_fees: the parts of fees_balance. due_from_borrower: money paid back or refunded that was not
    the borrower's. A charged-off loan keeps its balances, as memo: charged_off_balance is all that is owed of it,
    charged_off_principal what it was charged off with, recovered what came in since. non_accrual_interest: the part of
    accrued_interest that is memo. Of delinquency (days past due above 0 at the close of a day, while active):
    first_delinquency_date, times_delinquent (how often it began), delinquent_days, last_current_date.
    """

    as_of: date
    status: LoanStatus
    principal_balance: int
    accrued_interest: int
    fees_balance: int
    unapplied: int
    instalments: tuple[Instalment, ...]
    fees: tuple[Fee, ...]
    past_due_amount: int
    oldest_unpaid_due_date: date | None
    days_past_due: int
    delinquency_bucket: str
    next_due_date: date | None
    next_due_amount: int
    paid_off_on: date | None
    last_payment_date: date | None
    last_payment_amount: int | None
    total_paid: int
    per_diem: Fraction
    payoff: PayoffQuote | None = None
    opened_on: date | None = None
    late_fees: int = 0
    nsf_fees: int = 0
    other_fees: int = 0
    due_from_borrower: int = 0
    charged_off_on: date | None = None
    charged_off_balance: int = 0
    charged_off_principal: int = 0
    recovered: int = 0
    non_accrual: bool = False
    non_accrual_interest: int = 0
    first_delinquency_date: date | None = None
    times_delinquent: int = 0
    delinquent_days: int = 0
    last_current_date: date | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of everything a state says: sha256 (hex) over its canonical JSON. It keeps what its instalments were written as, most
    of which the next state of the loan has in common with it."""

    digest: str
    instalments: tuple[Instalment, ...]
    written: list[str]


def state_hash(state: LoanState) -> str:
    """The digest of a state's fingerprint.

    A state holds no id and no recording time, so two loans with the same surviving events have the same hash.
    """
    return fingerprint(state).digest


def fingerprint(state: LoanState, like: Fingerprint | None = None) -> Fingerprint:
    """The fingerprint of a state. `like`: that of another state of the loan, which makes it faster and not different."""
    said = {name: getattr(state, name) for name in _SAID}
    said["instalments"] = []
    rows = state.instalments
    if like is not None and len(like.instalments) == len(rows):
        known = zip(rows, like.instalments, like.written, strict=True)
        written = [text if row == other else _canonical_row(row) for row, other, text in known]
    else:
        written = [_canonical_row(row) for row in rows]
    # most of it is instalments: written out, they take a third of the time
    text = _ENCODER.encode(said).replace('"instalments":[]', f'"instalments":[{",".join(written)}]', 1)
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest(), rows, written)


def _canonical_row(row: Instalment) -> str:
    """An instalment as JSON, its fields in the order of their names."""
    paid_on = "null" if row.paid_on is None else f'"{row.paid_on.isoformat()}"'
    return (
        f'{{"due_date":"{row.due_date.isoformat()}","fees":{row.fees},"fees_paid":{row.fees_paid},"interest":{row.interest},'
        f'"interest_paid":{row.interest_paid},"interest_waived":{row.interest_waived},"number":{row.number},'
        f'"paid_on":{paid_on},"payment":{row.payment},"period_start":"{row.period_start.isoformat()}",'
        f'"principal":{row.principal},"principal_paid":{row.principal_paid},"prior_interest":{row.prior_interest},'
        f'"status":"{row.status.value}"}}'
    )


_SAID: Final = tuple(LoanState.__annotations__)
_PARTS: Final[dict[type, tuple[str, ...]]] = {kind: tuple(kind.__annotations__) for kind in (Fee, PayoffQuote)}


def _canonical(value: object) -> object:
    """What a state holds and JSON has no form for."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return {name: getattr(value, name) for name in _PARTS[type(value)]}


_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_canonical)
