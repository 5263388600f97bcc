"""What is done to a loan: every kind of event, made of a few drawn numbers and of what the loan looks like."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum, auto
from fractions import Fraction

from domain.changes import (
    Deferred,
    DueDateChanged,
    Extended,
    Forborne,
    Modification,
    RateChanged,
    ReAged,
    ReAmortized,
)
from domain.events import (
    Chargeback,
    ChargedFee,
    ChargedOff,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    PaymentReceived,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
    UnappliedApplied,
    Waived,
    WaiverTarget,
)
from domain.loan import LoanState


class Amount(StrEnum):
    """How much is paid."""

    LEVEL = auto()
    DUE = auto()
    PART = auto()
    CENT = auto()
    DOUBLE = auto()
    PAYOFF = auto()
    ALMOST_PAYOFF = auto()
    TOO_MUCH = auto()


class Act(StrEnum):
    """What staff do with what is owed."""

    CHARGE_NSF_FEE = auto()
    CHARGE_OTHER_FEE = auto()
    WAIVE_FEE = auto()
    WAIVE_PART_OF_FEE = auto()
    WAIVE_INTEREST = auto()
    WAIVE_PART_OF_INTEREST = auto()
    CHARGE_OFF = auto()
    SET_NON_ACCRUAL = auto()
    END_NON_ACCRUAL = auto()


class MoneyAct(StrEnum):
    """What is done with money already received, or the lender's own."""

    APPLY_UNAPPLIED = auto()
    APPLY_PART_OF_UNAPPLIED = auto()
    REFUND = auto()
    REFUND_PART = auto()
    REFUND_TOO_MUCH = auto()
    SEND_REFUND = auto()
    REIMBURSE = auto()
    SEND_REIMBURSEMENT = auto()
    CHARGE_BACK = auto()
    CHARGE_BACK_PART = auto()


class Modify(StrEnum):
    """What people agree to change."""

    RATE = auto()
    RATE_FOR_A_WHILE = auto()
    DEFER = auto()
    FORBEAR = auto()
    EXTEND = auto()
    DUE_DATE = auto()
    RE_AGE = auto()
    RE_AMORTIZE = auto()


def amount(kind: Amount, loan: LoanState, level: int, percent: int) -> int:
    """Minor units, at least 1. `percent` is of the level payment."""
    payoff = level if loan.payoff is None else loan.payoff.total
    match kind:
        case Amount.LEVEL:
            result = level
        case Amount.DUE:
            result = loan.next_due_amount
        case Amount.PART:
            result = level * percent // 100
        case Amount.CENT:
            result = 1
        case Amount.DOUBLE:
            result = 2 * level + percent
        case Amount.PAYOFF:
            result = payoff
        case Amount.ALMOST_PAYOFF:
            result = payoff - 1
        case Amount.TOO_MUCH:
            result = payoff + percent
    return max(1, result)


def act(kind: Act, loan: LoanState, name: str, number: int, percent: int) -> EventBody | None:
    """None where there is nothing to do it to."""
    fees = [fee for fee in loan.fees if fee.unpaid]
    fee = fees[number % len(fees)] if fees else None
    match kind:
        case Act.CHARGE_NSF_FEE:
            return FeeCharged(name, ChargedFee.NSF, 10 * percent)
        case Act.CHARGE_OTHER_FEE:
            return FeeCharged(name, ChargedFee.OTHER, 10 * percent)
        case Act.WAIVE_FEE:
            return None if fee is None else Waived(name, WaiverTarget.FEE, fee.key)
        case Act.WAIVE_PART_OF_FEE:
            return None if fee is None else Waived(name, WaiverTarget.FEE, fee.key, 1 + fee.unpaid * percent // 300)
        case Act.WAIVE_INTEREST:
            return Waived(name, WaiverTarget.INTEREST)
        case Act.WAIVE_PART_OF_INTEREST:
            return Waived(name, WaiverTarget.INTEREST, None, 1 + loan.accrued_interest * percent // 300)
        case Act.CHARGE_OFF:
            return ChargedOff("uncollectible")
        case Act.SET_NON_ACCRUAL | Act.END_NON_ACCRUAL:
            return NonAccrualSet(kind is Act.SET_NON_ACCRUAL, "doubtful")


def money_act(
    kind: MoneyAct,
    loan: LoanState,
    name: str,
    percent: int,
    *,
    refund: Refunded | None,
    reimbursement: Reimbursed | None,
    paid: PaymentReceived | None,
) -> EventBody | None:
    """None where there is nothing to do it to."""
    part = loan.unapplied * min(percent, 100) // 100
    match kind:
        case MoneyAct.APPLY_UNAPPLIED:
            return UnappliedApplied(name, loan.unapplied)
        case MoneyAct.APPLY_PART_OF_UNAPPLIED:
            return UnappliedApplied(name, part)
        case MoneyAct.REFUND:
            return Refunded(name, loan.unapplied)
        case MoneyAct.REFUND_PART:
            return Refunded(name, part)
        case MoneyAct.REFUND_TOO_MUCH:
            return Refunded(name, loan.unapplied + percent)
        case MoneyAct.REIMBURSE:
            return Reimbursed(name, 10 * percent)
        case MoneyAct.SEND_REFUND:
            return None if refund is None else RefundSent(refund.refund_id)
        case MoneyAct.SEND_REIMBURSEMENT:
            return None if reimbursement is None else ReimbursementSent(reimbursement.reimbursement_id)
        case MoneyAct.CHARGE_BACK:
            return None if paid is None else Chargeback(name, paid.payment_id, paid.amount)
        case MoneyAct.CHARGE_BACK_PART:
            return None if paid is None else Chargeback(name, paid.payment_id, 1 + paid.amount * percent // 320)


def modification(kind: Modify, today: date, level: int, number: int, days: int, one: bool, other: bool) -> Modification:
    until, rate = today + timedelta(days=days), Fraction(4 * number * days, 10_000)
    match kind:
        case Modify.RATE:
            return RateChanged(rate, None, one)
        case Modify.RATE_FOR_A_WHILE:
            return RateChanged(min(rate, Fraction(6, 100)), until, one, "active duty", other or None)
        case Modify.DEFER:
            return Deferred(1 + number % 4, one, other)
        case Modify.FORBEAR:
            return Forborne(until, one, level // number if other else None)
        case Modify.EXTEND:
            return Extended(number, one)
        case Modify.DUE_DATE:
            return DueDateChanged(until)
        case Modify.RE_AGE:
            return ReAged()
        case Modify.RE_AMORTIZE:
            return ReAmortized(number if one else None)
