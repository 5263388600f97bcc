"""How much an autopay drafts. All amounts in minor units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from domain.errors import InvalidInput
from domain.loan import FeeKind, LoanState
from domain.program import ExtraMoney


class AmountType(StrEnum):
    """What a draft takes.

    `static`: a fixed amount. `next_due`: what brings the loan current through the due date. `next_period`: the instalment
    of that date alone. `past_due`: of instalments due before the apply date, with all fees assessed;
    `principal_interest_past_due`: without the fees; `interest_only_past_due`: their interest. `fees_due`: fees assessed.
    """

    NEXT_DUE = "next_due"
    STATIC = "static"
    NEXT_PERIOD = "next_period"
    PAST_DUE = "past_due"
    PRINCIPAL_INTEREST_PAST_DUE = "principal_interest_past_due"
    INTEREST_ONLY_PAST_DUE = "interest_only_past_due"
    FEES_DUE = "fees_due"


class ExtraTowards(StrEnum):
    """What becomes of the money of a draft beyond what is due and the current instalment, where the borrower says so:
    principal, which leaves the dues as they are; the coming dues; or it waits and is applied on the next due date."""

    PRINCIPAL_ONLY = "principal_only"
    COMING_DUES = "coming_dues"
    NEXT_DUE_DATE = "next_due_date"

    @property
    def extra_money(self) -> ExtraMoney:
        return _EXTRA_MONEY[self]


_EXTRA_MONEY: Final = {
    ExtraTowards.PRINCIPAL_ONLY: ExtraMoney.PRINCIPAL_ONLY,
    ExtraTowards.COMING_DUES: ExtraMoney.ADVANCE_DUE,
    ExtraTowards.NEXT_DUE_DATE: ExtraMoney.UNAPPLIED,
}

FOLLOWS_INSTALMENTS: Final = (AmountType.NEXT_DUE, AmountType.NEXT_PERIOD)
"""Types with which a period whose instalment is settled has nothing to draft, so that it is left out."""


class PayoffRule(StrEnum):
    """What happens when a draft would take more than pays the loan off."""

    CAP = "cap"
    DO_NOT_PROCESS = "do_not_process"


@dataclass(frozen=True, slots=True)
class AmountTerms:
    """`amount`: of the static type. `when_nothing_due`: a static amount is drafted also when nothing is due then."""

    kind: AmountType
    amount: int | None = None
    payoff_rule: PayoffRule = PayoffRule.CAP
    when_nothing_due: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """How much to draft, in minor units; 0 with the reason why nothing is."""

    amount: int
    reason: str | None = None


IN_TRANSIT: Final = "what is due is already in transit"
NOTHING_DUE: Final = "nothing is due"
MORE_THAN_PAYOFF: Final = "it is more than what pays the loan off, and such a draft is not to be processed"


def check_amount(terms: AmountTerms) -> None:
    """Refuse (InvalidInput, with the field) amounts that cannot be meant."""
    if terms.kind is AmountType.STATIC:
        if terms.amount is None or terms.amount <= 0:
            raise InvalidInput.at("/amount", "a static autopay needs an amount above 0.00")
        return
    if terms.amount is not None:
        raise InvalidInput.at("/amount", f"must be left out when the amount follows what is owed ({terms.kind})")


def wanted(terms: AmountTerms, state: LoanState, apply_date: date, due_date: date) -> int:
    """What a draft is to take of a loan as it stands in `state`, before what is in transit and the payoff are looked at.

    `due_date`: the due date it pays for; instalments due before `apply_date` are past due.
    """
    if terms.kind is AmountType.STATIC:
        return terms.amount or 0
    if terms.kind is AmountType.NEXT_DUE:
        return owed_through(state, due_date)
    if terms.kind is AmountType.NEXT_PERIOD:
        return sum(row.unpaid + row.fees - row.fees_paid for row in state.instalments if row.due_date == due_date)
    return _OWED[terms.kind](state, apply_date)


def decide(terms: AmountTerms, *, wanted: int, due: int, payoff: int, in_transit: int) -> Decision:
    """How much a draft takes.

    `wanted`: see there. `due`: what brings the loan current through the due date. `payoff`: what pays it off. `in_transit`:
    money promised and not yet applied to the loan. Never more than the payoff less what is in transit; a draft of exactly
    that is the last one.
    """
    room = payoff - in_transit
    if terms.kind is AmountType.STATIC:
        amount = wanted if terms.when_nothing_due or due > in_transit else 0
    else:
        amount = wanted - in_transit
    if amount > 0 and room > 0:
        if amount > room and terms.payoff_rule is PayoffRule.DO_NOT_PROCESS:
            return Decision(0, MORE_THAN_PAYOFF)
        return Decision(min(amount, room))
    return Decision(0, IN_TRANSIT if in_transit and due else NOTHING_DUE)


def owed_through(state: LoanState, due_date: date) -> int:
    """What brings a loan current through `due_date`, in minor units: what is unpaid of the instalments due until then, and
    the fees the waterfall takes on the way. 0 when those instalments are paid: fees alone are not drafted.

    `due_date` is no later than the first one from the state's day on."""
    if not any(row.unpaid for row in state.instalments if row.due_date <= due_date):
        return 0
    assessed = {fee.instalment_number for fee in state.fees if fee.kind is FeeKind.INSTALMENT}
    later = [
        row
        for row in state.instalments
        if row.due_date > due_date and (row.due_date < state.as_of or row.due_date == state.next_due_date)
    ]
    to_come = sum(row.fees for row in later if row.number not in assessed)
    return state.next_due_amount - sum(row.unpaid for row in later) - to_come


def _principal_and_interest(state: LoanState, apply_date: date) -> int:
    return sum(row.unpaid for row in state.instalments if row.due_date < apply_date)


def _interest(state: LoanState, apply_date: date) -> int:
    return sum(row.interest_unpaid for row in state.instalments if row.due_date < apply_date)


_OWED: Final[dict[AmountType, Callable[[LoanState, date], int]]] = {
    AmountType.PAST_DUE: lambda state, on: _principal_and_interest(state, on) + state.fees_balance,
    AmountType.PRINCIPAL_INTEREST_PAST_DUE: _principal_and_interest,
    AmountType.INTEREST_ONLY_PAST_DUE: _interest,
    AmountType.FEES_DUE: lambda state, on: state.fees_balance,
}
